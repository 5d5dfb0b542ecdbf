#include "frontend/frontend.h"

#include <utility>

#include "common/base/json.h"
#include "common/base/version.h"
#include "contract/names.h"
#include "contract/roll.h"
#include "frontend/page.h"

namespace dice {
namespace {

constexpr std::size_t kMaxTraceRequests = 4;

/// Parses dice-roller's response and writes it again, so that only what the contract defines is passed on, plus the
/// trace id.
template <typename Answer, std::optional<Answer> (*parse)(std::string_view)>
std::optional<std::string> translate(const std::string& body, const std::string& trace_id) {
  const auto answer = parse(body);
  if (!answer) return std::nullopt;
  return json_object([&](JsonWriter& writer) {
    write_members(writer, *answer);
    write_member(writer, "trace_id", trace_id);
  });
}

}  // namespace

Frontend::Options Frontend::declare(Settings& settings) {
  Options options;
  options.die_service_url = settings.url("DIE_SERVICE_URL", kDieService.url(), "URL of die-service.");
  options.dice_roller_url = settings.url("DICE_ROLLER_URL", kDiceRoller.url(), "URL of dice-roller.");
  options.traces.tempo_url =
      settings.url("TEMPO_URL", "", "URL of Tempo, for traces that the services no longer remember completely.");
  options.logs.loki_url =
      settings.url("LOKI_URL", "", "URL of Loki, for log lines that the services no longer remember.");
  for (const auto& service : kServices) {
    const bool own = service.name == std::string_view(kFrontend.name);
    auto urls = settings.urls(
        service.variable_prefix() + "_METRICS_URL",
        own ? std::vector<std::string>{} : std::vector<std::string>{service.metrics_url()},
        (own ? "URLs of the metrics ports of all frontends, if there are several"
             : "URLs of the metrics ports of all replicas of " + std::string(service.name)) +
            ", to read their spans and log lines; comma-separated. A host name stands for all its addresses.");
    if (!urls.empty()) options.memories.metrics_urls[service.name] = std::move(urls);
  }
  options.grafana_url = settings.url("GRAFANA_URL", "", "URL of Grafana, for links on the page.");
  options.roll_timeout = Seconds(settings.number("ROLL_TIMEOUT_SECONDS", 10, 0.001, 600, "Timeout of a single roll."));
  options.roll_async_timeout =
      Seconds(settings.number("ROLL_ASYNC_TIMEOUT_SECONDS", 60, 0.001, 600, "Timeout of a batch."));
  options.max_body_bytes = static_cast<std::size_t>(
      settings.integer("DOWNSTREAM_MAX_BODY_BYTES", static_cast<std::int64_t>(options.max_body_bytes), 1'024,
                       1LL << 30U, "Maximum bytes of a response from dice-roller or die-service."));
  options.traces.max_body_bytes = static_cast<std::size_t>(
      settings.integer("TRACE_MAX_BODY_BYTES", static_cast<std::int64_t>(options.traces.max_body_bytes), 1'024,
                       1LL << 30U, "Maximum bytes of one trace, or of its log lines, from a service, Tempo or Loki."));
  options.memories.max_body_bytes = options.logs.max_body_bytes = options.traces.max_body_bytes;
  options.max_async_rolls = static_cast<int>(
      settings.integer("MAX_ASYNC_ROLLS", 20, 1, 1000, "Maximum number of rolls per batch; must match dice-roller's."));
  return options;
}

Frontend::Frontend(const Options& options, Service& service, const std::string& name)
    : options_(options),
      service_(service),
      telemetry_(service.telemetry()),
      metrics_(telemetry_.metrics),
      die_service_(
          {.base_url = options.die_service_url, .name = kDieService.name, .max_body_bytes = options.max_body_bytes}),
      dice_roller_(
          {.base_url = options.dice_roller_url, .name = kDiceRoller.name, .max_body_bytes = options.max_body_bytes}),
      trace_requests_(kMaxTraceRequests),
      memories_(options.memories, telemetry_, service.clock()),
      traces_(options.traces, memories_, name),
      logs_(options.logs, memories_, traces_),
      dice_list_(options.dice_list, die_service_, service.clock(), telemetry_.log) {
  add_page(service_);
  add_api();
  if (auto* const faults = service_.faults()) fault_relay_.emplace(service_, *faults, options.memories.metrics_urls);
}

void Frontend::add_api() {
  const auto config = json_object([this](JsonWriter& writer) {
    write_member(writer, "version", version);
    write_member(writer, "grafana_url", options_.grafana_url);
    write_member(writer, "max_async_rolls", options_.max_async_rolls);
    write_member(writer, "faults_enabled", service_.faults() != nullptr);
  });
  add_uninstrumented(route::kConfig, [config](const Request&) { return Response{.body = config}; });
  service_.add({.path = route::kDice, .handler = [this](const Request&) -> Answer {
                  if (const auto list = dice_list_.current()) return Response{.body = *list};
                  return std::unexpected(Error{ErrorCode::downstream_unavailable,
                                               "the list of dice has not been fetched from die-service yet", 1});
                }});
  service_.add({.path = route::kRoll,
                .handler = [this](const Request& request) { return handle_roll(request); },
                .accepts_trace_id = true});
  service_.add({.path = route::kRollAsync,
                .handler = [this](const Request& request) { return handle_roll_async(request); },
                .accepts_trace_id = true});
  add_uninstrumented(route::kTrace, [this](const Request& request) { return handle_trace(request, traces_); });
  add_uninstrumented(route::kTraceLogs, [this](const Request& request) { return handle_trace(request, logs_); });
}

void Frontend::add_uninstrumented(const char* path, Handler handler) {
  service_.add({.path = path, .handler = std::move(handler), .uninstrumented = true});
}

Answer Frontend::handle_roll(const Request& request) {
  const auto wanted = parse_roll(request.query);
  if (!wanted) return std::unexpected(wanted.error());
  metrics_.rolls.Add({{"mode", "sync"}}).Increment();
  return call_roller(request, *wanted, options_.roll_timeout, translate<RollAnswer, parse_roll_answer>);
}

Answer Frontend::handle_roll_async(const Request& request) {
  const auto wanted = parse_batch(request.query, options_.max_async_rolls);
  if (!wanted) return std::unexpected(wanted.error());
  metrics_.async_rolls.Add({{"batch_size", std::to_string(wanted->times.value_or(1))}}).Increment();
  return call_roller(request, *wanted, options_.roll_async_timeout, translate<BatchAnswer, parse_batch_answer>);
}

Work Frontend::call_roller(const Request& request, const RollRequest& wanted, Seconds timeout, Translate translate) {
  return [this, &request, route = wanted.route(), path = wanted.path(), timeout, translate]() -> Result {
    const auto body = dice_roller_.get_body(
        {.path = path, .route = route, .timeout = timeout, .parent = &request.trace(), .stop = request.stop},
        &telemetry_.tracing);
    if (!body) return std::unexpected(body.error());
    if (auto answer = translate(*body, to_hex(request.trace().trace_id))) return Response{.body = std::move(*answer)};
    return std::unexpected(Error{ErrorCode::downstream_invalid, "dice-roller returned an invalid response"});
  };
}

template <typename Source>
Answer Frontend::handle_trace(const Request& request, Source& source) {
  const auto id = parse_trace_id(request.path_parameters.at("trace_id"));
  if (!id) {
    return std::unexpected(
        Error{ErrorCode::invalid_parameter, "parameter 'trace_id' must be 32 lower-case hex digits, not all 0"});
  }
  auto ticket = trace_requests_.try_acquire(1);
  if (!ticket) return std::unexpected(Error{ErrorCode::overloaded, "too many concurrent requests for traces", 1});
  return Work([&source, &request, id = *id, ticket = std::move(*ticket)]() -> Result {
    auto found = source.find(id, request.stop);
    if (!found) return std::unexpected(std::move(found.error()));
    return Response{.body = std::move(*found)};
  });
}

}  // namespace dice
