// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lb/flow_table.h"
#include "lbd/model/slots.h"

namespace lb::model {

// When entries end.
struct FlowPolicy {
  uint32_t idle = 3600;  // seconds without a packet, 35..4200
  bool always = false;   // keep what agrees with its slot

  bool operator==(const FlowPolicy&) const = default;
};

// The ticks of `seconds`, rounded up.
uint32_t FlowTicks(uint32_t seconds);

// The part of the flow table that belongs to one VIP. A program may use it meanwhile: entries are
// removed by compare-and-swap, so that one that has just been refreshed stays. Thread-compatible.
class FlowTable {
 public:
  struct Census {
    std::vector<uint32_t> foreign;   // per slot: entries that name another than its old owner
    std::vector<uint32_t> per_real;  // by VIP-local number
    uint64_t entries = 0;
    uint64_t expired = 0;
  };

  explicit FlowTable(std::span<lb_flow_bucket> buckets) : buckets_(buckets) {}

  // Removes what is idle, what has ended, and what its slot says by itself; counts the rest.
  // `tick` is the present one.
  Census Sweep(const Slots& slots, const FlowPolicy& policy, uint32_t tick) const;
  // Removes the entries of these reals, and says how many.
  uint64_t Purge(const std::function<bool(uint16_t)>& real) const;
  // Makes this, which nobody uses yet, the same as `from`, of as many buckets.
  void CopyFrom(std::span<const lb_flow_bucket> from) const;
  // Takes from `from` when flows were last seen, where both agree on the real; a flow has ended
  // where both say so, as either may have seen a new one of the same name.
  void Refresh(std::span<const lb_flow_bucket> from, uint32_t tick) const;
  void Visit(const std::function<void(uint64_t entry)>& visitor) const;

 private:
  std::span<lb_flow_bucket> buckets_;
};

}  // namespace lb::model
