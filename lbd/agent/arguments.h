// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lb::agent {

// gflags keeps the last of repeated flags: this joins all `--name` of a command line into one with
// a comma-separated list. Arguments behind "--" stay.
std::vector<std::string> JoinRepeated(const std::vector<std::string>& arguments,
                                      std::string_view name);

// The items of a comma-separated list, without empty ones.
std::vector<std::string> SplitList(std::string_view list);

}  // namespace lb::agent
