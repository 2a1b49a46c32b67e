// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/region_allocator.h"

#include <iterator>

namespace lb::dataplane {

RegionAllocator::RegionAllocator(uint32_t size) {
  if (size > 0) free_.emplace(0, size);
}

std::optional<uint32_t> RegionAllocator::Allocate(uint32_t length, uint32_t alignment) {
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    const auto [start, end] = *it;
    const uint64_t aligned = (uint64_t{start} + alignment - 1) / alignment * alignment;
    if (aligned + length > end) continue;
    free_.erase(it);
    if (aligned > start) free_.emplace(start, aligned);
    if (aligned + length < end) free_.emplace(aligned + length, end);
    return aligned;
  }
  return std::nullopt;
}

void RegionAllocator::Free(uint32_t start, uint32_t length) {
  uint32_t end = start + length;
  auto next = free_.lower_bound(start);
  if (next != free_.end() && next->first == end) {
    end = next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    if (const auto before = std::prev(next); before->second == start) {
      before->second = end;
      return;
    }
  }
  free_.emplace(start, end);
}

}  // namespace lb::dataplane
