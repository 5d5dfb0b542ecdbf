// Derives the evidence for the diagnosis, and the report, from the collected telemetry.
#pragma once

#include "loadgen/verify/collector.h"
#include "loadgen/verify/diagnosis.h"
#include "loadgen/verify/report.h"

namespace dice::loadgen {

Evidence evidence_of(const Collected& collected);

/// Includes the diagnosis; the caller sets the target and the duration.
Report report_of(const Collected& collected);

}  // namespace dice::loadgen
