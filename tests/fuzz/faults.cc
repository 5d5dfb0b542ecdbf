// The body of PUT /debug/faults.
#include "common/http/faults.h"

#include "common/http/fault_routes.h"
#include "fuzz/targets.h"

namespace dice::fuzz {

void faults(std::string_view input) {
  const auto setting = parse_faults(std::string(input));
  if (!setting) return require_client_error(setting.error());
  require(setting->delay_seconds >= 0 && setting->delay_seconds <= 60, "delay");
  require(setting->error_rate >= 0 && setting->error_rate <= 1, "error rate");
  require(!setting->remaining || (setting->remaining->count() > 0 && setting->remaining->count() <= 300), "duration");
  const SteadyClock clock;
  Faults faults(clock);
  auto lasting = *setting;
  lasting.remaining.reset();
  faults.set(lasting);
  const auto fault = faults.next();
  require(fault.active == setting->active(), "active");
  require(!fault.fails || setting->error_rate > 0 || setting->unavailable, "it fails without a reason");
  const auto again = parse_faults(show_faults(faults).body);
  require(again && (!setting->active() || (almost_equal(again->delay_seconds, setting->delay_seconds) &&
                                           almost_equal(again->error_rate, setting->error_rate) &&
                                           again->unavailable == setting->unavailable)),
          "another setting after it was written and parsed");
  faults.set(*setting);
  require(parse_json(show_faults(faults).body).has_value(), "not JSON");
}

}  // namespace dice::fuzz
