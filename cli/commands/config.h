// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

struct ConfigArguments {
  std::string file;  // "-" is the standard input
  bool dry_run = false;
};

// Problems are printed to the error stream as "FILE:LINE:COLUMN: path: message"; the status sums
// up.
Status ApplyConfig(const Session& session, const ConfigArguments& arguments);
Status GetConfig(const Session& session);

}  // namespace lb::cli
