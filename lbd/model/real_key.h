// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lbd/base/ip_address.h"
#include "lbd/base/siphash.h"

namespace lb::model {

// The stream of 64-bit words from which rings draw everything that they decide by chance about one
// real. It depends on the address of the real and on nothing else.
class RealKey {
 public:
  explicit RealKey(const IpAddress& address)
      : seed_(SipHash24({.k0 = 0x6c62642072696e67, .k1 = 0}, address.mapped())), state_(seed_) {}

  uint64_t seed() const { return seed_; }

  // SplitMix64 (Steele, Lea and Flood, 2014).
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  uint64_t seed_;
  uint64_t state_;
};

}  // namespace lb::model
