// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lbd/model/vip.h"

namespace lb::model {

// The source route of `vip` whose RouteNumber() this is; null where it has none, and for 0, which
// stands for the VIP's own reals.
const SourceRoute* FindRoute(const Vip& vip, uint16_t number);

}  // namespace lb::model
