// What can be measured in a trace.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/telemetry/trace_model.h"

namespace dice::loadgen {

using dice::Attributes;
using dice::parse_trace;
using dice::Trace;
using dice::TraceSpan;

/// "SERVER GET /roll of dice-roller"
std::string describe(const TraceSpan& span);

/// The greatest number of spans that are under way at the same moment.
std::size_t greatest_overlap(const std::vector<const TraceSpan*>& spans);

/// How long pieces of work take on `workers` workers that take them in order, each when it is free.
double makespan(const std::vector<double>& seconds, std::size_t workers);

}  // namespace dice::loadgen
