// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace lb::cli {

// How a program ended that was run, and what it said.
struct Ran {
  int code = -1;  // its exit code; -1: it could not be run, or a signal ended it
  std::string output;
};

enum class Errors { kDropped, kToOutput };  // where its standard error goes

// Runs `words`, the first of which is looked for in PATH, and waits for its end.
Ran RunProgram(const std::vector<std::string>& words, Errors errors);

}  // namespace lb::cli
