// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/disruption.h"

#include <algorithm>
#include <vector>

namespace lb::model {
namespace {

// For each owner in a ring of `vip` (0: nobody) its number in a ring of `other`, or one that no
// ring has.
std::vector<uint32_t> NumbersIn(const Vip& vip, const Vip& other) {
  constexpr uint32_t kNowhere = UINT32_MAX;
  std::vector<uint32_t> numbers{0};
  for (size_t i = 0; i < vip.reals.size(); ++i) {
    const IpAddress& address = vip.reals[i].address;
    if (i < other.reals.size() && other.reals[i].address == address) {
      numbers.push_back(static_cast<uint32_t>(i + 1));
      continue;
    }
    const auto it = std::ranges::find(other.reals, address, &Real::address);
    numbers.push_back(
        it == other.reals.end() ? kNowhere : static_cast<uint32_t>(it - other.reals.begin() + 1));
  }
  return numbers;
}

}  // namespace

double MovedShare(const Vip& before, const Ring& ring_before, const Vip& after,
                  const Ring& ring_after) {
  const size_t slots = std::max(ring_before.size(), ring_after.size());
  if (slots == 0 || ring_before.empty() || ring_after.empty()) return 0;
  const std::vector<uint32_t> numbers = NumbersIn(before, after);
  const size_t stride_before = slots / ring_before.size();
  const size_t stride_after = slots / ring_after.size();
  size_t moved = 0;
  for (size_t slot = 0; slot < slots; ++slot) {
    moved += numbers[ring_before[slot / stride_before]] != ring_after[slot / stride_after];
  }
  return static_cast<double>(moved) / static_cast<double>(slots);
}

}  // namespace lb::model
