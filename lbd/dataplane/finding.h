// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "lbd/base/status.h"

namespace lb::dataplane {

enum class Level : uint8_t { kOk, kWarn, kFail };

// One thing that a doctor looked at.
struct Finding {
  std::string check;  // "kernel", "eth0: lro"
  Level level = Level::kOk;
  std::string message;  // what was found
  std::string fix;      // the command that puts it right; empty: nothing to do

  bool operator==(const Finding&) const = default;
};

// A line each, and below it what to do.
std::string ToText(std::span<const Finding> findings);
// {"findings": [{"check", "level": "ok", "warn" or "fail", "message", "fix"}]}, as lbctl doctor
// prints.
std::string ToJson(std::span<const Finding> findings);
// An error where something fails.
Status ToStatus(std::span<const Finding> findings);

}  // namespace lb::dataplane
