// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lbd/control/controller.h"
#include "lbd/metrics/samples.h"

namespace lb::control {

// Which reals serve, what probes found, and how probing itself does. `report` says at least
// Detail::kStates.
void CollectHealth(const HealthReport& report, const model::Config& config,
                   metrics::Samples& samples);

}  // namespace lb::control
