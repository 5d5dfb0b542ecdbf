#include "dice-roller/die_client.h"

#include <cmath>

#include "common/http/message.h"
#include "contract/names.h"

namespace dice {
namespace {

/// The metric's label value for a call that ended with an error.
std::string outcome(ErrorCode code) {
  switch (code) {
    case ErrorCode::downstream_unavailable: return "unavailable";
    case ErrorCode::downstream_timeout: return "timeout";
    case ErrorCode::downstream_invalid: return "invalid";
    case ErrorCode::client_gone: return "cancelled";
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
      client_({.base_url = options.url, .name = kDieService.name, .max_body_bytes = options.max_body_bytes}),
      breaker_(options.breaker) {
  telemetry.metrics.before_scrape([this] { metrics_.breaker.Set(static_cast<double>(breaker_.state())); });
}

std::expected<Die, Error> DieClient::fetch(const std::string& identifier, const TraceContext& parent,
                                           const std::stop_token& stop) {
  auto ticket = breaker_.try_acquire(clock_.now());
  if (!ticket) {
    count(identifier, "circuit_open");
    return std::unexpected(Error{ErrorCode::circuit_open, "die-service is failing; calls to it are paused",
                                 static_cast<int>(std::ceil(options_.breaker.pause.count()))});
  }
  int status = 0;
  auto die = call(identifier, parent, stop, status);
  if (!die && die.error().code == ErrorCode::client_gone) return die;  // not caused by die-service
  // A 4xx response also shows that die-service is healthy.
  const bool healthy = die || (status >= 400 && status < 500);
  if (healthy && std::move(*ticket).succeeded()) log_.log(LogMessage::breaker_closed, &parent);
  if (!healthy && std::move(*ticket).failed(clock_.now())) {
    log_.log(LogMessage::breaker_opened, &parent);
  }
  return die;
}

std::expected<Die, Error> DieClient::call(const std::string& identifier, const TraceContext& parent,
                                          const std::stop_token& stop, int& status) {
  const auto start = clock_.now();
  auto body = client_.get_body({.path = route::kDice + ("/" + percent_encode(identifier)),
                                .route = route::kDie,
                                .timeout = options_.timeout,
                                .parent = &parent,
                                .stop = stop},
                               &telemetry_.tracing, &status);
  metrics_.die_duration.observe(Seconds(clock_.now() - start).count(), parent);
  const auto die = body ? read(identifier, *body, parent) : std::unexpected(std::move(body.error()));
  count(identifier, die ? "200" : outcome(die.error().code));
  return die;
}

std::expected<Die, Error> DieClient::read(const std::string& identifier, const std::string& body,
                                          const TraceContext& parent) {
  {
    const Lock lock(mutex_);
    const auto known = known_.find(identifier);
    if (known != known_.end() && known->second.body == body) return known->second.die;
  }
  auto die = parse_die(body);
  if (die && die->identifier != identifier) die = std::unexpected("it describes another die");
  if (die) {
    const Lock lock(mutex_);
    known_[identifier] = {body, *die};
    return std::move(*die);
  }
  log_.log(LogMessage::die_not_understood, &parent, {{"reason", std::string_view(die.error())}});
  return std::unexpected(Error{ErrorCode::downstream_invalid, "die-service returned an invalid response"});
}

void DieClient::count(const std::string& identifier, const std::string& status) {
  bool known = false;
  {
    const Lock lock(mutex_);
    known = known_.contains(identifier);
  }
  metrics_.die_requests.Add({{"identifier", known ? identifier : kUnknownDie}, {"status", status}}).Increment();
}

}  // namespace dice
