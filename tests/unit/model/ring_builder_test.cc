// SPDX-License-Identifier: Apache-2.0
// What every scheme of rings promises.
#include "lbd/model/ring_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/model/ring_testing.h"

namespace lb::model {
namespace {

class RingBuilderTest : public testing::TestWithParam<RingScheme> {
 protected:
  static Ring BuildOne(const Members& members, int bits) {
    return Build(GetParam(), members, bits);
  }
};

INSTANTIATE_TEST_SUITE_P(Schemes, RingBuilderTest,
                         testing::Values(RingScheme::kRendezvous, RingScheme::kMaglev));

TEST_P(RingBuilderTest, OrderOfTheMembersDoesNotMatter) {
  Members members = MixedMembers(50);
  const auto owners = Owners(BuildOne(members, 14), members);
  std::mt19937 random(2);
  for (int round = 0; round < 5; ++round) {
    std::ranges::shuffle(members, random);
    EXPECT_EQ(Owners(BuildOne(members, 14), members), owners);
  }
}

TEST_P(RingBuilderTest, OnlyTheRatioOfTheWeightsMatters) {
  EXPECT_EQ(BuildOne(EqualMembers(20, 1), 12), BuildOne(EqualMembers(20, kMaxWeight), 12));
}

TEST_P(RingBuilderTest, HealthDoesNotMatter) {
  Members members = MixedMembers(20);
  const Ring ring = BuildOne(members, 12);
  for (size_t i = 0; i < members.size(); i += 3) members[i].usable = false;
  EXPECT_EQ(BuildOne(members, 12), ring);
}

}  // namespace
}  // namespace lb::model
