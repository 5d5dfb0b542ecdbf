// The metrics of all services at one time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "contract/metric.h"
#include "loadgen/model/series.h"

namespace dice::loadgen {

/// The series of the histogram of latencies, whose exemplars lead from metrics to traces.
inline const std::string kLatencyBuckets = std::string(name_of(Metric::http_request_duration)) + "_bucket";

/// By the service's name.
using Snapshot = std::map<std::string, std::vector<Series>>;

/// Empty when there is no such service.
const std::vector<Series>& series_of(const Snapshot& snapshot, const std::string& service);

/// The service whose metrics these are; empty when it is none of the three.
std::string service_of(const std::vector<Series>& target);

/// By how much a counter of a service moved, summed over its series with these labels.
double moved(const Snapshot& before, const Snapshot& after, const std::string& service, std::string_view name,
             const std::map<std::string, std::string>& labels = {});

}  // namespace dice::loadgen
