// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace lb::model {

inline constexpr int kLogFractionBits = 59;

// ln(n) in units of 2^-59, n >= 1, off by less than 2^-56. Integers only: libm may differ from
// machine to machine in the last bit, and balancers that disagree about a slot break connections.
uint64_t IntegerLog(uint32_t n);

}  // namespace lb::model
