// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/rendezvous.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/unit/model/brute_force.h"
#include "tests/unit/model/ring_testing.h"

namespace lb::model {
namespace {

constexpr RingScheme kScheme = RingScheme::kRendezvous;

Ring Build(const Members& members, int bits) { return Build(kScheme, members, bits); }

std::vector<IpAddress> BuildOwners(const Members& members, int bits) {
  return Owners(Build(members, bits), members);
}

// A change of these three breaks connections in every fleet that upgrades one balancer at a time.
TEST(RendezvousTest, SmallRingStaysAsItWas) {
  Members members = EqualMembers(3);
  members[2].weight = 200;
  EXPECT_EQ(Picture(Build(members, 8)),
            "1131131331233323213323331332321232312332321333323331132313222123"
            "3323333213132131333133331312333111322121332211333133322312223132"
            "2133232231231323212221331322121312111313121133331133231323333121"
            "2321222133333132223213323333333133332112233333131113333131233333");
}

TEST(RendezvousTest, LargeRingStaysAsItWas) {
  EXPECT_EQ(Fingerprint(Build(MixedMembers(100), 16)), 12168328372722023364u);
}

TEST(RendezvousTest, LargestRingStaysAsItWas) {
  Members members = EqualMembers(kMaxRealsPerVip);
  std::mt19937 random(7);
  for (RingMember& member : members) member.weight = Draw(random, kMaxWeight + 1);
  EXPECT_EQ(Fingerprint(Build(members, kMaxRingBits)), 3613509554685865787u);
}

TEST(RendezvousTest, FindsWhatBruteForceFinds) {
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    const int bits = 8 + static_cast<int>(Draw(random, 4));
    const Members members = RandomMembers(random, round % 4 == 0 ? 400 : 30);
    ASSERT_EQ(Build(members, bits), FillByBruteForce(Ring(1u << bits, 0), members, true)) << round;
  }
}

TEST(RendezvousTest, LoadsFollowTheWeightsUnderTheCap) {
  for (int count : {1, 2, 10, 100, 250}) {
    const Members members = MixedMembers(count);
    const Ring ring = Build(members, 16);
    const auto loads = Loads(ring, members);
    EXPECT_EQ(loads[0], 0u);
    for (size_t i = 0; i < members.size(); ++i) {
      const double share = Share(ring.size(), members, i);
      EXPECT_LE(static_cast<double>(loads[i + 1]), 1.03 * share + 1);
      EXPECT_GE(static_cast<double>(loads[i + 1]), share - 4 * std::sqrt(share));
    }
  }
}

TEST(RendezvousTest, SmallestWeightBesideTheLargest) {
  Members members = EqualMembers(2, kMaxWeight);
  members[0].weight = 1;
  for (int bits : {kMinRingBits, kMaxRingBits}) {
    const auto loads = Loads(Build(members, bits), members);
    EXPECT_EQ(loads[0], 0u);
    EXPECT_LE(loads[1], 3u);
  }
}

TEST(RendezvousTest, RemovingOneRealMovesItsSlotsAndFewOthers) {
  for (size_t victim : {0u, 1u, 50u, 99u}) {
    Members members = EqualMembers(100);
    const auto before = BuildOwners(members, 16);
    const IpAddress removed = members[victim].address;
    members.erase(members.begin() + static_cast<ptrdiff_t>(victim));
    EXPECT_LT(ExcessMoves(before, BuildOwners(members, 16), {removed}), 0.12);
  }
}

TEST(RendezvousTest, AddingOneRealTakesItsSlotsAndMovesFewOthers) {
  Members members = EqualMembers(100);
  const auto before = BuildOwners(members, 16);
  members.push_back({.address = AddressOf(100), .weight = 100});
  EXPECT_LT(ExcessMoves(before, BuildOwners(members, 16), {AddressOf(100)}), 0.12);
}

TEST(RendezvousTest, ChangingAWeightMovesSlotsOfThatRealAndFewOthers) {
  Members members = EqualMembers(100);
  const auto before = BuildOwners(members, 16);
  members[7].weight = 110;
  EXPECT_LT(ExcessMoves(before, BuildOwners(members, 16), {AddressOf(7)}), 0.06);
}

TEST(RendezvousTest, MovesLessThanMaglev) {
  const Members before = EqualMembers(100);
  Members removed = before;
  removed.pop_back();
  Members added = before;
  std::set<IpAddress> more;
  for (int i = 100; i < 120; ++i) {
    added.push_back({.address = AddressOf(i), .weight = 100});
    more.insert(AddressOf(i));
  }
  Members heavier = before;
  heavier[7].weight = 110;

  const auto excess = [&](RingScheme scheme, const Members& after, const std::set<IpAddress>& who) {
    return ExcessMoves(Owners(Build(scheme, before, 16), before),
                       Owners(Build(scheme, after, 16), after), who);
  };
  const std::set<IpAddress> last = {AddressOf(99)};
  const std::set<IpAddress> seventh = {AddressOf(7)};
  EXPECT_LT(4 * excess(kScheme, removed, last), excess(RingScheme::kMaglev, removed, last));
  EXPECT_LT(4 * excess(kScheme, added, more), excess(RingScheme::kMaglev, added, more));
  EXPECT_LT(4 * excess(kScheme, heavier, seventh), excess(RingScheme::kMaglev, heavier, seventh));
}

TEST(RendezvousTest, WeightZeroOwnsNothingWhateverElseChanges) {
  Members members = MixedMembers(40);
  members[3].weight = 0;
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    RingMember& other = members[4 + Draw(random, 36)];
    other.weight = Draw(random, 3) * 100;
    other.usable = Draw(random, 2) == 0;
    const auto loads = Loads(Build(members, 12), members);
    EXPECT_EQ(loads[0], 0u);
    for (size_t i = 0; i < members.size(); ++i) {
      if (members[i].weight == 0) {
        EXPECT_EQ(loads[i + 1], 0u);
      }
    }
  }
}

