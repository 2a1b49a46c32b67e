// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/flow_table.h"

#include <algorithm>
#include <atomic>

namespace lb::model {
namespace {

// Whole ticks that a flow is kept after its FIN or RST, for what is still on its way.
constexpr uint32_t kEndedTicks = 2;

uint64_t Load(const uint64_t& entry) {
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(entry)).load(std::memory_order_relaxed);
}

}  // namespace

uint32_t FlowTicks(uint32_t seconds) {
  return static_cast<uint32_t>(((uint64_t{seconds} * 1'000'000'000 - 1) >> LB_FLOW_TICK_SHIFT) + 1);
}

FlowTable::Census FlowTable::Sweep(const Slots& slots, const FlowPolicy& policy,
                                   uint32_t tick) const {
  const uint32_t idle_ticks = FlowTicks(policy.idle);
  const int shift = LB_FLOW_FINGERPRINT_BITS - slots.bits();
  Census census{.foreign = std::vector<uint32_t>(slots.size()), .per_real = {}};
  for (lb_flow_bucket& bucket : buckets_) {
    for (__u64& word : bucket.entries) {
      const uint64_t entry = Load(word);
      if (entry == 0) continue;
      const uint32_t age = lb_flow_entry_age(entry, tick);
      const uint32_t limit = (entry & LB_FLOW_ENDED) != 0 ? kEndedTicks : idle_ticks;
      const uint16_t real = lb_flow_entry_real(entry);
      const size_t slot = lb_flow_entry_fingerprint(entry) >> shift;
      const uint16_t owner = slots.old_owner(slot);
      const bool needless = !policy.always && (!slots.tracked(slot) ||
                                               (real == owner && slots.next_owner(slot) == owner));
      if (age > limit || needless) {
        if (lb_flow_swap(&word, entry, 0)) {
          census.expired += age > limit;
          continue;
        }
      }
      ++census.entries;
      if (real != owner) ++census.foreign[slot];
      if (real >= census.per_real.size()) census.per_real.resize(real + size_t{1});
      ++census.per_real[real];
    }
  }
  return census;
}

uint64_t FlowTable::Purge(const std::function<bool(uint16_t)>& real) const {
  uint64_t purged = 0;
  for (lb_flow_bucket& bucket : buckets_) {
    for (__u64& word : bucket.entries) {
      uint64_t entry = Load(word);
      while (entry != 0 && real(lb_flow_entry_real(entry))) {
        if (lb_flow_swap(&word, entry, 0)) {
          ++purged;
          break;
        }
        entry = Load(word);
      }
    }
  }
  return purged;
}

void FlowTable::CopyFrom(std::span<const lb_flow_bucket> from) const {
  for (size_t i = 0; i < buckets_.size(); ++i) {
    for (int way = 0; way < LB_FLOW_WAYS; ++way) {
      buckets_[i].entries[way] = Load(from[i].entries[way]);
    }
  }
}

void FlowTable::Refresh(std::span<const lb_flow_bucket> from, uint32_t tick) const {
  for (size_t i = 0; i < buckets_.size(); ++i) {
    lb_flow_bucket& bucket = buckets_[i];
    for (const __u64& word : from[i].entries) {
      const uint64_t entry = Load(word);
      const int way = entry == 0 ? -1 : lb_flow_find(&bucket, lb_flow_entry_fingerprint(entry));
      if (way < 0) continue;
      const uint64_t present = Load(bucket.entries[way]);
      if (lb_flow_entry_real(present) != lb_flow_entry_real(entry)) continue;
      const bool younger = lb_flow_entry_age(entry, tick) < lb_flow_entry_age(present, tick);
      const uint64_t ended = entry & present & LB_FLOW_ENDED;
      lb_flow_swap(&bucket.entries[way], present,
                   ((younger ? entry : present) & ~uint64_t{LB_FLOW_ENDED}) | ended);
    }
  }
}

void FlowTable::Visit(const std::function<void(uint64_t)>& visitor) const {
  for (const lb_flow_bucket& bucket : buckets_) {
    for (const __u64& word : bucket.entries) {
      if (const uint64_t entry = Load(word); entry != 0) visitor(entry);
    }
  }
}

}  // namespace lb::model
