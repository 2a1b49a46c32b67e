// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/vip_table.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

namespace lb::dataplane {
namespace {

VipTableKey NumberedKey(uint32_t number) {
  IpAddress::Bytes bytes{0x20, 0x01, 0x0d, 0xb8};
  if (number % 2 == 0) bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192};
  bytes[14] = static_cast<uint8_t>(number >> 8);
  bytes[15] = static_cast<uint8_t>(number);
  return {.address = IpAddress(bytes), .port = 80, .protocol = 6, .flags = LB_VIP_USED};
}

lb_vip Entry(const VipTableKey& key, uint64_t place) {
  lb_vip entry{};
  std::memcpy(entry.address, key.address.mapped().data(), sizeof(entry.address));
  entry.port_be = htons(key.port);
  entry.protocol = key.protocol;
  entry.flags = key.flags;
  entry.place = place;
  entry.hash_k0 = 11;
  return entry;
}

// A table in ordinary memory, and the eyes of the program that looks up in it.
class Table {
 public:
  explicit Table(size_t entries, uint64_t hash_key = 1)
      : entries_(entries), hash_key_(hash_key), table_(entries_, hash_key) {}

  VipTable& operator*() { return table_; }
  VipTable* operator->() { return &table_; }
  const std::vector<lb_vip>& entries() const { return entries_; }

  uint32_t SlotOf(const VipTableKey& key, int choice) const {
    return VipSlot(hash_key_, key, choice) & (entries_.size() - 1);
  }

  // Every place of `key` where it is found.
  std::vector<const lb_vip*> FindAll(const VipTableKey& key) const {
    std::vector<const lb_vip*> found;
    for (const uint32_t slot : std::set{SlotOf(key, 0), SlotOf(key, 1)}) {
      const lb_vip wanted = Entry(key, 0);
      const lb_vip& entry = entries_[slot];
      if (entry.flags == key.flags && entry.port_be == wanted.port_be &&
          entry.protocol == wanted.protocol &&
          std::memcmp(entry.address, wanted.address, sizeof(entry.address)) == 0) {
        found.push_back(&entry);
      }
    }
    return found;
  }

  std::optional<uint64_t> PlaceOf(const VipTableKey& key) const {
    const auto found = FindAll(key);
    if (found.size() != 1) return std::nullopt;
    return found[0]->place;
  }

  size_t CountUsed() const {
    size_t used = 0;
    for (const lb_vip& entry : entries_) used += (entry.flags & LB_VIP_USED) != 0;
    return used;
  }

