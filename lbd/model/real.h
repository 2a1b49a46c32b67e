// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "lbd/base/ip_address.h"

namespace lb::model {

// What the operator wants of a real server.
enum class AdminState : uint8_t {
  kUp,    // takes traffic
  kDown,  // lends its slots to the others and gets exactly these back when it is up again
};

std::string_view ToString(AdminState state);  // "up", "down"

// A real server of a VIP.
struct Real {
  IpAddress address;      // where encapsulated packets are sent
  uint32_t weight = 100;  // share of the VIP's traffic, 0..1000000; 0 = none
  AdminState admin_state = AdminState::kUp;

  bool operator==(const Real&) const = default;
};

}  // namespace lb::model
