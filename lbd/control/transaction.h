// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lbd/model/vip.h"

namespace lb::control {

using WallTime = std::chrono::system_clock::time_point;

// How a change is to be made.
struct ChangeOptions {
  std::string author;      // who asks
  std::string comment;     // why
  std::string request_id;  // the same again gets the same answer; empty: each call is a new one
  uint64_t request_digest = 0;           // of what is asked with that id
  std::optional<std::string> etag;       // of the configuration that must be in force
  bool validate_only = false;            // only say what would happen
  std::optional<double> max_disruption;  // of a VIP's slots, 0..1, may move
  std::optional<uint32_t> max_changes;   // lines of difference there may be
  // Unless it is confirmed in time, what was in force comes back.
  std::optional<std::chrono::seconds> confirm_within;
};

// What a change does to the connections of one VIP.
struct Disruption {
  model::VipKey vip;
  double moved_slots = 0;   // share of its slots that lead to another real
  uint64_t lost_flows = 0;  // tracked flows whose real is taken away
  bool operator==(const Disruption&) const = default;
};

struct Outcome {
  uint64_t generation = 0;
  std::string etag;
  std::vector<std::string> changes;
  std::vector<Disruption> disruptions;  // with validate_only or max_disruption: VIPs that move
  std::optional<WallTime> confirm_by;
};

}  // namespace lb::control
