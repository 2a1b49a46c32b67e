// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

struct StatsArguments {
  std::string vip;     // empty: all of them
  bool all = false;    // also verdicts that no packet got
  bool drops = false;  // explain them
};

// Every verdict that packets got, or all of them: what it means, its usual cause, what to do.
Status ShowDrops(const Session& session, const StatsArguments& arguments);
Status ShowStats(const Session& session, const StatsArguments& arguments);

}  // namespace lb::cli
