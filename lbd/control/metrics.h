// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lbd/control/controller.h"
#include "lbd/metrics/samples.h"

namespace lb::control {

// What is in force, what the kernel counted, and how far the two agree.
void CollectMetrics(Controller& controller, std::string_view version, metrics::Samples& samples);

// Why this process ought to be restarted; empty: no reason. Waits at most two seconds.
std::vector<std::string> NotAlive(Controller& controller);
// Why traffic ought not to be sent here: nothing is configured, or an interface does not forward.
std::vector<std::string> NotReady(Controller& controller);

}  // namespace lb::control
