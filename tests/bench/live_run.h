// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "lbd/base/status.h"
#include "tests/bench/cases.h"
#include "tests/bench/result.h"

namespace lb::bench {

// CPU time per packet of the thread that receives from a veth, runs a contender and sends its
// output back: what MeasureByTestRun() gives, and the cost of the veth driver. Every frame that
// comes back must have the right length. Only for cases whose packets are forwarded. The thread
// runs on `napi_cpu`; sender and sink where the caller does, better not on the same CPU.
StatusOr<std::vector<Result>> MeasureLive(const Case& c, int runs, int napi_cpu);

}  // namespace lb::bench
