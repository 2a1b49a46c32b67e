// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/disruption.h"

#include <gtest/gtest.h>

#include "tests/unit/model/config_testing.h"

namespace lb::model {
namespace {

constexpr const char* kWeb = "192.0.2.1:80/tcp";

TEST(DisruptionTest, TheSameRingMovesNothing) {
  const Vip vip = VipOf(kWeb, {"10.0.0.1", "10.0.0.2"});
  EXPECT_EQ(MovedShare(vip, {1, 2, 1, 2}, vip, {1, 2, 1, 2}), 0);
}

TEST(DisruptionTest, RealsAreComparedByAddressAndNotByNumber) {
  const Vip before = VipOf(kWeb, {"10.0.0.1", "10.0.0.2"});
  const Vip after = VipOf(kWeb, {"10.0.0.2", "10.0.0.1", "10.0.0.3"});
  EXPECT_EQ(MovedShare(before, {1, 2, 1, 2}, after, {2, 1, 2, 1}), 0);
  EXPECT_EQ(MovedShare(before, {1, 2, 1, 2}, after, {2, 1, 3, 1}), 0.25);
}

TEST(DisruptionTest, SlotsThatLoseOrFindAnyOwnerMove) {
  const Vip before = VipOf(kWeb, {"10.0.0.1"});
  const Vip after = VipOf(kWeb);
  EXPECT_EQ(MovedShare(before, {1, 1}, after, {0, 0}), 1);
  EXPECT_EQ(MovedShare(after, {0, 0}, before, {1, 0}), 0.5);
}

TEST(DisruptionTest, ALargerRingIsComparedSlotBySlot) {
  const Vip vip = VipOf(kWeb, {"10.0.0.1", "10.0.0.2"});
  EXPECT_EQ(MovedShare(vip, {1, 2}, vip, {1, 1, 2, 2}), 0);
  EXPECT_EQ(MovedShare(vip, {1, 2}, vip, {1, 2, 2, 2}), 0.25);
  EXPECT_EQ(MovedShare(vip, {1, 1, 2, 1}, vip, {1, 2}), 0.25);
}

}  // namespace
}  // namespace lb::model
