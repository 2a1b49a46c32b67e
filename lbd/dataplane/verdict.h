// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lbd/dataplane/dataplane.h"

namespace lb::dataplane {

// Every verdict, in the order of the enum, without packets.
std::span<const VerdictCounter> AllVerdicts();
// The one with this number; unknown ones are called "unknown".
const VerdictCounter& VerdictOf(uint32_t number);

// What people ask when they see a verdict: why it usually comes, and what to do.
struct Advice {
  std::string_view cause;
  std::string_view next_step;
};
Advice AdviceOn(uint32_t verdict);

}  // namespace lb::dataplane
