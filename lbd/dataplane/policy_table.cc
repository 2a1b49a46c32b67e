// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/policy_table.h"

#include "lbd/dataplane/encode.h"

namespace lb::dataplane {

PolicyTable::PolicyTable(const Tables& tables) : tables_(tables) {
  for (size_t number = 1; number < tables_.policies.size() && number <= UINT16_MAX; ++number) {
    free_.insert(static_cast<uint16_t>(number));
  }
}

StatusOr<uint16_t> PolicyTable::Add(const model::SourcePolicy& policy,
                                    const std::vector<Route>& routes) {
  if (policy.empty() && routes.empty()) return uint16_t{0};
  if (free_.empty()) return ResourceExhausted("no room for the source policy of a VIP");
  const uint16_t number = *free_.begin();
  LB_RETURN_IF_ERROR(AddLists(number, policy, routes));
  tables_.policies[number] = EncodePolicy(policy);
  baselines_[number] = RawCounts(number);
  free_.erase(number);
  return number;
}

Status PolicyTable::AddLists(uint32_t number, const model::SourcePolicy& policy,
                             const std::vector<Route>& routes) {
  std::vector<lb_source_key>& added = lists_[static_cast<uint16_t>(number)];
  Status status;
  const auto add = [&](const lb_source_key& key, uint32_t value) {
    if (status.ok()) status = tables_.sources->Put(key, value);
    if (status.ok()) added.push_back(key);
  };
  for (const IpPrefix& prefix : policy.allow) add(EncodeSource(number, prefix), LB_SOURCE_ALLOW);
  for (const IpPrefix& prefix : policy.deny) add(EncodeSource(number, prefix), LB_SOURCE_DENY);
  for (const Route& route : routes) {
    const uint32_t protocol = route.protocol;
    add(EncodeSource(number | protocol << LB_SOURCE_PROTOCOL_SHIFT, route.source), route.entry);
  }
  if (!status.ok()) RemoveLists(number);
  return status;
}

void PolicyTable::RemoveLists(uint32_t number) {
  const auto lists = lists_.find(static_cast<uint16_t>(number));
  if (lists == lists_.end()) return;
  for (const lb_source_key& key : lists->second) tables_.sources->Remove(key);
  lists_.erase(lists);
}

void PolicyTable::CarryTokens(uint16_t from, uint16_t to) {
  if (from == 0 || to == 0) return;
  tables_.policies[to].due = __atomic_load_n(&tables_.policies[from].due, __ATOMIC_RELAXED);
}

SourceCounts PolicyTable::RawCounts(uint16_t number) const {
  SourceCounts sum;
  for (size_t at = number; at < tables_.counts.size(); at += tables_.policies.size()) {
    const lb_policy_count& count = tables_.counts[at];
    sum += {.denied = __atomic_load_n(&count.denied, __ATOMIC_RELAXED),
            .limited = __atomic_load_n(&count.limited, __ATOMIC_RELAXED),
            .source_limited = __atomic_load_n(&count.source_limited, __ATOMIC_RELAXED)};
  }
  return sum;
}

SourceCounts PolicyTable::Read(uint16_t number) const {
  const auto baseline = baselines_.find(number);
  if (baseline == baselines_.end()) return {};
  SourceCounts counts = RawCounts(number);
  counts.denied -= baseline->second.denied;
  counts.limited -= baseline->second.limited;
  counts.source_limited -= baseline->second.source_limited;
  return counts;
}

void PolicyTable::Remove(uint16_t number) {
  if (number == 0) return;
  removed_.push_back(number);
}

void PolicyTable::EndOfGrace() {
  for (const uint16_t number : removed_) {
    RemoveLists(number);
    baselines_.erase(number);
    tables_.policies[number] = {};
    free_.insert(number);
  }
  removed_.clear();
}

}  // namespace lb::dataplane
