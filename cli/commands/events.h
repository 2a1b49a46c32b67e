// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

struct EventsArguments {
  bool follow = false;
  std::optional<uint64_t> from;    // sequence
  std::vector<std::string> kinds;  // empty: all
};

Status ShowEvents(const Session& session, const EventsArguments& arguments);

}  // namespace lb::cli
