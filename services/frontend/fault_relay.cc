#include "frontend/fault_relay.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/http/fault_routes.h"
#include "contract/names.h"
#include "contract/parameters.h"

namespace dice {
namespace {

constexpr std::size_t kMaxRequests = 4;
constexpr std::size_t kThreadsPerRequest = 8;
constexpr Seconds kTimeout{2};
constexpr Seconds kMinDuration{1};

/// Whether a browser says that the request comes from a page of this site; programs other than browsers say nothing.
bool is_same_origin(const Request& request) {
  const auto site = request.header_list("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin" && site != "none") return false;
  const auto origin = request.header_list("Origin");
  const auto host = request.header("Host");
  return origin.empty() || equal_ignoring_case(origin, "http://" + std::string(host)) ||
         equal_ignoring_case(origin, "https://" + std::string(host));
}

std::unexpected<Error> invalid(std::string message) {
  return std::unexpected(Error{ErrorCode::invalid_parameter, std::move(message)});
}

std::unexpected<Error> unknown(std::string_view service) {
  return std::unexpected(
      Error{ErrorCode::not_found, "there is no service " + in_quotes(service) + "; allowed: " + service_names(", ")});
}

}  // namespace

FaultRelay::FaultRelay(Service& service, Faults& own,
                       const std::map<std::string, std::vector<std::string>>& metrics_urls)
    : own_(own),
      log_(service.telemetry().log),
      requests_(kMaxRequests),
      threads_({.max_threads = kMaxRequests * kThreadsPerRequest}) {
  for (const auto& [name, urls] : metrics_urls) {
    services_.emplace(
        name, std::make_unique<Replicas>(Replicas::Options{
                  .base_urls = urls, .client = {.base_url = {}, .name = name, .retry = false, .idle_connections = 0}}));
  }
  service.add({.path = route::kServiceFaults,
               .handler = [this](const Request& request) { return get(request); },
               .uninstrumented = true});
  service.add({.method = Method::put,
               .path = route::kServiceFaults,
               .handler = [this](const Request& request) { return put(request); },
               .uninstrumented = true});
}

Answer FaultRelay::get(const Request& request) {
  const auto& service = request.path_parameters.at("service");
  if (is_own(service)) return show_faults(own_);
  return relay("GET", service, request);
}

Answer FaultRelay::put(const Request& request) {
  if (!is_same_origin(request)) {
    return std::unexpected(Error{ErrorCode::forbidden, "faults can only be set from this site's own page"});
  }
  // A page of another site cannot send this type without asking first.
  const auto type = request.header("Content-Type");
  if (!equal_ignoring_case(trimmed(type.substr(0, type.find(';'))), "application/json")) {
    return invalid("the header 'Content-Type' must be application/json");
  }
  const auto setting = parse_faults(request.body);
  if (!setting) return std::unexpected(setting.error());
  if (!setting->remaining || *setting->remaining < kMinDuration) {
    return invalid("'duration_seconds' must be a number from 1 to 300");
  }
  const auto& service = request.path_parameters.at("service");
  if (is_own(service)) return set_faults(own_, *setting, log_);
  return relay("PUT", service, request);
}

bool FaultRelay::is_own(const std::string& service) const {
  return service == kFrontend.name && !services_.contains(service);
}

Answer FaultRelay::relay(const std::string& method, const std::string& service, const Request& request) {
  const auto found = services_.find(service);
  if (found == services_.end()) return unknown(service);
  auto ticket = requests_.try_acquire(1);
  if (!ticket) return std::unexpected(Error{ErrorCode::overloaded, "too many concurrent requests for faults", 1});
  return Work([this, found, &request, method, ticket = std::move(*ticket)]() -> Result {
    auto answer = ask(method, *found->second, request);
    if (answer) return answer;
    auto& error = answer.error();
    if (error.code == ErrorCode::not_found)
      error.message = found->first + " does not allow faults: FAULTS_ENABLED is not set";
    return answer;
  });
}

Result FaultRelay::ask(const std::string& method, Replicas& replicas, const Request& request) {
  const bool one_is_enough = method == "GET";
  std::stop_source enough;
  const std::stop_callback leave(request.stop, [&enough] { enough.request_stop(); });
  const auto found = replicas.find(kTimeout, request.stop);
  std::vector<std::expected<std::string, Error>> answers(found.size());
  threads_.run_for_each(found.size(), kThreadsPerRequest, [&](std::size_t i) {
    answers[i] = found[i]->client.send_for_body(method,
                                                {.path = route::kFaults,
                                                 .route = route::kFaults,
                                                 .timeout = kTimeout,
                                                 .body = one_is_enough ? "" : request.body,
                                                 .stop = enough.get_token()},
                                                nullptr);
    if (answers[i] && one_is_enough) enough.request_stop();
  });
  // A replica that is not there, or hangs, gives no service that a fault could disturb.
  const auto silent = [](const auto& answer) {
    return !answer && (answer.error().code == ErrorCode::downstream_unavailable ||
                       answer.error().code == ErrorCode::downstream_timeout);
  };
  const auto rank = [&](const auto& answer) {
    return silent(answer) ? 2 : answer.has_value() == one_is_enough ? 0 : 1;
  };
  const auto chosen = std::ranges::min_element(answers, {}, rank);
  if (request.stop.stop_requested()) return cancelled();
  if (chosen == answers.end()) {
    return std::unexpected(Error{ErrorCode::downstream_unavailable, "the host name of its metrics ports is not known"});
  }
  if (!*chosen) return std::unexpected(std::move(chosen->error()));
  return Response{.body = std::move(**chosen)};
}

}  // namespace dice