TEST(RendezvousTest, WeightZeroIsTheSameAsAbsent) {
  Members members = MixedMembers(40);
  members.back().weight = 0;
  const auto drained = BuildOwners(members, 12);
  members.pop_back();
  EXPECT_EQ(BuildOwners(members, 12), drained);
}

TEST(RendezvousTest, NobodyOwnsTheRingOfNobody) {
  EXPECT_EQ(Build(Members{}, 8), Ring(256, 0));
  EXPECT_EQ(Build(EqualMembers(5, 0), 8), Ring(256, 0));
}

TEST(RendezvousTest, OneRealOwnsItAll) {
  EXPECT_EQ(Build(EqualMembers(1, 1), 8), Ring(256, 1));
  EXPECT_EQ(Build(EqualMembers(1, kMaxWeight), 20), Ring(1 << 20, 1));
}

TEST(RendezvousTest, WithMoreRealsThanSlotsTheBestOwnOneSlotEach) {
  Members members = EqualMembers(1000);
  const Ring ring = Build(members, 8);
  const auto loads = Loads(ring, members);
  EXPECT_EQ(loads[0], 0u);
  EXPECT_EQ(std::ranges::count(loads, 1), 256);

  // Who owns nothing is not missed.
  const auto owners = Owners(ring, members);
  std::erase_if(members,
                [&](const RingMember& m) { return std::ranges::count(owners, m.address) == 0; });
  EXPECT_EQ(BuildOwners(members, 8), owners);
}

TEST(RendezvousTest, EverySizeIsFilled) {
  for (int bits = kMinRingBits; bits <= kMaxRingBits; ++bits) {
    const Members members = MixedMembers(30);
    EXPECT_EQ(Loads(Build(members, bits), members)[0], 0u) << bits;
  }
}

TEST(RendezvousTest, RandomRingsAreFullAndUnderTheCap) {
  std::mt19937 random(4);
  for (int round = 0; round < 150; ++round) {
    const Members members = RandomMembers(random, 600);
    const Ring ring = Build(members, 8 + static_cast<int>(Draw(random, 6)));
    const auto loads = Loads(ring, members);
    if (loads[0] == ring.size()) {
      EXPECT_TRUE(std::ranges::all_of(members, [](const RingMember& m) { return m.weight == 0; }));
      continue;
    }
    EXPECT_EQ(loads[0], 0u);
    for (size_t i = 0; i < members.size(); ++i) {
      const double share = Share(ring.size(), members, i);
      const double cap = members[i].weight == 0 ? 0 : 1.03 * share + 1;
      EXPECT_LE(static_cast<double>(loads[i + 1]), cap);
    }
  }
}

}  // namespace
}  // namespace lb::model
