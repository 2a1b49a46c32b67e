// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lb::cli {

struct ManSection {
  std::string command;      // "lbctl vip add"
  std::string description;  // one line
  std::string help;         // as --help prints it
};

// The manual page lbctl(1) in troff.
std::string ManPage(std::string_view version, std::string_view summary, std::string_view overview,
                    const std::vector<ManSection>& commands);

}  // namespace lb::cli
