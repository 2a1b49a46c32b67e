// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

// What follows "lbctl health"; each verb uses the part that it documents.
struct HealthArguments {
  std::string vip;  // empty: of all VIPs
  std::string real;
  std::string state;  // "up", "down", "auto"
  std::optional<uint32_t> seconds;
};

Status ShowHealth(const Session& session, const HealthArguments& arguments);
Status ShowHealthHistory(const Session& session, const HealthArguments& arguments);
Status SetHealth(const Session& session, const HealthArguments& arguments);

}  // namespace lb::cli
