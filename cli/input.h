// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

// The text of a document in `file`; "-" is the standard input.
StatusOr<std::string> ReadInput(const std::string& file, const Io& io);

}  // namespace lb::cli
