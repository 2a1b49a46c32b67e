// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

inline constexpr const char* kVersion = LB_VERSION;

// Prints the version of lbctl in any case, then that of lbd.
Status ShowVersion(const Session& session);

}  // namespace lb::cli
