// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

// Writes a tar.gz with what a developer asks for first: configuration (without its key), status,
// counters, verdicts, doctor, events, metrics of the kernel and the log. What cannot be had is said
// in its place.
Status SupportBundle(const Session& session, const std::string& file);

}  // namespace lb::cli
