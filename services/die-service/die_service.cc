#include "die-service/die_service.h"

#include <utility>

#include "common/base/json.h"
#include "common/base/version.h"
#include "contract/names.h"

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
    write_member(writer, "endpoints", std::initializer_list<const char*>{route::kDice, route::kDie});
  });
  service.add({.path = "/", .handler = [about](const Request&) { return Response{.body = about}; }});
  service.add({.path = route::kDice, .handler = [this](const Request& request) -> Answer {
                 if (request.query.empty()) return list();
                 constexpr std::array<std::string_view, 1> kAllowed = {"identifier"};
                 Parameters parameters(request.query, kAllowed);
                 const auto identifier = parameters.required("identifier");
                 if (parameters.error()) return std::unexpected(*parameters.error());
                 return die(identifier);
               }});
  service.add({.path = route::kDie, .handler = [this](const Request& request) -> Answer {
                 const Parameters parameters(request.query, {});
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
  metrics_.requested.Add({{"identifier", json != nullptr ? identifier : kUnknownDie}}).Increment();
  if (json == nullptr) {
    return std::unexpected(Error{ErrorCode::die_not_found, "there is no die " + in_quotes(identifier)});
  }
  return Response{.body = *json};
}

void DieService::reload() {
  auto specifications = read_specifications(file_);
  metrics_.reload_success.Set(specifications ? 1 : 0);
  if (!specifications) {
    log_.log(LogMessage::dice_not_reloaded, nullptr, {{"reason", std::string_view(specifications.error())}});
    return;
  }
  show(*specifications);
  const auto count = specifications->size();
  store_.replace(std::move(*specifications));
  log_.log(LogMessage::dice_reloaded, nullptr, {{"dice", static_cast<std::int64_t>(count)}});
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
