// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "lbd/base/status.h"
#include "tests/bench/cases.h"
#include "tests/bench/result.h"

namespace lb::bench {

// CPU time per packet of every contender under BPF_PROG_TEST_RUN, in the order of kContenders.
// Fails where any program does not do to the packets what it should.
StatusOr<std::vector<Result>> MeasureByTestRun(const Case& c, int runs);

}  // namespace lb::bench
