// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "lbd/model/real_key.h"
#include "tests/unit/model/ring_testing.h"

namespace lb::model {
namespace {

Ring Build(const Members& members, int bits) { return Build(RingScheme::kMaglev, members, bits); }

std::vector<IpAddress> BuildOwners(const Members& members, int bits) {
  return Owners(Build(members, bits), members);
}

// The loop of the paper, with the turns of Katran: in each round each real adds its weight to an
// account and, once that holds the largest weight, pays this for a turn.
Ring BuildByRounds(Members members, int bits) {
  std::vector<uint16_t> numbers(members.size());
  std::iota(numbers.begin(), numbers.end(), uint16_t{1});
  std::ranges::sort(numbers, {},
                    [&](uint16_t n) { return RealKey(members[n - 1].address).seed(); });
  const uint64_t max_weight = std::ranges::max(members, {}, &RingMember::weight).weight;

  Ring ring(size_t{1} << bits, 0);
  std::vector<uint64_t> account(members.size() + 1, 0);
  std::vector<uint64_t> next(members.size() + 1, 0);
  for (size_t filled = 0; filled < ring.size();) {
    for (uint16_t number : numbers) {
      account[number] += members[number - 1].weight;
      if (account[number] < max_weight || filled == ring.size()) continue;
      account[number] -= max_weight;
      RealKey key(members[number - 1].address);
      const uint64_t offset = key.Next();
      const uint64_t skip = key.Next() | 1;
      size_t slot;
      do slot = (offset + skip * next[number]++) % ring.size();
      while (ring[slot] != 0);
      ring[slot] = number;
      ++filled;
    }
  }
  return ring;
}

TEST(MaglevTest, SmallRingStaysAsItWas) {
  Members members = EqualMembers(3);
  members[2].weight = 200;
  EXPECT_EQ(Picture(Build(members, 8)),
            "3132323212323123333133323221133313132313231231133332312311331132"
            "3232323123312321231212133313232323133332323211322123313333313231"
            "1331231323132213331333332121313312321232333333313331122213133313"
            "2323211333333132312211331133323132313321232323132213331331232321");
}

TEST(MaglevTest, LargeRingStaysAsItWas) {
  EXPECT_EQ(Fingerprint(Build(MixedMembers(100), 16)), 12974124929688555969u);
}

TEST(MaglevTest, TakesTurnsAsKatranDoes) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    Members members = EqualMembers(1 + static_cast<int>(Draw(random, 60)));
    for (RingMember& member : members) member.weight = Draw(random, 5) * 50;
    members[0].weight = 70;
    ASSERT_EQ(Build(members, 10), BuildByRounds(members, 10)) << round;
  }
}

TEST(MaglevTest, LoadsFollowTheWeightsExactly) {
  for (int count : {1, 2, 10, 100, 250}) {
    const Members members = MixedMembers(count);
    const Ring ring = Build(members, 16);
    const auto loads = Loads(ring, members);
    EXPECT_EQ(loads[0], 0u);
    for (size_t i = 0; i < members.size(); ++i) {
      const double share = Share(ring.size(), members, i);
      EXPECT_NEAR(static_cast<double>(loads[i + 1]), share, 0.005 * share + 2);
    }
  }
}

TEST(MaglevTest, SmallestWeightsBesideTheLargest) {
  Members members = EqualMembers(kMaxRealsPerVip, 1);
  members[0].weight = kMaxWeight;
  const auto loads = Loads(Build(members, kMaxRingBits), members);
  EXPECT_EQ(loads[0], 0u);
  EXPECT_NEAR(static_cast<double>(loads[1]), Share(1 << kMaxRingBits, members, 0), 8192);
}

TEST(MaglevTest, RemovingOneRealMovesFewOtherSlots) {
  Members members = EqualMembers(100);
  const auto before = BuildOwners(members, 16);
  members.pop_back();
  EXPECT_LT(ExcessMoves(before, BuildOwners(members, 16), {AddressOf(99)}), 1.0);
}

TEST(MaglevTest, WeightZeroOwnsNothingWhateverElseChanges) {
  Members members = MixedMembers(40);
  members[3].weight = 0;
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    members[4 + Draw(random, 36)].weight = Draw(random, 3) * 100;
    const auto loads = Loads(Build(members, 12), members);
    EXPECT_EQ(loads[0], 0u);
    for (size_t i = 0; i < members.size(); ++i) {
      if (members[i].weight == 0) {
        EXPECT_EQ(loads[i + 1], 0u);
      }
    }
  }
}

TEST(MaglevTest, WeightZeroIsTheSameAsAbsent) {
  Members members = MixedMembers(40);
  members.back().weight = 0;
  const auto drained = BuildOwners(members, 12);
  members.pop_back();
  EXPECT_EQ(BuildOwners(members, 12), drained);
}

TEST(MaglevTest, NobodyOwnsTheRingOfNobody) {
  EXPECT_EQ(Build(Members{}, 8), Ring(256, 0));
  EXPECT_EQ(Build(EqualMembers(5, 0), 8), Ring(256, 0));
}

TEST(MaglevTest, WithMoreRealsThanSlotsTheBestOwnOneSlotEach) {
  const Members members = EqualMembers(1000);
  const auto loads = Loads(Build(members, 8), members);
  EXPECT_EQ(loads[0], 0u);
  EXPECT_EQ(std::ranges::count(loads, 1), 256);
}

TEST(MaglevTest, EverySizeIsFilled) {
  for (int bits = kMinRingBits; bits <= kMaxRingBits; ++bits) {
    const Members members = MixedMembers(30);
    EXPECT_EQ(Loads(Build(members, bits), members)[0], 0u) << bits;
  }
}

}  // namespace
}  // namespace lb::model
