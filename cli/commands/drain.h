// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/commands/change.h"
#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

struct DrainArguments {
  std::string vip;
  std::string address;
  std::optional<uint32_t> deadline;  // seconds
  ChangeArguments change;
  bool wait = false;
  std::optional<double> wait_timeout;  // seconds
};

// How often a waiting drain looks and speaks.
struct DrainPace {
  std::chrono::milliseconds look{1000};
  std::chrono::milliseconds speak{5000};    // where there is no line to write anew
  std::chrono::milliseconds confirm{6000};  // lbd's numbers are up to 5 s old
};

// Lets a real keep its connections and get no new ones, and with `wait` returns when it has none.
Status DrainReal(const Session& session, const DrainArguments& arguments,
                 const DrainPace& pace = {});

}  // namespace lb::cli
