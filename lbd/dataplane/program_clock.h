// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <time.h>

#include <cstdint>

#include "lb/flow_table.h"

namespace lb::dataplane {

// Nanoseconds of the clock by which the programs measure (bpf_ktime_get_coarse_ns).
inline uint64_t ProgramClock() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// The same in units of the flow table's ages.
inline uint32_t ProgramTick() {
  return static_cast<uint32_t>(ProgramClock() >> LB_FLOW_TICK_SHIFT);
}

}  // namespace lb::dataplane
