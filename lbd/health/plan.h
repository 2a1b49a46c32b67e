// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/ip_prefix.h"
#include "lbd/dataplane/dataplane.h"
#include "lbd/health/state_machine.h"
#include "lbd/model/check.h"
#include "lbd/model/vip.h"

namespace lb::health {

// A real as one VIP has it.
struct PlannedReal {
  IpAddress address;
  State initial = State::kUnknown;  // where it was not probed before
  model::Encap encap = model::Encap::kIpIp;
};

struct PlannedVip {
  model::VipKey key;
  std::vector<model::HealthCheck> checks;
  std::vector<PlannedReal> reals;
};

// What is to be probed, and how.
struct Plan {
  model::ProbeSettings settings;
  IpPrefix dataplane_source_v4;  // the forwarder's outer sources, for settings.dataplane_source
  IpPrefix dataplane_source_v6;
  uint16_t gue_port = 6080;
  std::vector<PlannedVip> vips;  // with checks only

  bool empty() const { return vips.empty(); }
};

// What the network is like at the moment.
struct Network {
  std::vector<dataplane::NextHopResult> hops;               // of all reals of the plan
  std::vector<dataplane::Attachment> attachments;           // where answers can come in
  std::map<std::string, std::vector<IpAddress>> addresses;  // by interface
};

}  // namespace lb::health
