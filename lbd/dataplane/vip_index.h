// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "lb/abi.h"
#include "lbd/base/status.h"
#include "lbd/dataplane/encode.h"
#include "lbd/dataplane/port_rules.h"
#include "lbd/dataplane/prefix_map.h"
#include "lbd/dataplane/vip_table.h"

namespace lb::dataplane {

// All by which the program finds VIPs: a VIP of one address with one port or all has an entry in
// lb_vips for each of its protocols and one for its address; the others have entries in
// lb_wide_vips and the rules that lead there. Thread-compatible.
class VipIndex {
 public:
  struct Tables {
    std::span<lb_vip> vips;
    std::span<lb_vip> wide_vips;
    std::span<lb_port_rule> rules;
    const PrefixMap* scopes;
  };

  // The tables are zeroed, and outlive this.
  VipIndex(const Tables& tables, uint64_t hash_key);

  // Adds an absent VIP; one of a prefix or range is not found before Publish(), the reals of a
  // source route only by their number. RESOURCE_EXHAUSTED where there is no place; nothing has
  // changed then.
  Status Insert(const model::VipKey& key, const VipEntry& entry);
  // Adds an address of ours where tunnels end, for good.
  Status InsertTunnel(const IpAddress& address);
  // Makes these, of all that are inserted, the ones that the rules lead to; all or nothing. To be
  // called once between two calls of EndOfGrace().
  Status Publish(const std::set<model::VipKey>& vips);
  // Changes a present VIP, each by one store in each of its entries.
  void SetPlace(const model::VipKey& key, uint64_t place);
  void SetFlows(const model::VipKey& key, uint64_t flows);
  void SetPolicy(const model::VipKey& key, uint16_t policy);
  // Routes by this entry of lb_id_configs; 0: by flow hash alone.
  void SetIdConfig(const model::VipKey& key, uint16_t id_config);
  // Takes the options of `entry`: flows go elsewhere from now on.
  void SetOptions(const model::VipKey& key, const VipEntry& entry);
  // The number of the entry of a source route in lb_wide_vips.
  uint32_t WideEntryOf(const model::VipKey& key, uint8_t protocol) const;
  // Removes a VIP that is present and not published; its places are not used again before
  // EndOfGrace().
  void Erase(const model::VipKey& key);
  // Call when no reader can still use what was erased.
  void EndOfGrace();

 private:
  using ScopeId = std::pair<IpPrefix, uint8_t>;

  Status InsertNarrow(const model::VipKey& key, const VipEntry& entry);
  Status InsertWide(const model::VipKey& key, const VipEntry& entry);
  lb_port_rule Encode(const PortRule& rule, uint8_t protocol) const;
  // Brings lb_scopes from `before` to `after`; takes back what it did where it fails.
  Status Switch(const std::map<ScopeId, lb_scope>& before,
                const std::map<ScopeId, lb_scope>& after) const;
  // Calls `change` with each entry of a VIP.
  template <typename Change>
  void ForEachEntry(const model::VipKey& key, Change change);

  Tables tables_;
  VipTable narrow_;
  std::map<IpAddress, int> addresses_;                          // VIPs of one address -> how many
  std::map<std::pair<model::VipKey, uint8_t>, uint32_t> wide_;  // VIP and protocol -> place
  std::set<uint32_t> free_wide_;
  std::vector<uint32_t> erased_wide_;
  std::map<ScopeId, lb_scope> scopes_;  // in force
  bool second_half_ = false;            // of the rules is in force
};

}  // namespace lb::dataplane
