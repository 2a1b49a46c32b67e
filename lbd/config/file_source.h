// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lbd/base/status.h"
#include "lbd/model/change.h"

namespace lb::config {

// The configuration document in the file `path`, checked. INVALID_ARGUMENT with every problem at
// once, one "FILE:LINE:COLUMN: path: message" a line.
StatusOr<model::ReplaceConfig> ReadConfigFile(const std::string& path);
// The same for a text that is called `name` in messages.
StatusOr<model::ReplaceConfig> ReadConfigText(const std::string& text, const std::string& name);

}  // namespace lb::config
