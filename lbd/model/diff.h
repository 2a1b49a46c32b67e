// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lbd/model/config.h"

namespace lb::model {

// What turns `before` into `after`, one line per object, for people: "+ 192.0.2.1:80/tcp",
// "- 192.0.2.1:80/tcp real 10.0.0.1", "~ 192.0.2.1:80/tcp real 10.0.0.1: weight 100 -> 50". Secrets
// are named, never shown.
std::vector<std::string> Diff(const Config& before, const Config& after);
// The same for one VIP; null where it does not exist.
std::vector<std::string> DiffVip(const Vip* before, const Vip* after);

}  // namespace lb::model
