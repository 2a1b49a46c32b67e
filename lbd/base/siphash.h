// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace lb {

// 128-bit key of a keyed hash.
struct HashKey {
  uint64_t k0 = 0;
  uint64_t k1 = 0;
  auto operator<=>(const HashKey&) const = default;
};

// SipHash-2-4 (Aumasson and Bernstein, 2012) of `bytes`: 64 bits, the same on every machine.
uint64_t SipHash24(const HashKey& key, std::span<const uint8_t> bytes);

}  // namespace lb
