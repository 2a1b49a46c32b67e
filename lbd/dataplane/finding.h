// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

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

}  // namespace lb::dataplane
