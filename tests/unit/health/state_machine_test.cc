// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/state_machine.h"

#include <gtest/gtest.h>

namespace lb::health {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Time kNow{seconds(1000)};

model::CheckTiming Timing() { return {.interval_ms = 2000, .rise = 2, .fall = 3}; }

TEST(StateMachineTest, TheFirstResultDecidesAlone) {
  StateMachine good(Timing(), State::kUnknown);
  EXPECT_TRUE(good.OnSuccess(kNow));
  EXPECT_EQ(good.state(), State::kUp);
  StateMachine bad(Timing(), State::kUnknown);
  EXPECT_TRUE(bad.OnFailure(kNow));
  EXPECT_EQ(bad.state(), State::kDown);
}

TEST(StateMachineTest, GoesDownAfterFallFailuresInARow) {
  StateMachine machine(Timing(), State::kUp);
  EXPECT_FALSE(machine.OnFailure(kNow));
  EXPECT_FALSE(machine.OnFailure(kNow));
  EXPECT_FALSE(machine.OnSuccess(kNow)) << "a success starts the count anew";
  EXPECT_FALSE(machine.OnFailure(kNow));
  EXPECT_FALSE(machine.OnFailure(kNow));
  EXPECT_EQ(machine.state(), State::kUp);
  EXPECT_TRUE(machine.OnFailure(kNow));
  EXPECT_EQ(machine.state(), State::kDown);
  EXPECT_EQ(machine.failures(), 3u);
}

TEST(StateMachineTest, ComesUpAfterRiseSuccessesInARow) {
  StateMachine machine(Timing(), State::kDown);
  EXPECT_FALSE(machine.OnSuccess(kNow));
  EXPECT_FALSE(machine.OnFailure(kNow));
  EXPECT_FALSE(machine.OnSuccess(kNow));
  EXPECT_TRUE(machine.OnSuccess(kNow));
  EXPECT_EQ(machine.state(), State::kUp);
}

TEST(StateMachineTest, LooksSoonerWhileUndecided) {
  StateMachine machine(Timing(), State::kUp);
  EXPECT_EQ(machine.Interval(), milliseconds(2000));
  machine.OnFailure(kNow);
  EXPECT_EQ(machine.Interval(), milliseconds(500));
  machine.OnSuccess(kNow);
  EXPECT_EQ(machine.Interval(), milliseconds(2000));
  EXPECT_EQ(StateMachine(Timing(), State::kUnknown).Interval(), milliseconds(500));
}

TEST(StateMachineTest, LooksLessAndLessAtLongDeadReals) {
  StateMachine machine(Timing(), State::kDown);
  for (int i = 0; i < 29; ++i) machine.OnFailure(kNow);
  EXPECT_EQ(machine.Interval(), milliseconds(2000));
  machine.OnFailure(kNow);
  EXPECT_EQ(machine.Interval(), milliseconds(4000));
  machine.OnFailure(kNow);
  EXPECT_EQ(machine.Interval(), milliseconds(8000));
  for (int i = 0; i < 100; ++i) machine.OnFailure(kNow);
  EXPECT_EQ(machine.Interval(), milliseconds(10'000));
  machine.OnSuccess(kNow);
  EXPECT_EQ(machine.Interval(), milliseconds(500)) << "a sign of life";
}

// Down and up again, once.
void Flap(StateMachine& machine, Time now) {
  while (machine.state() != State::kDown) machine.OnFailure(now);
  while (machine.state() != State::kUp) machine.OnSuccess(now);
}

TEST(StateMachineTest, ARealThatFlapsNeedsMoreSuccesses) {
  StateMachine machine(Timing(), State::kUp);
  Flap(machine, kNow);
  Flap(machine, kNow);
  EXPECT_EQ(machine.rise(kNow), 2u) << "twice is free";
  Flap(machine, kNow);
  EXPECT_EQ(machine.rise(kNow), 4u);
  for (int i = 0; i < 20; ++i) Flap(machine, kNow);
  EXPECT_EQ(machine.rise(kNow), 32u) << "there is an end to it";
}

TEST(StateMachineTest, FlapsAreForgotten) {
  StateMachine machine(Timing(), State::kUp);
  for (int i = 0; i < 4; ++i) Flap(machine, kNow);
  EXPECT_EQ(machine.rise(kNow), 8u);
  EXPECT_EQ(machine.rise(kNow + minutes(5)), 4u);
  EXPECT_EQ(machine.rise(kNow + minutes(10)), 2u);
}

TEST(StateMachineTest, DampingCanBeOff) {
  model::CheckTiming timing = Timing();
  timing.damping = false;
  StateMachine machine(timing, State::kUp);
  for (int i = 0; i < 10; ++i) Flap(machine, kNow);
  EXPECT_EQ(machine.rise(kNow), 2u);
}

}  // namespace
}  // namespace lb::health
