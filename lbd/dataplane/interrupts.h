// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace lb::dataplane {

// How many CPUs take the interrupts of an interface, since it came up: each at least a hundredth of
// them, so that a few about its link or its mailbox do not count. 0: not known. `root` is in front
// of /proc and /sys.
uint32_t CountInterruptCpus(const std::string& interface, const std::string& root = "");

}  // namespace lb::dataplane
