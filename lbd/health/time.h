// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace lb::health {

// CLOCK_MONOTONIC, by which the XDP program stamps frames, too.
using Time = std::chrono::steady_clock::time_point;
using Duration = Time::duration;

}  // namespace lb::health
