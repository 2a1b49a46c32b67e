// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/ring_cache.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/model/config_testing.h"

namespace lb::control {
namespace {

using model::Key;
using model::RealState;
using model::VipOf;

TEST(RingCacheTest, EqualInputGivesTheSameRing) {
  RingCache cache;
  const model::Vip vip = VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "10.0.0.2"});
  const auto ring = cache.Get(vip);
  EXPECT_EQ(cache.Get(vip), ring);
  model::Vip other = vip;
  other.key = Key("192.0.2.2:443/udp");
  other.name = "another";
  EXPECT_EQ(cache.Get(other), ring) << "VIPs with the same reals share their ring";
}

TEST(RingCacheTest, WhatTheRingDependsOnGivesAnother) {
  RingCache cache;
  const model::Vip vip = VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "10.0.0.2"});
  const auto ring = cache.Get(vip);
  model::Vip weight = vip;
  weight.reals[0].weight = 50;
  model::Vip down = vip;
  down.reals[1].state = RealState::kDown;
  model::Vip scheme = vip;
  scheme.ring.scheme = model::RingScheme::kMaglev;
  model::Vip bits = vip;
  bits.ring.bits = 10;
  for (const model::Vip& changed : {weight, down, scheme, bits}) {
    const auto other = cache.Get(changed);
    EXPECT_NE(other, ring);
    EXPECT_NE(*other, *ring);
  }
  EXPECT_EQ(cache.Get(bits)->size(), 1024u);
}

TEST(RingCacheTest, DownRealsOwnNothingAndGetTheirSlotsBack) {
  RingCache cache;
  model::Vip vip = VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "10.0.0.2", "10.0.0.3"});
  const auto before = cache.Get(vip);
  for (const RealState state : {RealState::kDown, RealState::kDraining}) {
    vip.reals[1].state = state;
    const auto without = cache.Get(vip);
    for (size_t slot = 0; slot < before->size(); ++slot) {
      ASSERT_NE((*without)[slot], 2);
      if ((*before)[slot] != 2) {
        ASSERT_EQ((*without)[slot], (*before)[slot]);
      }
    }
  }
  vip.reals[1].state = RealState::kActive;
  EXPECT_EQ(*cache.Get(vip), *before);
}

TEST(RingCacheTest, TrimForgetsWhatNobodyHas) {
  RingCache cache;
  const model::Vip kept = VipOf("192.0.2.1:80/tcp", {"10.0.0.1"});
  const model::Vip dropped = VipOf("192.0.2.2:80/tcp", {"10.0.0.2"});
  const auto kept_ring = cache.Get(kept);
  const std::weak_ptr<const model::Ring> dropped_ring = cache.Get(dropped);
  cache.Trim();
  EXPECT_EQ(cache.Get(kept), kept_ring);
  EXPECT_TRUE(dropped_ring.expired());
}

TEST(RingCacheTest, TrimKeepsTheRingFromWhichAnotherWasMade) {
  RingCache cache;
  model::Vip vip = VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "10.0.0.2"});
  const std::weak_ptr<const model::Ring> primary = cache.Get(vip);
  vip.reals[0].state = RealState::kDown;
  auto overlay = cache.Get(vip);
  cache.Trim();
  EXPECT_FALSE(primary.expired()) << "it comes back when the real does";
  overlay.reset();
  cache.Trim();
  EXPECT_TRUE(primary.expired());
}

TEST(RingCacheTest, WithoutAUsableRealEverySlotIsEmpty) {
  RingCache cache;
  model::Vip vip = VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "10.0.0.2"});
  vip.reals[0].state = RealState::kDown;
  vip.reals[1].weight = 0;
  const auto ring = cache.Get(vip);
  EXPECT_EQ(std::set(ring->begin(), ring->end()), std::set<uint16_t>{0});
}

}  // namespace
}  // namespace lb::control
