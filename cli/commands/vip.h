// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands/change.h"
#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

// What follows "lbctl vip VERB"; each verb uses the part that it documents.
struct VipArguments {
  std::string vip;
  std::optional<std::string> name;
  std::optional<std::string> ring;
  std::optional<uint32_t> ring_bits;
  std::optional<std::string> hash;
  std::optional<std::string> tracking;
  std::vector<std::string> allow;        // prefixes; "all": none is named
  std::vector<std::string> deny;         // prefixes; "none": none is named
  std::optional<std::string> new_flows;  // "N" or "N/BURST"; "0": no limit
  std::optional<std::string> new_flows_per_source;
  std::optional<uint32_t> window;  // seconds
  std::optional<uint32_t> idle;    // seconds
  std::optional<uint32_t> flow_entries;
  std::optional<std::string> route_by_id;
  std::optional<uint32_t> slow_start;  // seconds
  std::vector<std::string> reals;
  bool if_exists = false;
  ChangeArguments change;
};

Status AddVip(const Session& session, const VipArguments& arguments);
// Changes what the arguments set and leaves the rest.
Status UpdateVip(const Session& session, const VipArguments& arguments);
Status DeleteVip(const Session& session, const VipArguments& arguments);
Status ListVips(const Session& session);
Status ShowVip(const Session& session, const VipArguments& arguments);

}  // namespace lb::cli
