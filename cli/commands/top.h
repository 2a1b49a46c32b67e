// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "cli/session.h"
#include "cli/top_view.h"
#include "lbd/base/status.h"

namespace lb::cli {

struct TopArguments {
  bool once = false;
  std::optional<double> interval;  // seconds between two looks; default 1
};

// The two latest looks at lbd.
struct TopLooks {
  TopSample before;
  TopSample now;
  std::string problem;  // why lbd does not answer; empty: it does
};
// lbd has to answer.
StatusOr<TopLooks> FirstLook(const Session& session);
StatusOr<TopSample> Look(const Session& session);
// Makes `look` the latest. Where lbd did not answer, as when it restarts, the looks stay and
// `problem` says so. Any other error is returned.
Status Take(StatusOr<TopSample> look, TopLooks& looks);

// A live view of what lbd forwards; with `once`, or where the output is no terminal, one page of
// totals and of rates over one interval.
Status Top(const Session& session, const TopArguments& arguments);

}  // namespace lb::cli
