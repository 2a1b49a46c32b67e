// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace lb::dataplane {

// Hands out ranges of [0, size), first fit. Thread-compatible.
class RegionAllocator {
 public:
  explicit RegionAllocator(uint32_t size);

  // The first element of a free range of `length`, a multiple of `alignment`; empty when none is
  // free. `length` and `alignment` are positive.
  std::optional<uint32_t> Allocate(uint32_t length, uint32_t alignment = 1);
  // Gives back exactly what Allocate handed out.
  void Free(uint32_t start, uint32_t length);

 private:
  std::map<uint32_t, uint32_t> free_;  // start -> end, never adjacent
};

}  // namespace lb::dataplane
