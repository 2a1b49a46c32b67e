// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "cli/run.h"

namespace {

bool IsTerminal() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

bool WantsColour() {
  const char* no_color = std::getenv("NO_COLOR");
  return IsTerminal() && (no_color == nullptr || *no_color == '\0');
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  ::setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // our own messages say it better
  return lb::cli::Run(argc, argv, {std::cin, std::cout, std::cerr, WantsColour(), IsTerminal()});
}
