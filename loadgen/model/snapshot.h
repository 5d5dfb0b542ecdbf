// The metrics of all services at one time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "loadgen/model/series.h"

namespace dice::loadgen {

/// By the service's name.
using Snapshot = std::map<std::string, std::vector<Series>>;

/// Empty when there is no such service.
const std::vector<Series>& series_of(const Snapshot& snapshot, const std::string& service);

/// The service whose metrics these are; empty when it is none of the three.
std::string service_of(const std::vector<Series>& target);

/// By how much a counter of a service moved, summed over its series with these labels.
double moved(const Snapshot& before, const Snapshot& after, const std::string& service, const std::string& name,
             const std::map<std::string, std::string>& labels = {});

}  // namespace dice::loadgen
