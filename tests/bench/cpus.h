// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <vector>

#include "lbd/base/status.h"

namespace lb::bench {

// The CPUs that this thread may use, ascending; never empty.
std::vector<int> AllowedCpus();
// Keeps a thread on one CPU; 0 is the calling one.
Status PinToCpu(pid_t thread, int cpu);

}  // namespace lb::bench
