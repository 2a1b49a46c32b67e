// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "lbd/control/controller.h"
#include "lbd/dataplane/finding.h"

namespace lb::control {

// Everything that may stand between packets and reals on this host: kernel, interfaces, next hops,
// configuration. Only looks.
std::vector<dataplane::Finding> Examine(Controller& controller);

}  // namespace lb::control
