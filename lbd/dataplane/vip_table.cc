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

uint32_t VipTable::FindRoom(const VipTableKey& key) {
  for (int choice = 0; choice < 2; ++choice) {
    if (const uint32_t slot = SlotOf(key, choice); !owners_.contains(slot)) return slot;
  }
  for (int choice = 0; choice < 2; ++choice) {
    const uint32_t slot = SlotOf(key, choice);
    const VipTableKey owner = owners_.at(slot);
    const auto present = slots_.find(owner);
    if (present == slots_.end() || present->second != slot)
      continue;  // erased, in its grace period
    const uint32_t other = SlotOf(owner, SlotOf(owner, 0) == slot ? 1 : 0);
    if (owners_.contains(other)) continue;
    Store(other, entries_[slot]);
    owners_[other] = owner;
    slots_[owner] = other;
    // Readers of the old copy must be gone before another key is written over it.
    WaitForGracePeriod();
    std::atomic_ref<__u8>(entries_[slot].flags).store(0, std::memory_order_release);
    WaitForGracePeriod();
    owners_.erase(slot);
    return slot;
  }
  return kNowhere;
}

Status VipTable::Insert(const VipTableKey& key, const HashKey& flow_key, uint64_t place) {
  const uint32_t slot = FindRoom(key);
  if (slot == kNowhere) return ResourceExhausted("no place for the VIP in the lookup table");
  Store(slot, EncodeVip(key, flow_key, place));
  slots_[key] = slot;
  owners_[slot] = key;
  return OkStatus();
}

void VipTable::SetPlace(const VipTableKey& key, uint64_t place) {
  std::atomic_ref<__u64>(entries_[slots_.at(key)].place).store(place, std::memory_order_release);
}

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
