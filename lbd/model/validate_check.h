// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lbd/model/check.h"
#include "lbd/model/validate.h"
#include "lbd/model/vip.h"

namespace lb::model {

// Everything that is wrong with a check of the VIP `key`; `path` names it, as "vips[0].checks[1]".
std::vector<Problem> ValidateCheck(const HealthCheck& check, const VipKey& key,
                                   const std::string& path);

}  // namespace lb::model
