// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/vip_table.h"

#include <atomic>

#include "lbd/dataplane/grace_period.h"

namespace lb::dataplane {

VipTable::VipTable(std::span<lb_vip> entries, uint64_t hash_key)
    : entries_(entries), hash_key_(hash_key) {}

uint32_t VipTable::SlotOf(const VipTableKey& key, int choice) const {
  return VipSlot(hash_key_, key, choice) & (entries_.size() - 1);
}

void VipTable::Store(uint32_t slot, const lb_vip& entry) {
  // The flags make the entry valid and come last.
  lb_vip invalid = entry;
  invalid.flags = 0;
  entries_[slot] = invalid;
  std::atomic_ref<__u8>(entries_[slot].flags).store(entry.flags, std::memory_order_release);
}

std::vector<uint32_t> VipTable::FindPath(const VipTableKey& key) const {
  std::vector<uint32_t> reached;            // slots, nearest first
  std::map<uint32_t, uint32_t> reached_by;  // whose entry would move there; itself: that of `key`
  const auto reach = [&](uint32_t slot, uint32_t by) {
    if (reached_by.emplace(slot, by).second) reached.push_back(slot);
  };
  for (int choice = 0; choice < 2; ++choice) reach(SlotOf(key, choice), SlotOf(key, choice));
  for (size_t i = 0; i < reached.size(); ++i) {
    uint32_t slot = reached[i];
    const auto owner = owners_.find(slot);
    if (owner == owners_.end()) {
      std::vector<uint32_t> path{slot};
      while (reached_by.at(slot) != slot) path.push_back(slot = reached_by.at(slot));
      return path;
    }
    const auto present = slots_.find(owner->second);
    const bool erased = present == slots_.end() || present->second != slot;
    if (erased) continue;  // and still in its grace period
    for (int choice = 0; choice < 2; ++choice) reach(SlotOf(owner->second, choice), slot);
  }
  return {};
}

void VipTable::Move(uint32_t from, uint32_t to) {
  const VipTableKey key = owners_.at(from);
  Store(to, entries_[from]);
  // Readers that have missed the new copy must have seen the old one.
  WaitForGracePeriod();
  std::atomic_ref<__u8>(entries_[from].flags).store(0, std::memory_order_release);
  WaitForGracePeriod();
  owners_.erase(from);
  owners_[to] = key;
  slots_[key] = to;
}

Status VipTable::Insert(const VipTableKey& key, const lb_vip& entry) {
  const std::vector<uint32_t> path = FindPath(key);
  if (path.empty()) return ResourceExhausted("no place for the VIP in the lookup table");
  for (size_t i = 1; i < path.size(); ++i) Move(path[i], path[i - 1]);
  const uint32_t slot = path.back();
  Store(slot, entry);
  slots_[key] = slot;
  owners_[slot] = key;
  return OkStatus();
}

lb_vip& VipTable::At(const VipTableKey& key) { return entries_[slots_.at(key)]; }

void VipTable::Erase(const VipTableKey& key) {
  const auto it = slots_.find(key);
  if (it == slots_.end()) return;
  std::atomic_ref<__u8>(entries_[it->second].flags).store(0, std::memory_order_release);
  erased_.push_back(it->second);
  slots_.erase(it);
}

void VipTable::EndOfGrace() {
  for (const uint32_t slot : erased_) owners_.erase(slot);
  erased_.clear();
}

}  // namespace lb::dataplane
