// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "lb/flow_table.h"
#include "lbd/model/slots.h"

namespace lb::model {

// The words of one ring, as the maps hold them.
struct SlotMemory {
  explicit SlotMemory(size_t slots) : ring(slots), next(slots), refused(slots) {}

  Slots::Words words() { return {.ring = ring, .next = next, .refused = refused}; }

  std::vector<uint16_t> ring;
  std::vector<uint16_t> next;
  std::vector<uint8_t> refused;
};

// The program's side of one VIP: the real of a packet, and what the packet leaves behind.
inline uint16_t Forward(SlotMemory& memory, std::span<lb_flow_bucket> buckets, uint64_t hash,
                        lb_flow_event event, uint32_t tick, bool always = false) {
  const size_t slot = hash >> (64 - std::countr_zero(memory.ring.size()));
  const uint16_t word = memory.ring[slot];
  const uint16_t old = word & LB_RING_REAL_MASK;
  if ((word & LB_RING_TRACK) == 0) return old;
  if (buckets.empty()) {
    memory.refused[slot] = 1;
    return old;
  }
  lb_flow_record record{};
  const uint16_t real =
      lb_flow_real(&buckets[hash & (buckets.size() - 1)], lb_flow_fingerprint(hash), old,
                   memory.next[slot], event, tick, always, &record);
  if (record == LB_FLOW_REFUSED) memory.refused[slot] = 1;
  return real;
}

// The hash of flow `number` in `slot` of a ring of `slots`, in bucket `bucket`.
inline uint64_t HashOf(size_t slot, size_t slots, uint32_t number, uint32_t bucket = 0) {
  return uint64_t{slot} << (64 - std::countr_zero(slots)) | uint64_t{number} << 24 | bucket;
}

}  // namespace lb::model
