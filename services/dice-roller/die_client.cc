#include "dice-roller/die_client.h"

#include <cmath>

#include "common/http/message.h"

namespace dice {
namespace {

/// What the metric calls the outcome of a call that ended in an error.
std::string outcome(ErrorCode code) {
  switch (code) {
    case ErrorCode::downstream_unavailable: return "unavailable";
    case ErrorCode::downstream_timeout: return "timeout";
    case ErrorCode::downstream_invalid: return "invalid";
    default: return std::to_string(status_of(code));
  }
}

}  // namespace

DieClient::DieClient(const Options& options, Telemetry& telemetry, RollerMetrics& metrics, Clock& clock)
    : options_(options),
      telemetry_(telemetry),
      metrics_(metrics),
      clock_(clock),
      log_(telemetry.log.named("die-client")),
      client_({.base_url = options.url, .name = "die-service", .connect_timeout = options.timeout}),
      breaker_(options.breaker) {
  telemetry.metrics.before_scrape([this] { metrics_.breaker.Set(static_cast<double>(breaker_.state())); });
}

std::expected<Die, Error> DieClient::fetch(const std::string& identifier, const TraceContext& parent) {
  if (!breaker_.allow(clock_.now())) {
    count(identifier, "circuit_open");
    return std::unexpected(Error{ErrorCode::circuit_open, "die-service keeps failing; it is given a rest",
                                 static_cast<int>(std::ceil(options_.breaker.pause.count()))});
  }
  auto die = call(identifier, parent);
  // A die that is not there, or a request that is wrong, is an answer of a healthy service.
  const bool healthy = die || status_of(die.error().code) < 500;
  if (healthy && breaker_.succeeded()) log_.log(LogLevel::info, "Circuit breaker closed", &parent);
  if (!healthy && breaker_.failed(clock_.now())) log_.log(LogLevel::warn, "Circuit breaker opened", &parent);
  return die;
}

std::expected<Die, Error> DieClient::call(const std::string& identifier, const TraceContext& parent) {
  const auto start = clock_.now();
  auto body = client_.get_body({.path = "/dice/" + percent_encode(identifier),
                                .route = "/dice/{identifier}",
                                .timeout = options_.timeout,
                                .parent = &parent},
                               &telemetry_.tracing);
  metrics_.die_duration.observe(Seconds(clock_.now() - start).count(), parent);
  std::expected<Die, Error> die = std::unexpected(Error{});
  if (!body) {
    die = std::unexpected(std::move(body.error()));
  } else if (auto parsed = parse_die(*body)) {
    die = std::move(*parsed);
    const Lock lock(mutex_);
    known_.insert(identifier);
  } else {
    log_.log(LogLevel::error, "die-service's answer was not understood", &parent,
             {{"reason", std::string_view(parsed.error())}});
    die = std::unexpected(Error{ErrorCode::downstream_invalid, "die-service gave an answer that was not understood"});
  }
  count(identifier, die ? "200" : outcome(die.error().code));
  return die;
}

void DieClient::count(const std::string& identifier, const std::string& status) {
  bool known = false;
  {
    const Lock lock(mutex_);
    known = known_.contains(identifier);
  }
  metrics_.die_requests.Add({{"identifier", known ? identifier : "_unknown"}, {"status", status}}).Increment();
}

}  // namespace dice
