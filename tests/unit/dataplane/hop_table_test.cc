// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/hop_table.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>
#include <vector>

#include "lbd/dataplane/encode.h"

namespace lb::dataplane {
namespace {

IpAddress Real(uint8_t number) {
  return IpAddress({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, number});
}

NextHop Hop(uint8_t number) {
  return {.destination = MacAddress({2, 0, 0, 0, 0, number}),
          .source = MacAddress({2, 0, 0, 0, 1, 0}),
          .ifindex = 7,
          .mtu = 1500};
}

bool Same(const lb_next_hop& a, const lb_next_hop& b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

class HopTableTest : public testing::Test {
 protected:
  const lb_next_hop& EntryOf(const IpAddress& real) const {
    return entries_.at(table_.IndexOf(real));
  }

  std::vector<lb_next_hop> entries_ = std::vector<lb_next_hop>(8);
  HopTable table_{entries_};
};

TEST_F(HopTableTest, ARealHasTheEntryOfItsHop) {
  table_.Assign({{Real(1), Hop(1)}, {Real(2), Hop(2)}});
  EXPECT_TRUE(Same(EntryOf(Real(1)), EncodeNextHop(Hop(1))));
  EXPECT_TRUE(Same(EntryOf(Real(2)), EncodeNextHop(Hop(2))));
}

TEST_F(HopTableTest, BehindAGatewayNothingIsDirect) {
  NextHop direct = Hop(1);
  direct.via = Real(1);
  NextHop behind = Hop(2);
  behind.via = Real(9);
  table_.Assign({{Real(1), direct}, {Real(2), behind}, {Real(3), Hop(3)}});
  EXPECT_EQ(table_.IndexOf(Real(1), true), table_.IndexOf(Real(1)));
  EXPECT_EQ(table_.IndexOf(Real(2), true), 0);
  EXPECT_EQ(table_.IndexOf(Real(3), true), 0);
}

TEST_F(HopTableTest, RealsBehindOneGatewayShareOneEntry) {
  table_.Assign({{Real(1), Hop(1)}, {Real(2), Hop(1)}, {Real(3), Hop(2)}});
  EXPECT_EQ(table_.IndexOf(Real(1)), table_.IndexOf(Real(2)));
  EXPECT_NE(table_.IndexOf(Real(1)), table_.IndexOf(Real(3)));
}

TEST_F(HopTableTest, EveryPartOfAHopTellsItApart) {
  std::vector<NextHop> hops(5, Hop(1));
  hops[1].destination = Hop(2).destination;
  hops[2].source = Hop(2).destination;
  hops[3].ifindex = 8;
  hops[4].mtu = 1400;
  std::map<IpAddress, NextHop> assigned;
  for (uint8_t i = 0; i < hops.size(); ++i) assigned[Real(i)] = hops[i];
  table_.Assign(assigned);
  std::set<uint16_t> indexes;
  for (const auto& [real, hop] : assigned) indexes.insert(table_.IndexOf(real));
  EXPECT_EQ(indexes.size(), hops.size());
}

TEST_F(HopTableTest, ARealWithoutAHopHasEntryZeroWhichIsNeverResolved) {
  table_.Assign({{Real(1), Hop(1)}});
  EXPECT_EQ(table_.IndexOf(Real(2)), 0);
  table_.Assign({});
  EXPECT_EQ(table_.IndexOf(Real(1)), 0);
  EXPECT_EQ(entries_[0].ifindex, 0u);
}

TEST_F(HopTableTest, AnEntryStaysWhereItIsWhileItIsNeeded) {
  table_.Assign({{Real(1), Hop(1)}, {Real(2), Hop(2)}});
  const uint16_t index = table_.IndexOf(Real(2));
  table_.Assign({{Real(2), Hop(2)}, {Real(3), Hop(3)}});
  EXPECT_EQ(table_.IndexOf(Real(2)), index);
  table_.Collect();
  EXPECT_EQ(table_.IndexOf(Real(2)), index);
  EXPECT_TRUE(Same(entries_[index], EncodeNextHop(Hop(2))));
}

TEST_F(HopTableTest, AnOldEntryIsKeptUntilItIsCollected) {
  table_.Assign({{Real(1), Hop(1)}});
  const uint16_t index = table_.IndexOf(Real(1));
  EXPECT_FALSE(table_.HasUnused());
  table_.Assign({{Real(1), Hop(2)}});
  EXPECT_NE(table_.IndexOf(Real(1)), index);
  EXPECT_TRUE(table_.HasUnused());
  EXPECT_TRUE(Same(entries_[index], EncodeNextHop(Hop(1))));
  table_.Collect();
  EXPECT_FALSE(table_.HasUnused());
  EXPECT_TRUE(Same(entries_[index], lb_next_hop{}));
}

TEST_F(HopTableTest, AHopThatComesBackBeforeItIsCollectedKeepsItsEntry) {
  table_.Assign({{Real(1), Hop(1)}});
  const uint16_t index = table_.IndexOf(Real(1));
  table_.Assign({});
  table_.Assign({{Real(2), Hop(1)}});
  EXPECT_EQ(table_.IndexOf(Real(2)), index);
  EXPECT_FALSE(table_.HasUnused());
}

TEST_F(HopTableTest, WhatFindsNoRoomHasNoNextHopUntilThereIsRoom) {
  std::map<IpAddress, NextHop> hops;
  for (uint8_t i = 1; i <= 8; ++i) hops[Real(i)] = Hop(i);
  table_.Assign(hops);  // 7 entries beside entry 0
  std::set<uint16_t> indexes;
  for (const auto& [real, hop] : hops) {
    const uint16_t index = table_.IndexOf(real);
    EXPECT_TRUE(index == 0 || Same(entries_[index], EncodeNextHop(hop)));
    indexes.insert(index);
  }
  EXPECT_EQ(indexes, (std::set<uint16_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(table_.IndexOf(Real(8)), 0);

  hops.erase(Real(1));
  table_.Assign(hops);
  EXPECT_EQ(table_.IndexOf(Real(8)), 0);
  table_.Collect();
  table_.Assign(hops);
  EXPECT_TRUE(Same(EntryOf(Real(8)), EncodeNextHop(Hop(8))));
}

TEST(HopTablePropertyTest, EveryRealHasItsHopWhateverHappened) {
  std::mt19937 random(1);
  std::vector<lb_next_hop> entries(64);
  HopTable table(entries);
  for (int step = 0; step < 3000; ++step) {
    std::map<IpAddress, NextHop> hops;
    for (uint8_t i = 0; i < 40; ++i) {
      if (random() % 3 != 0) hops[Real(i)] = Hop(static_cast<uint8_t>(random() % 30));
    }
    table.Assign(hops);
    if (random() % 2 == 0) table.Collect();
    for (uint8_t i = 0; i < 40; ++i) {
      const auto it = hops.find(Real(i));
      if (it == hops.end()) {
        ASSERT_EQ(table.IndexOf(Real(i)), 0);
        continue;
      }
      ASSERT_NE(table.IndexOf(Real(i)), 0);
      ASSERT_TRUE(Same(entries[table.IndexOf(Real(i))], EncodeNextHop(it->second)));
    }
    ASSERT_TRUE(Same(entries[0], lb_next_hop{}));
  }
  table.Assign({});
  table.Collect();
  for (const lb_next_hop& entry : entries) EXPECT_TRUE(Same(entry, lb_next_hop{}));
}

}  // namespace
}  // namespace lb::dataplane
