// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

Status ShowStatus(const Session& session);

}  // namespace lb::cli
