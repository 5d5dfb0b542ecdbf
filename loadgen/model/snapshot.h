// The metrics of all services at one point in time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "contract/metric.h"
#include "loadgen/model/series.h"

namespace dice::loadgen {

/// Buckets of the latency histogram, whose exemplars link metrics to traces.
inline const std::string kLatencyBuckets = std::string(name_of(Metric::http_request_duration)) + "_bucket";

/// By the service's name.
using Snapshot = std::map<std::string, std::vector<Series>>;

/// Empty if the service is not in the snapshot.
const std::vector<Series>& series_of(const Snapshot& snapshot, const std::string& service);

/// The name of the service that these metrics belong to; empty if it is none of the three.
std::string service_of(const std::vector<Series>& target);

/// The increase of a service's counter, summed over all series with these labels.
double moved(const Snapshot& before, const Snapshot& after, const std::string& service, std::string_view name,
             const std::map<std::string, std::string>& labels = {});

}  // namespace dice::loadgen
