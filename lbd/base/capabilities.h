// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "lbd/base/status.h"

namespace lb {

// Gives up every capability but these (CAP_... of linux/capability.h), for this thread and all that
// it starts, and the way to get any back. What it does not have is no error.
Status KeepOnlyCapabilities(std::span<const int> kept);

}  // namespace lb
