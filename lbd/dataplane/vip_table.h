// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "lb/abi.h"
#include "lbd/base/siphash.h"
#include "lbd/base/status.h"
#include "lbd/dataplane/encode.h"

namespace lb::dataplane {

// The two-choice (cuckoo) hash table of VIPs that the program looks up. Every reader finds a
// present entry at any time: an entry that has to make room is copied to its other place first.
// Thread-compatible.
class VipTable {
 public:
  // `entries` is the mapped table, a power of two, zeroed; it outlives this.
  VipTable(std::span<lb_vip> entries, uint64_t hash_key);

  // Adds an absent key. RESOURCE_EXHAUSTED where both its places are taken and cannot be cleared;
  // nothing has changed then.
  Status Insert(const VipTableKey& key, const lb_vip& entry);
  // The entry of a present key, in which all but the key may be changed.
  lb_vip& At(const VipTableKey& key);
  // Removes a key if it is present. Its place is not used again before EndOfGrace().
  void Erase(const VipTableKey& key);
  // Call when no reader can still use an erased entry.
  void EndOfGrace();

 private:
  uint32_t SlotOf(const VipTableKey& key, int choice) const;
  // The fewest moves that clear a place of `key` (a breadth-first search): a free slot, then the
  // slots whose entries move each into the one before; the last is for `key`. Empty if there is no
  // such path.
  std::vector<uint32_t> FindPath(const VipTableKey& key) const;
  void Move(uint32_t from, uint32_t to);
  void Store(uint32_t slot, const lb_vip& entry);

  std::span<lb_vip> entries_;
  uint64_t hash_key_;
  std::map<VipTableKey, uint32_t> slots_;
  std::map<uint32_t, VipTableKey> owners_;  // also of erased entries until the end of grace
  std::vector<uint32_t> erased_;
};

}  // namespace lb::dataplane
