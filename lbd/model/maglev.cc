// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/maglev.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <queue>
#include <tuple>
#include <utility>
#include <vector>

#include "lbd/model/real_key.h"

namespace lb::model {
namespace {

// One real on its way through its permutation: (offset + j * skip) mod slots, j = 0, 1, ...
struct Backend {
  Backend(const RingMember& member, uint16_t ring_number, RealKey key)
      : seed(key.seed()),
        address(member.address),
        weight(member.weight),
        number(ring_number),
        position(static_cast<uint32_t>(key.Next())),
        skip(static_cast<uint32_t>(key.Next()) | 1) {}

  uint64_t seed;
  IpAddress address;
  uint64_t weight;
  uint16_t number;
  uint32_t position;
  uint32_t skip;
  uint64_t turns = 0;
};

}  // namespace

Ring MaglevBuilder::BuildPrimary(std::span<const RingMember> members, int bits) const {
  Ring ring(size_t{1} << bits, 0);
  const auto mask = static_cast<uint32_t>(ring.size() - 1);

  std::vector<Backend> backends;
  uint64_t max_weight = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].weight == 0) continue;
    backends.emplace_back(members[i], static_cast<uint16_t>(i + 1), RealKey(members[i].address));
    max_weight = std::max<uint64_t>(max_weight, members[i].weight);
  }
  if (backends.empty()) return ring;
  std::ranges::sort(backends, {}, [](const Backend& b) { return std::tie(b.seed, b.address); });

  // A queue of (round of the next turn, backend) rather than Katran's loop over all backends in
  // each round, which takes for ever when one weight is far above the others.
  using Turn = std::pair<uint64_t, uint32_t>;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> queue;
  const auto schedule = [&](uint32_t i) {
    Backend& backend = backends[i];
    ++backend.turns;
    queue.emplace((backend.turns * max_weight + backend.weight - 1) / backend.weight, i);
  };
  for (uint32_t i = 0; i < backends.size(); ++i) schedule(i);

  for (size_t filled = 0; filled < ring.size(); ++filled) {
    const uint32_t i = queue.top().second;
    queue.pop();
    Backend& backend = backends[i];
    while (ring[backend.position & mask] != 0) backend.position += backend.skip;
    ring[backend.position & mask] = backend.number;
    schedule(i);
  }
  return ring;
}

}  // namespace lb::model
