// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "lbd/control/ring_cache.h"
#include "tests/unit/model/config_testing.h"

namespace lb::control {
namespace {

using model::Ip;
using model::RealState;
using model::Ring;

// A VIP with the actives 10.0.0.1 to 10.0.0.3 and the standbys 10.0.0.4 (weight 100) and
// 10.0.0.5 (weight 300), under both schemes.
class StandbyTest : public testing::TestWithParam<model::RingScheme> {
 protected:
  StandbyTest()
      : vip_(model::VipOf("192.0.2.1:80/tcp",
                          {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"})) {
    vip_.ring = {.scheme = GetParam(), .bits = 12};
    vip_.reals[3].state = RealState::kStandby;
    vip_.reals[4].state = RealState::kStandby;
    vip_.reals[4].weight = 300;
  }

  void SetActives(RealState state) {
    for (int i = 0; i < 3; ++i) vip_.reals[i].state = state;
  }

  Ring Get() { return *rings_.Get(vip_); }

  // Slots per number, where there are any.
  static std::map<uint16_t, int> Count(const Ring& ring) {
    std::map<uint16_t, int> slots;
    for (const uint16_t number : ring) ++slots[number];
    return slots;
  }
  static std::vector<uint16_t> Owners(const Ring& ring) {
    std::vector<uint16_t> owners;
    for (const auto& [number, slots] : Count(ring)) owners.push_back(number);
    return owners;
  }

  model::Vip vip_;
  RingCache rings_;
};

using Owned = std::vector<uint16_t>;

INSTANTIATE_TEST_SUITE_P(Schemes, StandbyTest,
                         testing::Values(model::RingScheme::kRendezvous,
                                         model::RingScheme::kMaglev),
                         [](const auto& scheme) {
                           return scheme.param == model::RingScheme::kMaglev ? "Maglev"
                                                                             : "Rendezvous";
                         });

TEST_P(StandbyTest, AStandbyOwnsNothingWhileARealIsActive) {
  EXPECT_EQ(Owners(Get()), (Owned{1, 2, 3}));
  vip_.reals[0].state = RealState::kDown;
  EXPECT_EQ(Owners(Get()), (Owned{2, 3}));
  vip_.reals[1].state = RealState::kDraining;
  EXPECT_EQ(Owners(Get()), (Owned{3}));
}

TEST_P(StandbyTest, TheRingOfTheActivesDoesNotDependOnStandbys) {
  const Ring with = Get();
  vip_.reals[4].weight = 7;
  EXPECT_EQ(Get(), with);
  vip_.reals.resize(3);
  EXPECT_EQ(Get(), with);
}

TEST_P(StandbyTest, WithoutAnActiveTheStandbysTakeAllByWeight) {
  for (const RealState state : {RealState::kDown, RealState::kDraining}) {
    SetActives(state);
    const auto slots = Count(Get());
    EXPECT_EQ(Owners(Get()), (Owned{4, 5}));
    EXPECT_NEAR(slots.at(5), 4096 * 3 / 4, 4096 * 0.04);
  }
}

TEST_P(StandbyTest, AnActiveWithoutWeightCountsForNothing) {
  SetActives(RealState::kDown);
  vip_.reals[0].state = RealState::kActive;
  vip_.reals[0].weight = 0;
  EXPECT_EQ(Owners(Get()), (Owned{4, 5}));
  for (int i = 0; i < 3; ++i) vip_.reals[i] = {.address = vip_.reals[i].address, .weight = 0};
  EXPECT_EQ(Owners(Get()), (Owned{4, 5}));
}

TEST_P(StandbyTest, AVipOfStandbysAloneIsServed) {
  vip_.reals.erase(vip_.reals.begin(), vip_.reals.begin() + 3);
  EXPECT_EQ(Owners(Get()), (Owned{1, 2}));
  vip_.reals[1].weight = 0;
  EXPECT_EQ(Owners(Get()), (Owned{1}));
  vip_.reals[0].state = RealState::kDown;
  EXPECT_EQ(Owners(Get()), (Owned{0}));
}

TEST_P(StandbyTest, TheActivesGetBackExactlyTheirSlots) {
  const Ring before = Get();
  SetActives(RealState::kDown);
  Get();
  // One returns, then the others: it keeps what it had, and all is as before.
  vip_.reals[1].state = RealState::kActive;
  const Ring alone = Get();
  EXPECT_EQ(Owners(alone), (Owned{2}));
  vip_.reals[0].state = RealState::kActive;
  const Ring two = Get();
  for (size_t slot = 0; slot < before.size(); ++slot) {
    if (before[slot] != 3) {
      ASSERT_EQ(two[slot], before[slot]) << slot;
    }
  }
  vip_.reals[2].state = RealState::kActive;
  EXPECT_EQ(Get(), before);
}

TEST_P(StandbyTest, TheRingIsTheSameWhateverWasBefore) {
  SetActives(RealState::kDown);
  const Ring fresh = *RingCache().Get(vip_);
  SetActives(RealState::kActive);
  Get();
  vip_.reals[0].weight = 0;
  Get();
  rings_.Trim();
  vip_.reals[0].weight = 100;
  SetActives(RealState::kDown);
  EXPECT_EQ(Get(), fresh);
}

TEST_P(StandbyTest, AnEqualRingIsBuiltOnce) {
  EXPECT_EQ(rings_.Get(vip_), rings_.Get(vip_));
  model::Vip other = vip_;
  other.key = model::Key("192.0.2.2:443/tcp");
  EXPECT_EQ(rings_.Get(vip_), rings_.Get(other));
}

}  // namespace
}  // namespace lb::control
