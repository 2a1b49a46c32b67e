// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/port_rules.h"

#include <algorithm>
#include <map>

namespace lb::dataplane {
namespace {

using model::Protocol;
using model::VipKey;

// VIPs by prefix; of one prefix in the order in which they are asked: one port, range, every port.
using ByPrefix = std::map<IpPrefix, std::vector<VipKey>>;

int Rank(const VipKey& key) { return key.port == 0 ? 2 : key.is_range() ? 1 : 0; }

bool IsHost(const IpPrefix& prefix) { return prefix.length() == (prefix.is_v4() ? 32 : 128); }

ByPrefix GroupByPrefix(const std::set<VipKey>& vips, Protocol protocol) {
  ByPrefix groups;
  for (const VipKey& vip : vips) {
    if (vip.Serves(protocol) && vip.route == 0) groups[vip.prefix()].push_back(vip);
  }
  for (auto& [prefix, group] : groups) std::ranges::stable_sort(group, {}, Rank);
  return groups;
}

// All VIPs that may get a packet to `prefix`, the one that comes first first.
std::vector<VipKey> Candidates(const ByPrefix& groups, const IpPrefix& prefix) {
  std::vector<VipKey> candidates;
  for (int length = prefix.length(); length >= 0; --length) {
    const auto group = groups.find(IpPrefix(prefix.address(), length));
    if (group == groups.end()) continue;
    for (const VipKey& vip : group->second) {
      const bool host = IsHost(group->first);
      if (host && vip.port == 0) return candidates;
      if (!host || vip.is_range()) candidates.push_back(vip);
    }
  }
  return candidates;
}

std::vector<PortRule> MakeRules(const std::vector<VipKey>& candidates) {
  // From each of these ports on, another candidate may be the first that has the port.
  std::set<uint32_t> starts;
  for (const VipKey& vip : candidates) {
    starts.insert(vip.ports().first);
    starts.insert(vip.ports().second + 1u);
  }
  std::vector<PortRule> rules;
  for (auto start = starts.begin(); start != starts.end() && *start <= 65535; ++start) {
    const auto next = std::next(start);
    const uint32_t last = (next == starts.end() ? 65536 : *next) - 1;
    const auto vip = std::ranges::find_if(candidates, [&](const VipKey& candidate) {
      return candidate.ports().first <= *start && *start <= candidate.ports().second;
    });
    if (vip == candidates.end()) continue;
    if (!rules.empty() && rules.back().vip == *vip && rules.back().last + 1u == *start) {
      rules.back().last = static_cast<uint16_t>(last);
    } else {
      rules.push_back({static_cast<uint16_t>(*start), static_cast<uint16_t>(last), *vip});
    }
  }
  return rules;
}

// An address needs a scope where it has a range, or where a wider prefix must not get ahead of its
// VIP of every port.
bool NeedsScope(const ByPrefix& groups, const IpPrefix& prefix, const std::vector<VipKey>& group) {
  if (!IsHost(prefix) || std::ranges::any_of(group, &VipKey::is_range)) return true;
  if (group.back().port != 0) return false;
  for (int length = prefix.length() - 1; length >= 0; --length) {
    if (groups.contains(IpPrefix(prefix.address(), length))) return true;
  }
  return false;
}

}  // namespace

std::vector<Scope> MakeScopes(const std::set<VipKey>& vips) {
  std::vector<Scope> scopes;
  std::set<IpPrefix> prefixes;
  for (const VipKey& vip : vips) {
    if (vip.is_prefix() && vip.route == 0) prefixes.insert(vip.prefix());
  }
  for (const IpPrefix& prefix : prefixes) scopes.push_back({prefix, 0, {}});
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    const ByPrefix groups = GroupByPrefix(vips, protocol);
    for (const auto& [prefix, group] : groups) {
      if (!NeedsScope(groups, prefix, group)) continue;
      scopes.push_back(
          {prefix, static_cast<uint8_t>(protocol), MakeRules(Candidates(groups, prefix))});
    }
  }
  return scopes;
}

}  // namespace lb::dataplane
