// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands/change.h"
#include "cli/output.h"
#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

// What follows "lbctl real VERB"; each verb uses the part that it documents.
struct RealArguments {
  std::string vip;  // may be empty for ListReals: of all VIPs
  std::string address;
  std::optional<uint32_t> weight;
  std::optional<uint64_t> server_id;
  std::optional<std::string> state;
  std::optional<std::string> encap;
  bool if_exists = false;
  ChangeArguments change;
};

Status AddReal(const Session& session, const RealArguments& arguments);
// Changes what the arguments set and leaves the rest.
Status UpdateReal(const Session& session, const RealArguments& arguments);
// Undoes a drain, or whatever else keeps it from traffic.
Status ActivateReal(const Session& session, const RealArguments& arguments);
Status DeleteReal(const Session& session, const RealArguments& arguments);
Status ListReals(const Session& session, const RealArguments& arguments);

// The reals of each VIP, which is given as text; with their health where reals are probed.
Table RealTable(const std::vector<std::pair<std::string, v1::ListRealsResponse>>& vips,
                const v1::GetHealthResponse& health, bool with_vip, bool wide = false);
// For RealTable(): of one VIP or, without a key, of all. Empty where lbd does not say.
v1::GetHealthResponse HealthFor(const Session& session, const v1::VipKey* vip);

}  // namespace lb::cli
