// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "lb/abi.h"
#include "lbd/base/ip_address.h"
#include "lbd/dataplane/next_hop.h"

namespace lb::dataplane {

// The table of next hops: one entry per distinct hop, however many reals are behind it, so that
// packets to all of them share a cache line. An entry never changes while a real names it.
// Thread-compatible.
class HopTable {
 public:
  // `entries` is the mapped table, zeroed; it outlives this.
  explicit HopTable(std::span<lb_next_hop> entries);

  // Adds what `hops` needs. Entries that nothing needs any more stay until Collect().
  void Assign(const std::map<IpAddress, NextHop>& hops);
  // True while there are entries for Collect().
  bool HasUnused() const;
  // Frees the entries that no real of the last Assign() has; no reader may use them any more.
  void Collect();
  // The entry of a real; 0, which is never resolved, where it has none. With `direct` also where a
  // gateway is between.
  uint16_t IndexOf(const IpAddress& real, bool direct = false) const;

 private:
  using Content = std::vector<uint8_t>;

  std::set<uint16_t> Used() const;

  std::span<lb_next_hop> entries_;
  std::map<Content, uint16_t> index_of_content_;
  std::map<IpAddress, uint16_t> index_of_real_;
  std::set<IpAddress> direct_;  // reals that are neighbours
  std::vector<uint16_t> free_;  // the lowest last
};

}  // namespace lb::dataplane
