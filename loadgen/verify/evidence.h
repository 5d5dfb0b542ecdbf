// From what was collected to the diagnosis and the report.
#pragma once

#include "loadgen/verify/collector.h"
#include "loadgen/verify/diagnosis.h"
#include "loadgen/verify/report.h"

namespace dice::loadgen {

Evidence evidence_of(const Collected& collected);

/// With the causes that the evidence leads to; target and duration are still to be set.
Report report_of(const Collected& collected);

}  // namespace dice::loadgen
