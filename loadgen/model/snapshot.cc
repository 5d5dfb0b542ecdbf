#include "loadgen/model/snapshot.h"

#include "loadgen/model/query.h"

namespace dice::loadgen {

const std::vector<Series>& series_of(const Snapshot& snapshot, const std::string& service) {
  static const std::vector<Series> kNone;
  const auto found = snapshot.find(service);
  return found == snapshot.end() ? kNone : found->second;
}

std::string service_of(const std::vector<Series>& target) {
  for (const auto& series : target) {
    if (series.name == "die_specifications_loaded") return kDieService;
    if (series.name == "die_service_circuit_breaker_state") return kDiceRoller;
    if (series.name == "http_requests_in_progress" && series.label("route") == "/api/traces/{trace_id}") {
      return kFrontend;
    }
  }
  return {};
}

double moved(const Snapshot& before, const Snapshot& after, const std::string& service, const std::string& name,
             const std::map<std::string, std::string>& labels) {
  const auto sum = [&](const Snapshot& snapshot) {
    double value = 0;
    for (const auto& series : series_of(snapshot, service)) {
      if (series.name == name && series.matches(labels)) value += series.value;
    }
    return value;
  };
  return sum(after) - sum(before);
}

}  // namespace dice::loadgen
