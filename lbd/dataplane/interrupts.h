// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace lb::dataplane {

// The CPUs that take the interrupts of an interface: where these are bound to now, or, where that
// is not known, have come since it came up. Only of those that are at least a hundredth of all, so
// that a few about its link or its mailbox do not count. Empty: not known. `root` is in front of
// /proc and /sys.
std::set<uint32_t> InterruptCpus(const std::string& interface, const std::string& root = "");

// The CPUs of the node that the interface is at. Empty: not known.
std::set<uint32_t> LocalCpus(const std::string& interface, const std::string& root = "");

}  // namespace lb::dataplane
