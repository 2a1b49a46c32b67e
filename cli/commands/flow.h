// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

// What follows "lbctl flow VERB"; each verb uses the part that it documents.
struct FlowArguments {
  std::string vip;
  std::optional<uint32_t> limit;
  std::string real;  // empty: of all reals
};

Status ListFlows(const Session& session, const FlowArguments& arguments);
Status PurgeFlows(const Session& session, const FlowArguments& arguments);

}  // namespace lb::cli
