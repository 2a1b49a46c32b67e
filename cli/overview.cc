// SPDX-License-Identifier: Apache-2.0
#include "cli/overview.h"

#include <fmt/format.h>

#include <string_view>

namespace lb::cli {
namespace {

constexpr size_t kColumns = 80;
constexpr std::string_view kMore = ", ...";

// "Real servers of a VIP: add, update, ...", as many verbs as fit.
std::string Row(const CommandSummary& command) {
  std::string row = fmt::format("  {:15} {}", command.name, command.description);
  const char* separator = ": ";
  for (const std::string& verb : command.verbs) {
    const bool last = &verb == &command.verbs.back();
    if (row.size() + 2 + verb.size() + (last ? 0 : kMore.size()) > kColumns) {
      return row.append(kMore);
    }
    row += separator + verb;
    separator = ", ";
  }
  return row;
}

}  // namespace

std::string Overview(const std::vector<CommandSummary>& commands) {
  std::string text = "Controls lbd, the XDP load balancer. Usage: lbctl COMMAND [OPTIONS]\n\n";
  for (const CommandSummary& command : commands) text += Row(command) + "\n";
  text += R"(
As in: lbctl vip add 203.0.113.10:443/tcp --real 10.0.0.1 --real 10.0.0.2
Every command: -o table|wide|json|yaml|name   --server unix:PATH|HOST:PORT
lbctl help COMMAND: its options and examples; lbctl help options: those of every
command, exit codes, variables, how VIPs are written. Also: man lbctl
)";
  return text;
}

}  // namespace lb::cli
