// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace lb::cli {

struct CommandSummary {
  std::string name;
  std::string description;         // one line
  std::vector<std::string> verbs;  // empty: the command is none of several
};

// What lbctl can do, on a page of 24 lines and 80 columns; `lbctl help` has the rest.
std::string Overview(const std::vector<CommandSummary>& commands);

}  // namespace lb::cli
