// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lbd/base/status.h"
#include "lbd/options.h"

namespace lb {

// Runs lbd until SIGTERM or SIGINT. The data plane goes on forwarding afterwards.
// An error: the daemon could not start; what was forwarding before still is.
Status RunDaemon(const Options& options);

// Removes programs, links and pins that any lbd left under `options.pin_path`; says what on stdout.
Status Detach(const Options& options);

// Checks a configuration document as far as that is possible without the host; says so on stdout.
Status CheckFile(const std::string& path);

}  // namespace lb
