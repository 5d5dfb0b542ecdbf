#include "die-service/die_service.h"

#include <utility>

#include "common/base/json.h"
#include "common/base/version.h"

namespace dice {

DieService::DieService(Service& service, std::string file, const Specifications& specifications)
    : file_(std::move(file)),
      log_(service.telemetry().log),
      metrics_(service.telemetry().metrics),
      store_(specifications),
      watch_(file_) {
  show(specifications);
  metrics_.reload_success.Set(1);
  const auto about = json_object([](JsonWriter& writer) {
    write_member(writer, "service", "Die Service API");
    write_member(writer, "version", version);
    write_member(writer, "endpoints", std::initializer_list<const char*>{"/dice", "/dice/{identifier}"});
  });
  service.add({.path = "/", .handler = [about](const Request&) { return Response{.body = about}; }});
  service.add({.path = "/dice", .handler = [this](const Request& request) -> Answer {
                 if (!request.query.contains("identifier") && request.query.empty()) return list();
                 Parameters parameters(request, {"identifier"});
                 const auto identifier = parameters.required("identifier");
                 if (parameters.error()) return std::unexpected(*parameters.error());
                 return die(identifier);
               }});
  service.add({.path = "/dice/{identifier}", .handler = [this](const Request& request) -> Answer {
                 const Parameters parameters(request, {});
                 if (parameters.error()) return std::unexpected(*parameters.error());
                 return die(request.path_parameters.at("identifier"));
               }});
}

Result DieService::list() {
  metrics_.lists.Increment();
  return Response{.body = store_.current()->list()};
}

Result DieService::die(const std::string& identifier) {
  const auto set = store_.current();
  const auto* json = set->find(identifier);
  metrics_.requested.Add({{"identifier", json != nullptr ? identifier : "_unknown"}}).Increment();
  if (json == nullptr) {
    return std::unexpected(Error{ErrorCode::die_not_found, "there is no die " + in_quotes(identifier)});
  }
  return Response{.body = *json};
}

void DieService::reload() {
  auto specifications = read_specifications(file_);
  metrics_.reload_success.Set(specifications ? 1 : 0);
  if (!specifications) {
    log_.log(LogLevel::error, "Die specifications not reloaded", nullptr,
             {{"reason", std::string_view(specifications.error())}});
    return;
  }
  show(*specifications);
  const auto count = specifications->size();
  store_.replace(std::move(*specifications));
  log_.log(LogLevel::info, "Die specifications reloaded", nullptr, {{"dice", static_cast<std::int64_t>(count)}});
}

void DieService::show(const Specifications& specifications) {
  metrics_.loaded.Set(static_cast<double>(specifications.size()));
  std::map<std::string, prometheus::Gauge*> shown;
  for (const auto& die : specifications) {
    auto& gauge = metrics_.error_rates.Add({{"identifier", die.identifier}}, die.error_rate);
    gauge.Set(die.error_rate);  // an existing gauge would keep its old value
    shown.emplace(die.identifier, &gauge);
  }
  for (const auto& [identifier, gauge] : error_rates_) {
    if (!shown.contains(identifier)) metrics_.error_rates.Remove(gauge);
  }
  error_rates_ = std::move(shown);
}

void DieService::reload_if_changed() {
  if (watch_.changed()) reload();
}

}  // namespace dice
