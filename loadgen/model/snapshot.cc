#include "loadgen/model/snapshot.h"

#include "contract/metric.h"
#include "contract/names.h"

namespace dice::loadgen {

const std::vector<Series>& series_of(const Snapshot& snapshot, const std::string& service) {
  static const std::vector<Series> kNone;
  const auto found = snapshot.find(service);
  return found == snapshot.end() ? kNone : found->second;
}

std::string service_of(const std::vector<Series>& target) {
  for (const auto& series : target) {
    if (series.name == name_of(Metric::die_specifications_loaded)) return kDieService.name;
    if (series.name == name_of(Metric::die_service_circuit_breaker_state)) return kDiceRoller.name;
    if (series.name == name_of(Metric::http_requests_in_progress) && series.label("route") == route::kTrace) {
      return kFrontend.name;
    }
  }
  return {};
}

double moved(const Snapshot& before, const Snapshot& after, const std::string& service, std::string_view name,
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
