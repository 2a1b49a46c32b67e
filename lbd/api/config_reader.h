// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "lbd/base/status.h"
#include "lbd/model/change.h"

namespace lb::api {

// Reads the configuration file that lbd was started with; null where there is none.
using ConfigReader = std::function<StatusOr<model::ReplaceConfig>()>;

}  // namespace lb::api
