// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/vip_index.h"

#include <atomic>
#include <string>

namespace lb::dataplane {
namespace {

using model::Protocol;
using model::VipKey;

bool IsWide(const VipKey& key) { return key.is_prefix() || key.is_range() || key.route != 0; }

// Whether its address is found in lb_vips.
bool HasAddress(const VipKey& key) { return !key.is_prefix() && key.route == 0; }

std::vector<Protocol> ProtocolsOf(const VipKey& key) {
  if (key.protocol == Protocol::kTcpUdp) return {Protocol::kTcp, Protocol::kUdp};
  return {key.protocol};
}

}  // namespace

VipIndex::VipIndex(const Tables& tables, uint64_t hash_key)
    : tables_(tables), narrow_(tables.vips, hash_key) {
  for (uint32_t place = 0; place < tables_.wide_vips.size(); ++place) free_wide_.insert(place);
}

Status VipIndex::Insert(const VipKey& key, const VipEntry& entry) {
  return IsWide(key) ? InsertWide(key, entry) : InsertNarrow(key, entry);
}

Status VipIndex::InsertTunnel(const IpAddress& address) {
  return narrow_.Insert(TunnelKey(address), EncodeTunnel(address));
}

Status VipIndex::InsertNarrow(const VipKey& key, const VipEntry& entry) {
  std::vector<VipTableKey> inserted;
  Status status;
  const auto insert = [&](const VipTableKey& table_key, const lb_vip& encoded) {
    if (status.ok()) status = narrow_.Insert(table_key, encoded);
    if (status.ok()) inserted.push_back(table_key);
  };
  for (const Protocol protocol : ProtocolsOf(key)) {
    insert(EncodeKey(key, protocol), EncodeVip(key, protocol, entry));
  }
  if (!addresses_.contains(key.address)) {
    insert(AddressKey(key.address), EncodeVipAddress(key.address));
  }
  if (!status.ok()) {
    for (const VipTableKey& table_key : inserted) narrow_.Erase(table_key);
    return status;
  }
  ++addresses_[key.address];
  return OkStatus();
}

Status VipIndex::InsertWide(const VipKey& key, const VipEntry& entry) {
  const std::vector<Protocol> protocols = ProtocolsOf(key);
  if (free_wide_.size() < protocols.size()) {
    return ResourceExhausted("no place for the VIP in the table of prefixes and port ranges");
  }
  if (HasAddress(key) && !addresses_.contains(key.address)) {
    LB_RETURN_IF_ERROR(narrow_.Insert(AddressKey(key.address), EncodeVipAddress(key.address)));
  }
  if (HasAddress(key)) ++addresses_[key.address];
  for (const Protocol protocol : protocols) {
    const uint32_t place = *free_wide_.begin();
    free_wide_.erase(free_wide_.begin());
    tables_.wide_vips[place] = EncodeVip(key, protocol, entry);
    wide_[{key, static_cast<uint8_t>(protocol)}] = place;
  }
  return OkStatus();
}

lb_port_rule VipIndex::Encode(const PortRule& rule, uint8_t protocol) const {
  return {.first_port = rule.first, .last_port = rule.last, .vip = wide_.at({rule.vip, protocol})};
}

Status VipIndex::Publish(const std::set<VipKey>& vips) {
  if (wide_.empty() && scopes_.empty()) return OkStatus();
  const size_t half = tables_.rules.size() / 2;
  uint32_t next = second_half_ ? 0 : half;
  const size_t end = next + half;
  std::map<ScopeId, lb_scope> scopes;
  for (const Scope& scope : MakeScopes(vips)) {
    if (scope.rules.size() > size_t{1} << LB_SCOPE_RULES_BITS) {
      return ResourceExhausted("the port ranges of the VIPs cut the ports of " +
                               scope.prefix.ToString() + " into more than 4096 pieces");
    }
    if (scope.rules.size() > end - next) {
      return ResourceExhausted(
          "the prefixes and port ranges of the VIPs cut each other into more than " +
          std::to_string(half) + " pieces; raise limits.vips");
    }
    scopes[{scope.prefix, scope.protocol}] = {.first_rule = next,
                                              .rules = static_cast<uint32_t>(scope.rules.size())};
    for (const PortRule& rule : scope.rules) {
      tables_.rules[next++] = Encode(rule, scope.protocol);
    }
  }
  LB_RETURN_IF_ERROR(Switch(scopes_, scopes));
  scopes_ = std::move(scopes);
  second_half_ = !second_half_;
  return OkStatus();
}

Status VipIndex::Switch(const std::map<ScopeId, lb_scope>& before,
                        const std::map<ScopeId, lb_scope>& after) const {
  const auto key_of = [](const ScopeId& id) { return EncodeScope(id.first, id.second); };
  for (auto it = after.begin(); it != after.end(); ++it) {
    const Status status = tables_.scopes->Put(key_of(it->first), it->second);
    if (status.ok()) continue;
    for (auto done = after.begin(); done != it; ++done) {
      const auto old = before.find(done->first);
      if (old == before.end()) {
        tables_.scopes->Remove(key_of(done->first));
      } else {
        // It has its place, so that this needs no memory but for a moment.
        (void)tables_.scopes->Put(key_of(old->first), old->second);
      }
    }
    return status;
  }
  for (const auto& [id, scope] : before) {
    if (!after.contains(id)) tables_.scopes->Remove(key_of(id));
  }
  return OkStatus();
}

template <typename Change>
void VipIndex::ForEachEntry(const VipKey& key, Change change) {
  for (const Protocol protocol : ProtocolsOf(key)) {
    change(protocol, IsWide(key)
                         ? tables_.wide_vips[wide_.at({key, static_cast<uint8_t>(protocol)})]
                         : narrow_.At(EncodeKey(key, protocol)));
  }
}

uint32_t VipIndex::WideEntryOf(const VipKey& key, uint8_t protocol) const {
  return wide_.at({key, protocol});
}

void VipIndex::SetPlace(const VipKey& key, uint64_t place) {
  ForEachEntry(key, [&](Protocol, lb_vip& entry) {
    std::atomic_ref<__u64>(entry.place).store(place, std::memory_order_release);
  });
}

void VipIndex::SetFlows(const VipKey& key, uint64_t flows) {
  ForEachEntry(key, [&](Protocol, lb_vip& entry) {
    std::atomic_ref<__u64>(entry.flows).store(flows, std::memory_order_release);
  });
}

void VipIndex::SetIdConfig(const VipKey& key, uint16_t id_config) {
  ForEachEntry(key, [&](Protocol, lb_vip& entry) {
    std::atomic_ref<__u16>(entry.id_config).store(id_config, std::memory_order_release);
  });
}

void VipIndex::SetPolicy(const VipKey& key, uint16_t policy) {
  ForEachEntry(key, [&](Protocol, lb_vip& entry) {
    std::atomic_ref<__u16>(entry.policy).store(policy, std::memory_order_release);
  });
}

void VipIndex::SetOptions(const VipKey& key, const VipEntry& entry) {
  ForEachEntry(key, [&](Protocol protocol, lb_vip& present) {
    const lb_vip wanted = EncodeVip(key, protocol, entry);
    std::atomic_ref<__u64>(present.hash_k0).store(wanted.hash_k0, std::memory_order_relaxed);
    std::atomic_ref<__u64>(present.hash_k1).store(wanted.hash_k1, std::memory_order_relaxed);
    std::atomic_ref<__u16>(present.options).store(wanted.options, std::memory_order_release);
  });
}

void VipIndex::Erase(const VipKey& key) {
  for (const Protocol protocol : ProtocolsOf(key)) {
    if (!IsWide(key)) {
      narrow_.Erase(EncodeKey(key, protocol));
      continue;
    }
    const auto place = wide_.find({key, static_cast<uint8_t>(protocol)});
    if (place == wide_.end()) return;
    erased_wide_.push_back(place->second);
    wide_.erase(place);
  }
  const auto address = addresses_.find(key.address);
  if (!HasAddress(key) || address == addresses_.end() || --address->second > 0) return;
  narrow_.Erase(AddressKey(key.address));
  addresses_.erase(address);
}

void VipIndex::EndOfGrace() {
  narrow_.EndOfGrace();
  for (const uint32_t place : erased_wide_) {
    tables_.wide_vips[place] = {};
    free_wide_.insert(place);
  }
  erased_wide_.clear();
}

}  // namespace lb::dataplane
