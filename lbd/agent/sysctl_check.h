// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace lb::agent {

// Settings of the kernel that break direct server return on `interface`, one sentence each with its
// remedy. `root` is where /proc/sys/net/ipv4/conf is.
std::vector<std::string> CheckSysctls(const std::string& root, const std::string& interface);

// The value in force: the larger of "all" and the interface's own.
int SysctlInForce(const std::string& root, const std::string& interface, const char* name);

}  // namespace lb::agent
