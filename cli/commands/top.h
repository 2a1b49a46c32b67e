// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

struct TopArguments {
  bool once = false;
  std::optional<double> interval;  // seconds between two looks; default 1
};

// A live view of what lbd forwards; with `once`, or where the output is no terminal, one page of
// totals and of rates over one interval.
Status Top(const Session& session, const TopArguments& arguments);

}  // namespace lb::cli
