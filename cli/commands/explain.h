// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

// What follows "lbctl flow explain".
struct ExplainArguments {
  std::string source;
  std::string destination;  // "203.0.113.10:443/tcp"
  std::vector<std::string> flags;
  std::optional<uint32_t> length;
  std::string frame;    // hex digits, in place of the addresses
  std::string pending;  // a configuration document
  bool live = false;
  std::optional<uint32_t> count;    // of live packets
  std::optional<uint32_t> seconds;  // that --live lasts
};

Status ExplainFlow(const Session& session, const ExplainArguments& arguments);

}  // namespace lb::cli
