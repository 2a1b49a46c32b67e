// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/loss_meter.h"

#include <gtest/gtest.h>

namespace lb::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(LossMeterTest, NothingYetIsNoLoss) {
  LossMeter meter;
  EXPECT_EQ(meter.percent(), 0u);
  meter.Update(1000, 500, Time(seconds(100)));
  EXPECT_EQ(meter.percent(), 0u) << "that was before";
}

TEST(LossMeterTest, OnlyWhatCameLatelyCounts) {
  LossMeter meter;
  Time now{seconds(100)};
  uint64_t received = 0;
  uint64_t dropped = 0;
  const auto second = [&](uint64_t more_received, uint64_t more_dropped) {
    meter.Update(received += more_received, dropped += more_dropped, now += seconds(1));
    return meter.percent();
  };
  second(0, 0);
  for (int i = 0; i < 600; ++i) EXPECT_EQ(second(1000, 0), 0u);
  EXPECT_EQ(second(500, 500), 50u);
  EXPECT_EQ(second(0, 1000), 100u);
  EXPECT_EQ(second(1000, 0), 0u);
}

TEST(LossMeterTest, LossShowsBeforeTheSecondIsOver) {
  LossMeter meter;
  Time now{seconds(100)};
  meter.Update(0, 0, now);
  meter.Update(1000, 0, now += seconds(1));
  meter.Update(1010, 90, now += milliseconds(20));
  EXPECT_EQ(meter.percent(), 8u) << "of what came within a second";
  meter.Update(1010, 1000, now += milliseconds(100));
  EXPECT_EQ(meter.percent(), 49u);
}

TEST(LossMeterTest, NewSocketsStartAnew) {
  LossMeter meter;
  meter.Update(0, 0, Time(seconds(100)));
  meter.Update(10, 90, Time(seconds(101)));
  EXPECT_EQ(meter.percent(), 90u);
  meter.Update(5, 0, Time(seconds(102)));
  EXPECT_EQ(meter.percent(), 0u);
}

}  // namespace
}  // namespace lb::health
