// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/timer_wheel.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <vector>

namespace lb::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Recorder final : public Timer {
 public:
  explicit Recorder(std::function<void(Time)> on_due) : on_due_(std::move(on_due)) {}

 private:
  void OnDue(Time now) override { on_due_(now); }
  std::function<void(Time)> on_due_;
};

TEST(TimerWheelTest, FiresOnceNeitherTooSoonNorTooLate) {
  Time now{seconds(10)};
  TimerWheel wheel(now);
  std::mt19937 random(1);
  std::vector<std::unique_ptr<Recorder>> timers;
  int fired = 0;
  for (int i = 0; i < 1000; ++i) {
    const Time due = now + std::chrono::microseconds(random() % 20'000'000);
    timers.push_back(std::make_unique<Recorder>([&, due](Time at) {
      ++fired;
      EXPECT_GE(at, due);
      EXPECT_LE(at - due, milliseconds(2));
    }));
    wheel.Arm(*timers.back(), due);
  }
  for (; now < Time(seconds(31)); now += milliseconds(1)) wheel.Advance(now);
  EXPECT_EQ(fired, 1000);
}

TEST(TimerWheelTest, CatchesUpAfterALongPause) {
  Time now{seconds(10)};
  TimerWheel wheel(now);
  int fired = 0;
  Recorder soon([&](Time) { ++fired; });
  Recorder later([&](Time) { ++fired; });
  Recorder never([&](Time) { ++fired; });
  wheel.Arm(soon, now + milliseconds(5));
  wheel.Arm(later, now + seconds(50));
  wheel.Arm(never, now + seconds(500));
  wheel.Advance(now + seconds(100));
  EXPECT_EQ(fired, 2);
  EXPECT_TRUE(never.armed());
}

TEST(TimerWheelTest, CallbacksArmAndDisarm) {
  Time now{seconds(10)};
  TimerWheel wheel(now);
  int fired = 0;
  Recorder victim([&](Time) { FAIL() << "was disarmed"; });
  std::unique_ptr<Recorder> again;
  again = std::make_unique<Recorder>([&](Time at) {
    TimerWheel::Disarm(victim);
    if (++fired < 3) wheel.Arm(*again, at + milliseconds(10));
  });
  wheel.Arm(*again, now + milliseconds(10));
  wheel.Arm(victim, now + milliseconds(10));
  for (int i = 0; i < 100; ++i) wheel.Advance(now += milliseconds(1));
  EXPECT_EQ(fired, 3);
}

TEST(TimerWheelTest, SaysWhenToComeBack) {
  const Time now{seconds(10)};
  TimerWheel wheel(now);
  Recorder timer([](Time) {});
  EXPECT_EQ(wheel.NextWithin(now, seconds(1)), now + seconds(1));
  wheel.Arm(timer, now + milliseconds(100));
  const Time next = wheel.NextWithin(now, seconds(1));
  EXPECT_GE(next, now + milliseconds(100));
  EXPECT_LE(next, now + milliseconds(101));
}

}  // namespace
}  // namespace lb::health
