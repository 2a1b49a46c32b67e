// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>

#include "lb/abi.h"
#include "lbd/base/status.h"
#include "lbd/dataplane/decision.h"
#include "lbd/dataplane/mapped_array.h"

namespace lb::dataplane {

// Reads samples of the explaining program: turns its indices into what they mean now. Has mappings
// of its own, so it may be used by another thread than that of the tables' writer.
class TraceDecoder {
 public:
  // `tables`: those that the program uses.
  static StatusOr<TraceDecoder> Create(std::span<const MappedArray* const> tables);

  // `bytes`: a struct lb_sample and its frame. Empty where that is malformed.
  std::optional<Decision> Decode(std::span<const uint8_t> bytes) const;

  // More of a decision, for whoever is the only one to change the tables.
  std::optional<Departure> DepartureTo(uint32_t real_index) const;
  std::optional<Explanation::Known> KnownFlow(const lb_trace& trace, uint32_t tick) const;

 private:
  // The entry that `trace.vip` says, or nullptr.
  const lb_vip* VipAt(const lb_trace& trace) const;
  void DecodeSlot(const lb_trace& trace, const lb_vip& vip, Decision& decision) const;
  std::optional<IpAddress> RealAt(uint64_t index) const;

  MappedArray vips_, wide_vips_, ring_next_, reals_, hops_, flows_;
};

}  // namespace lb::dataplane
