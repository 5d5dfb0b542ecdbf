// Measurements on a trace.
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

/// The maximum number of spans in progress at the same time.
std::size_t max_overlap(const std::vector<const TraceSpan*>& spans);

/// The time that tasks of these durations take on `workers` workers, if each free worker takes the next task.
double makespan(const std::vector<double>& seconds, std::size_t workers);

}  // namespace dice::loadgen
