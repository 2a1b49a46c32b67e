// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "lbd/model/real_key.h"

namespace lb::model {

// A pseudo-random permutation of the numbers below 2^bits, bits in 2..32: a Feistel network (Luby
// and Rackoff, 1988) of four rounds, whose halves differ by one bit when `bits` is odd. Value type.
class Permutation {
 public:
  Permutation(RealKey& key, int bits)
      : low_bits_(bits / 2),
        low_mask_((uint32_t{1} << low_bits_) - 1),
        high_mask_((uint32_t{1} << (bits - low_bits_)) - 1) {
    for (Round& round : rounds_) {
      const uint64_t word = key.Next();
      round = {.mask = static_cast<uint32_t>(word >> 32),
               .multiply = static_cast<uint32_t>(word) | 1};
    }
  }

  uint32_t operator()(uint32_t x) const {
    uint32_t low = x & low_mask_;
    uint32_t high = x >> low_bits_;
    high ^= rounds_[0](low) & high_mask_;
    low ^= rounds_[1](high) & low_mask_;
    high ^= rounds_[2](low) & high_mask_;
    low ^= rounds_[3](high) & low_mask_;
    return high << low_bits_ | low;
  }

  // Inverse((*this)(x)) == x.
  uint32_t Inverse(uint32_t y) const {
    uint32_t low = y & low_mask_;
    uint32_t high = y >> low_bits_;
    low ^= rounds_[3](high) & low_mask_;
    high ^= rounds_[2](low) & high_mask_;
    low ^= rounds_[1](high) & low_mask_;
    high ^= rounds_[0](low) & high_mask_;
    return high << low_bits_ | low;
  }

 private:
  struct Round {
    uint32_t mask = 0;
    uint32_t multiply = 1;
    // Not the lowest bits of the product: they depend on few bits of the factors.
    uint32_t operator()(uint32_t half) const { return ((half ^ mask) * multiply) >> 16; }
  };

  int low_bits_;
  uint32_t low_mask_;
  uint32_t high_mask_;
  std::array<Round, 4> rounds_;
};

}  // namespace lb::model