 private:
  std::vector<lb_vip> entries_;
  uint64_t hash_key_;
  VipTable table_;
};

// Two keys that both have to be in the same slot, or in one other of their own.
struct Rivals {
  VipTableKey first, second;
  uint32_t slot;  // the first place of both
};

Rivals FindRivals(const Table& table) {
  std::map<uint32_t, VipTableKey> by_slot;
  for (uint32_t number = 0;; ++number) {
    const VipTableKey key = NumberedKey(number);
    if (table.SlotOf(key, 0) == table.SlotOf(key, 1)) continue;
    const auto [it, fresh] = by_slot.emplace(table.SlotOf(key, 0), key);
    if (!fresh && table.SlotOf(it->second, 1) != table.SlotOf(key, 1)) {
      return {it->second, key, it->first};
    }
  }
}

TEST(VipTableTest, AnInsertedKeyIsFoundAsItWasEncoded) {
  Table table(16);
  const VipTableKey key = NumberedKey(1);
  ASSERT_TRUE(table->Insert(key, Entry(key, 77)).ok());
  const auto found = table.FindAll(key);
  ASSERT_EQ(found.size(), 1u);
  const lb_vip expected = Entry(key, 77);
  EXPECT_EQ(std::memcmp(found[0], &expected, sizeof(expected)), 0);
  EXPECT_EQ(table.CountUsed(), 1u);
}

TEST(VipTableTest, KeysThatDifferInOnePartAreDifferentEntries) {
  Table table(64);
  const VipTableKey key = NumberedKey(1);
  std::vector<VipTableKey> keys(4, key);
  keys[1].port = 81;
  keys[2].protocol = 17;
  keys[3] = AddressKey(key.address);
  for (size_t i = 0; i < keys.size(); ++i)
    ASSERT_TRUE(table->Insert(keys[i], Entry(keys[i], i)).ok());
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(table.PlaceOf(keys[i]), i);
}

TEST(VipTableTest, AnEntryCanBeChangedInItsPlace) {
  Table table(16);
  const VipTableKey key = NumberedKey(1);
  ASSERT_TRUE(table->Insert(key, Entry(key, 77)).ok());
  table->At(key).place = 78;
  const lb_vip expected = Entry(key, 78);
  ASSERT_EQ(table.FindAll(key).size(), 1u);
  EXPECT_EQ(std::memcmp(table.FindAll(key)[0], &expected, sizeof(expected)), 0);
}

TEST(VipTableTest, AnErasedKeyIsFoundNoMore) {
  Table table(16);
  ASSERT_TRUE(table->Insert(NumberedKey(1), Entry(NumberedKey(1), 1)).ok());
  ASSERT_TRUE(table->Insert(NumberedKey(2), Entry(NumberedKey(2), 2)).ok());
  table->Erase(NumberedKey(1));
  EXPECT_TRUE(table.FindAll(NumberedKey(1)).empty());
  EXPECT_EQ(table.PlaceOf(NumberedKey(2)), 2u);
  table->Erase(NumberedKey(1));
  table->Erase(NumberedKey(3));
  table->EndOfGrace();
  EXPECT_EQ(table.CountUsed(), 1u);
}

TEST(VipTableTest, APlaceIsNotUsedAgainWithinTheGracePeriod) {
  Table table(2);
  std::vector<VipTableKey> keys;  // that can only be in slot 0
  for (uint32_t number = 0; keys.size() < 2; ++number) {
    const VipTableKey key = NumberedKey(number);
    if (table.SlotOf(key, 0) == 0 && table.SlotOf(key, 1) == 0) keys.push_back(key);
  }
  ASSERT_TRUE(table->Insert(keys[0], Entry(keys[0], 1)).ok());
  table->Erase(keys[0]);
  const lb_vip before = table.entries()[0];
  for (const VipTableKey& key : keys) {
    EXPECT_EQ(table->Insert(key, Entry(key, 2)).code(), absl::StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(std::memcmp(&table.entries()[0], &before, sizeof(before)), 0);
  table->EndOfGrace();
  EXPECT_TRUE(table->Insert(keys[1], Entry(keys[1], 3)).ok());
  EXPECT_EQ(table.PlaceOf(keys[1]), 3u);
}

TEST(VipTableTest, AKeyMayComeBackWithinTheGracePeriod) {
  Table table(64);
  const Rivals rivals = FindRivals(table);
  ASSERT_TRUE(table->Insert(rivals.first, Entry(rivals.first, 1)).ok());
  table->Erase(rivals.first);
  ASSERT_TRUE(table->Insert(rivals.first, Entry(rivals.first, 2)).ok());
  EXPECT_EQ(table.PlaceOf(rivals.first), 2u);
  table->EndOfGrace();
  EXPECT_EQ(table.PlaceOf(rivals.first), 2u);
  table->Erase(rivals.first);
  table->EndOfGrace();
  EXPECT_EQ(table.CountUsed(), 0u);
}

TEST(VipTableTest, AnEntryMakesRoomByMovingToItsOtherPlace) {
  Table table(64);
  const Rivals rivals = FindRivals(table);
  // Fill the second place of `second`, so that only moving `first` helps.
  const uint32_t blocked = table.SlotOf(rivals.second, 1);
  VipTableKey blocker;
  for (uint32_t number = 1000;; ++number) {
    blocker = NumberedKey(number);
    if (table.SlotOf(blocker, 0) == blocked && table.SlotOf(blocker, 1) == blocked) break;
  }
  ASSERT_TRUE(table->Insert(blocker, Entry(blocker, 3)).ok());
  ASSERT_TRUE(table->Insert(rivals.first, Entry(rivals.first, 1)).ok());
  ASSERT_TRUE(table->Insert(rivals.second, Entry(rivals.second, 2)).ok());
  EXPECT_EQ(table.PlaceOf(rivals.first), 1u);
  EXPECT_EQ(table.PlaceOf(rivals.second), 2u);
  EXPECT_EQ(table.PlaceOf(blocker), 3u);
  // A moved entry can still be switched and erased.
  table->At(rivals.first).place = 4;
  EXPECT_EQ(table.PlaceOf(rivals.first), 4u);
  table->Erase(rivals.first);
  table->EndOfGrace();
  EXPECT_EQ(table.CountUsed(), 2u);
}

// Random changes against a map, at the load that the daemon allows: a quarter of the table.
TEST(VipTableTest, HoldsWhatAMapHolds) {
  constexpr size_t kEntries = 256;
  for (uint32_t seed = 0; seed < 3; ++seed) {
    std::mt19937 random(seed);
    Table table(kEntries, random());
    std::map<VipTableKey, uint64_t> expected;
    for (int step = 0; step < 2000; ++step) {
      const VipTableKey key = NumberedKey(random() % 120);
      if (expected.contains(key) && random() % 3 == 0) {
        table->At(key).place = expected[key] = random();
      } else if (expected.contains(key)) {
        table->Erase(key);
        expected.erase(key);
      } else if (expected.size() < kEntries / 4) {
        const uint64_t place = random();
        // Erased entries are in the way until their grace period has ended.
        table->EndOfGrace();
        ASSERT_TRUE(table->Insert(key, Entry(key, place)).ok())
            << "seed " << seed << " step " << step;
        expected[key] = place;
      }
      ASSERT_EQ(table.CountUsed(), expected.size());
      ASSERT_EQ(table.FindAll(key).size(), expected.count(key));
    }
    for (uint32_t number = 0; number < 120; ++number) {
      const VipTableKey key = NumberedKey(number);
      const auto it = expected.find(key);
      ASSERT_EQ(table.FindAll(key).size(), it == expected.end() ? 0u : 1u);
      ASSERT_TRUE(it == expected.end() || table.PlaceOf(key) == it->second);
    }
  }
}

// Two places of one entry each can be filled to about a half (Pagh and Rodler, "Cuckoo hashing",
// 2001); the daemon sizes the table for a quarter at most, see MapSizes.
TEST(VipTableTest, FailsOnlyAboveAQuarterAndLeavesTheTableAsItWas) {
  constexpr size_t kEntries = 256;
  double lowest = 1;
  for (uint32_t seed = 0; seed < 5; ++seed) {
    Table table(kEntries, 0x9e3779b97f4a7c15 * (seed + 1));
    uint32_t count = 0;
    while (table->Insert(NumberedKey(count), Entry(NumberedKey(count), count)).ok()) ++count;
    lowest = std::min(lowest, static_cast<double>(count) / kEntries);

    const std::vector<lb_vip> before = table.entries();
    EXPECT_EQ(table->Insert(NumberedKey(count), Entry(NumberedKey(count), 0)).code(),
              absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(std::memcmp(before.data(), table.entries().data(), kEntries * sizeof(lb_vip)), 0);
    EXPECT_EQ(table.CountUsed(), count);
    for (uint32_t number = 0; number < count; ++number) {
      ASSERT_EQ(table.PlaceOf(NumberedKey(number)), number);
    }
  }
  RecordProperty("lowest_fill_at_failure_percent", static_cast<int>(100 * lowest));
  EXPECT_GT(lowest, 0.25);
}

}  // namespace
}  // namespace lb::dataplane
