// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace lb::model {

__extension__ using uint128 = unsigned __int128;

// The upper half of a 64 x 64 bit product.
constexpr uint64_t MultiplyHigh(uint64_t a, uint64_t b) {
  return static_cast<uint64_t>((uint128{a} * b) >> 64);
}

}  // namespace lb::model
