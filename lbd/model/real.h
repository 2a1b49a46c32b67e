// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "lbd/base/ip_address.h"
#include "lbd/model/encap.h"

namespace lb::model {

// What the operator wants of a real server.
enum class RealState : uint8_t {
  kActive,    // takes traffic
  kDraining,  // keeps its connections and gets no new ones
  kDown,      // does not serve: as draining, but nothing waits for it
  kStandby,   // takes traffic while no active real can
};

std::string_view ToString(RealState state);  // "active", "draining", "down", "standby"

// A real server of a VIP. One that is draining or down lends its slots to the others and gets
// exactly these back when it is active again.
struct Real {
  IpAddress address;      // where encapsulated packets are sent
  uint32_t weight = 100;  // share of the VIP's traffic, 0..1000000; 0 = none
  RealState state = RealState::kActive;
  // By which packets name it where their VIP is routed by id; unique within the VIP.
  std::optional<uint64_t> server_id;
  Encap encap = Encap::kIpIp;
  std::optional<uint32_t> drain;  // seconds after which a draining real loses what is left

  bool operator==(const Real&) const = default;
};

}  // namespace lb::model
