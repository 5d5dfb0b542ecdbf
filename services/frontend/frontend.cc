#include "frontend/frontend.h"

#include <utility>

#include "common/json.h"
#include "common/json_view.h"
#include "common/version.h"
#include "frontend/assets.h"

namespace dice {
namespace {

constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

}  // namespace

Frontend::Options Frontend::declare(Settings& settings) {
  Options options;
  options.die_service_url = settings.url("DIE_SERVICE_URL", "http://localhost:8402", "Address of die-service.");
  options.dice_roller_url = settings.url("DICE_ROLLER_URL", "http://localhost:8401", "Address of dice-roller.");
  options.traces.tempo_url =
      settings.url("TEMPO_URL", "", "Where traces are read; unset: gathered from the services' memories.");
  options.traces.die_service_metrics_url =
      settings.url("DIE_SERVICE_METRICS_URL", "http://localhost:9402", "die-service's metrics port, for its spans.");
  options.traces.dice_roller_metrics_url =
      settings.url("DICE_ROLLER_METRICS_URL", "http://localhost:9401", "dice-roller's metrics port, for its spans.");
  options.grafana_url = settings.url("GRAFANA_URL", "", "Grafana, for links on the page.");
  options.roll_timeout = Seconds(settings.number("ROLL_TIMEOUT_SECONDS", 10, 0.001, 600, "Longest wait for one roll."));
  options.roll_async_timeout =
      Seconds(settings.number("ROLL_ASYNC_TIMEOUT_SECONDS", 60, 0.001, 600, "Longest wait for a batch."));
  options.max_async_rolls =
      static_cast<int>(settings.integer("MAX_ASYNC_ROLLS", 20, 1, 1000, "Most rolls in one batch, as dice-roller's."));
  return options;
}

Frontend::Frontend(const Options& options, Service& service, const std::string& name)
    : options_(options),
      service_(service),
      telemetry_(service.telemetry()),
      metrics_(telemetry_.metrics),
      die_service_({.base_url = options.die_service_url, .name = "die-service"}),
      dice_roller_({.base_url = options.dice_roller_url, .name = "dice-roller"}),
      traces_(options.traces, telemetry_, name),
      dice_list_(options.dice_list, die_service_, service.clock(), telemetry_.log) {
  add_page();
  add_api();
}

void Frontend::add_page() {
  for (const auto& asset : assets()) {
    service_.add({.path = std::string(asset.path), .handler = [&asset](const Request&) -> Result {
                    return Response{.body = std::string(asset.content),
                                    .content_type = std::string(asset.content_type),
                                    .headers = {{"Content-Security-Policy", kPolicy},
                                                {"X-Content-Type-Options", "nosniff"},
                                                {"Referrer-Policy", "no-referrer"},
                                                {"Cache-Control", "no-cache"}}};
                  }});
  }
}

void Frontend::add_api() {
  const auto config = json_object([this](JsonWriter& writer) {
    write_member(writer, "version", version);
    write_member(writer, "grafana_url", options_.grafana_url);
    write_member(writer, "max_async_rolls", options_.max_async_rolls);
  });
  service_.add(
      {.path = "/api/config", .handler = [config](const Request&) -> Result { return Response{.body = config}; }});
  service_.add({.path = "/dice", .handler = [this](const Request&) -> Result {
                  if (const auto list = dice_list_.current()) return Response{.body = *list};
                  return std::unexpected(
                      Error{ErrorCode::downstream_unavailable, "die-service has not given its list of dice yet", 1});
                }});
  service_.add({.path = "/roll", .handler = [this](Responder responder) { handle_roll(std::move(responder)); }});
  service_.add(
      {.path = "/roll-async", .handler = [this](Responder responder) { handle_roll_async(std::move(responder)); }});
  service_.add({.path = "/api/traces/{trace_id}",
                .handler = [this](Responder responder) { handle_trace(std::move(responder)); }});
}

void Frontend::handle_roll(Responder responder) {
  Parameters parameters(responder.request(), {"die"});
  const auto die = parameters.required("die");
  if (parameters.error()) return std::move(responder).send(std::unexpected(*parameters.error()));
  metrics_.rolls.Add({{"mode", "sync"}}).Increment();
  answer_on(service_.workers(), std::move(responder),
            [this, path = "/roll?die=" + percent_encode(die)](const Request& request) {
              return ask_roller(request, path, "/roll", options_.roll_timeout);
            });
}

void Frontend::handle_roll_async(Responder responder) {
  Parameters parameters(responder.request(), {"die", "times", "strategy", "concurrency"});
  auto path = "/roll-async?die=" + percent_encode(parameters.required("die"));
  if (!responder.request().query.contains("times")) parameters.fail("times", "is required");
  const int times = parameters.integer("times", 1, options_.max_async_rolls).value_or(1);
  path += "&times=" + std::to_string(times);
  if (const auto strategy = parameters.choice("strategy", {"all-or-nothing", "best-effort"})) {
    path += "&strategy=" + *strategy;
  }
  if (const auto concurrency = parameters.integer("concurrency", 1, options_.max_async_rolls)) {
    path += "&concurrency=" + std::to_string(*concurrency);
  }
  if (parameters.error()) return std::move(responder).send(std::unexpected(*parameters.error()));
  metrics_.rolls.Add({{"mode", "async"}}).Increment();
  metrics_.async_rolls.Add({{"batch_size", std::to_string(times)}}).Increment();
  answer_on(service_.workers(), std::move(responder), [this, path](const Request& request) {
    return ask_roller(request, path, "/roll-async", options_.roll_async_timeout);
  });
}

Result Frontend::ask_roller(const Request& request, const std::string& path, const std::string& route,
                            Seconds timeout) {
  auto body = dice_roller_.get_body({.path = path, .route = route, .timeout = timeout, .parent = &request.trace()},
                                    &telemetry_.tracing);
  if (!body) return std::unexpected(std::move(body.error()));
  auto document = parse_json(*body);
  if (!document || !document->IsObject()) {
    return std::unexpected(Error{ErrorCode::downstream_invalid, "dice-roller gave an answer that was not understood"});
  }
  const auto id = to_hex(request.trace().trace_id);
  auto& allocator = document->GetAllocator();
  document->AddMember("trace_id", rapidjson::Value(id.c_str(), allocator), allocator);
  rapidjson::StringBuffer buffer;
  JsonWriter writer(buffer);
  document->Accept(writer);
  return Response{.body = {buffer.GetString(), buffer.GetSize()}};
}

void Frontend::handle_trace(Responder responder) {
  const auto id = parse_trace_id(responder.request().path_parameters.at("trace_id"));
  if (!id) {
    return std::move(responder).send(std::unexpected(
        Error{ErrorCode::invalid_parameter, "parameter 'trace_id' must be 32 lower-case hex digits, not all 0"}));
  }
  answer_on(service_.workers(), std::move(responder), [this, id = *id](const Request&) -> Result {
    auto trace = traces_.find(id);
    if (!trace) return std::unexpected(std::move(trace.error()));
    return Response{.body = std::move(*trace)};
  });
}

}  // namespace dice
