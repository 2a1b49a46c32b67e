// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "lb/abi.h"
#include "lbd/base/status.h"
#include "lbd/dataplane/dataplane.h"
#include "lbd/dataplane/prefix_map.h"
#include "lbd/model/source_policy.h"

namespace lb::dataplane {

// The source policies of VIPs. One that is in force never changes but for its bucket: a VIP gets
// another number, in one store. Thread-compatible.
class PolicyTable {
 public:
  struct Tables {
    std::span<lb_policy> policies;
    std::span<lb_policy_count> counts;
    const PrefixMap* sources;
  };

  // The tables are zeroed, and outlive this.
  explicit PolicyTable(const Tables& tables);

  // Sources that have reals of their own: the entry of lb_wide_vips for each protocol.
  struct Route {
    IpPrefix source;
    uint8_t protocol = 0;
    uint32_t entry = 0;
  };

  // Writes a policy and returns its number; 0 for one that serves all alike. RESOURCE_EXHAUSTED
  // where there is no room; nothing has changed then.
  StatusOr<uint16_t> Add(const model::SourcePolicy& policy, const std::vector<Route>& routes);
  // Lets `to` go on with the tokens of `from`.
  void CarryTokens(uint16_t from, uint16_t to);
  // What was refused under this number since it was given.
  SourceCounts Read(uint16_t number) const;
  // Gives a number back, which no VIP has any more. It is not used again before EndOfGrace().
  void Remove(uint16_t number);
  // Call when no reader can still use what was removed.
  void EndOfGrace();

 private:
  Status AddLists(uint32_t number, const model::SourcePolicy& policy,
                  const std::vector<Route>& routes);
  void RemoveLists(uint32_t number);
  SourceCounts RawCounts(uint16_t number) const;

  Tables tables_;
  std::set<uint16_t> free_;
  std::vector<uint16_t> removed_;
  std::map<uint16_t, std::vector<lb_source_key>> lists_;  // what is in lb_sources
  std::map<uint16_t, SourceCounts> baselines_;
};

}  // namespace lb::dataplane
