// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lbd/model/check.h"

namespace lb::model {

// What turns the checks `before` of a VIP into `after`, a change each: "checks[1] http.path
// \"/\" -> \"/ready\"", "checks[2] + icmp". What may be a secret (headers, what is sent) is named,
// never shown.
std::vector<std::string> DiffChecks(const std::vector<HealthCheck>& before,
                                    const std::vector<HealthCheck>& after);

}  // namespace lb::model
