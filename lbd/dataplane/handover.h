// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lb/abi.h"
#include "lbd/base/ip_address.h"
#include "lbd/base/status.h"

namespace lb::dataplane {

// How this build lays out what the next one takes over.
lb_handover MakeHandover();

// Reads maps as the program that they belong to lays them out, which another build of lbd may have
// loaded. A map is given as the bytes of its value. Value type.
class HandoverReader {
 public:
  // Of the program with these constants. FAILED_PRECONDITION where it cannot be understood.
  static StatusOr<HandoverReader> Create(std::span<const uint8_t> constants);

  bool fast_hash() const { return fast_hash_; }

  size_t CountVips(std::span<const uint8_t> vips) const { return vips.size() / layout_.vip_size; }
  // The fields of LB_HANDOVER_VIP_FIELDS; the others are 0.
  lb_vip ReadVip(std::span<const uint8_t> vips, size_t index) const;
  // lb_vip.flows, where it is.
  std::atomic_ref<__u64> FlowsOf(std::span<uint8_t> vips, size_t index) const;
  // Empty: the map has no such entry. Likewise below.
  std::optional<IpAddress> ReadReal(std::span<const uint8_t> reals, size_t index) const;
  std::vector<lb_flow_bucket> ReadBuckets(std::span<uint8_t> flows, size_t start,
                                          size_t count) const;

 private:
  HandoverReader(const lb_handover& layout, bool fast_hash)
      : layout_(layout), fast_hash_(fast_hash) {}

  lb_handover layout_;
  bool fast_hash_;
};

}  // namespace lb::dataplane
