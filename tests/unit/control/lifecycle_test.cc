// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/lifecycle.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/model/config_testing.h"

namespace lb::control {
namespace {

using model::ConfigOf;
using model::Ip;
using model::Key;
using model::RealState;
using model::VipOf;
using std::chrono::milliseconds;
using std::chrono::seconds;

using Weights = std::vector<uint32_t>;
using TimePoint = Lifecycle::TimePoint;

constexpr const char* kWeb = "192.0.2.1:80/tcp";
const Lifecycle::RealId kReal1 = {Key(kWeb), Ip("10.0.0.1")};
const Lifecycle::RealId kReal2 = {Key(kWeb), Ip("10.0.0.2")};

// Makes changes to a configuration of one VIP at moments given in seconds.
class LifecycleTest : public testing::Test {
 protected:
  LifecycleTest() {
    model::Vip vip = VipOf(kWeb, {"10.0.0.1", "10.0.0.2"});
    vip.slow_start = 100;
    config_ = ConfigOf({vip});
    Update(0);
  }

  static TimePoint At(double second) {
    return TimePoint(seconds(1'000'000)) + milliseconds(std::llround(second * 1000));
  }

  model::Vip& vip() { return config_.vips[0]; }
  model::Real& real(int number) { return vip().reals[number - 1]; }

  // Tells of what was changed in `config_` since the last call.
  void Update(double second) {
    lifecycle_.Update(told_, config_, At(second));
    told_ = config_;
  }
  // Lets real 1 be down from the start and active from `second` on.
  void BringBack(double second) {
    real(1).state = RealState::kDown;
    Update(0);
    real(1).state = RealState::kActive;
    Update(second);
  }

  Weights WeightsAt(double second) const {
    Weights weights;
    for (const model::Real& real : lifecycle_.Effective(config_.vips[0], At(second)).reals) {
      weights.push_back(real.weight);
    }
    return weights;
  }

  model::Config config_;
  Lifecycle lifecycle_;

 private:
  model::Config told_;
};

TEST_F(LifecycleTest, AVipThatIsNewStartsWithFullWeights) {
  EXPECT_EQ(WeightsAt(0), (Weights{100, 100}));
  EXPECT_EQ(lifecycle_.Next(At(0)), std::nullopt);
}

TEST_F(LifecycleTest, ARealThatReturnsGetsItsWeightInTenSteps) {
  BringBack(7);
  for (int step = 1; step <= 10; ++step) {
    const double begin = 7 + (step - 1) * 10;
    EXPECT_EQ(WeightsAt(begin), (Weights{10u * step, 100})) << step;
    EXPECT_EQ(WeightsAt(begin + 9.999), (Weights{10u * step, 100})) << step;
    EXPECT_EQ(lifecycle_.Next(At(begin + 5)),
              step < 10 ? std::optional(At(begin + 10)) : std::nullopt)
        << step;
  }
  EXPECT_EQ(WeightsAt(1e6), (Weights{100, 100}));
}

TEST_F(LifecycleTest, EveryStateThatIsLeftForActiveIsAReturn) {
  for (const RealState state : {RealState::kDown, RealState::kDraining, RealState::kStandby}) {
    real(1).state = state;
    Update(0);
    EXPECT_EQ(WeightsAt(0), (Weights{100, 100}));
    real(1).state = RealState::kActive;
    Update(1);
    EXPECT_EQ(WeightsAt(1), (Weights{10, 100})) << ToString(state);
  }
}

TEST_F(LifecycleTest, ARealThatIsNewInItsVipStartsSlowly) {
  vip().reals.push_back({.address = Ip("10.0.0.3"), .weight = 50});
  vip().reals.push_back({.address = Ip("10.0.0.4"), .state = RealState::kStandby});
  Update(0);
  EXPECT_EQ(WeightsAt(0), (Weights{100, 100, 5, 100}));
  EXPECT_EQ(WeightsAt(90), (Weights{100, 100, 50, 100}));
}

TEST_F(LifecycleTest, ARealThatLeavesAgainStartsFromTheBeginning) {
  BringBack(0);
  real(1).state = RealState::kDown;
  Update(50);
  EXPECT_EQ(lifecycle_.Next(At(50)), std::nullopt);
  EXPECT_EQ(WeightsAt(50), (Weights{100, 100}));
  real(1).state = RealState::kActive;
  Update(60);
  EXPECT_EQ(WeightsAt(60), (Weights{10, 100}));
}

TEST_F(LifecycleTest, OtherChangesDoNotRestartAStart) {
  BringBack(0);
  real(2).weight = 60;
  vip().name = "other";
  config_.vips.push_back(VipOf("192.0.2.2:80/tcp", {"10.0.0.1"}));
  Update(35);
  EXPECT_EQ(WeightsAt(35), (Weights{40, 60}));
  real(1).weight = 200;
  Update(36);
  EXPECT_EQ(WeightsAt(36), (Weights{80, 60}));
  EXPECT_EQ(WeightsAt(90), (Weights{200, 60}));
}

TEST_F(LifecycleTest, AnotherLengthHoldsFromTheSameBeginning) {
  BringBack(0);
  vip().slow_start = 1000;
  Update(50);
  EXPECT_EQ(WeightsAt(50), (Weights{10, 100}));
  EXPECT_EQ(WeightsAt(500), (Weights{60, 100}));
  vip().slow_start = 0;
  Update(501);
  EXPECT_EQ(WeightsAt(501), (Weights{100, 100}));
  EXPECT_EQ(lifecycle_.Next(At(501)), std::nullopt);
  vip().slow_start = 1000;
  Update(502);
  EXPECT_EQ(WeightsAt(502), (Weights{100, 100}));
}

TEST_F(LifecycleTest, SlowStartGivesNoWeightToARealWithoutAny) {
  real(1).weight = 0;
  BringBack(0);
  EXPECT_EQ(WeightsAt(0), (Weights{0, 100}));
  EXPECT_EQ(WeightsAt(50), (Weights{0, 100}));
}

TEST_F(LifecycleTest, ARealOfTheSmallestWeightsIsNeverWithoutAny) {
  for (const uint32_t weight : {1u, 2u, 9u}) {
    real(1).weight = weight;
    BringBack(0);
    EXPECT_EQ(WeightsAt(0)[0], 1) << weight;
    EXPECT_EQ(WeightsAt(90)[0], weight);
  }
}

TEST_F(LifecycleTest, TheLargestWeightDoesNotOverflow) {
  real(1).weight = model::kMaxWeight;
  BringBack(0);
  EXPECT_EQ(WeightsAt(85)[0], model::kMaxWeight / 10 * 9);
}

// Where a step is no whole number of seconds, Next() must not name a moment that changes nothing:
// the timer would ring again and again.
TEST_F(LifecycleTest, EveryStepChangesSomethingWhateverTheLength) {
  for (const uint32_t length : {1u, 5u, 15u, 99u, 3600u}) {
    vip().slow_start = length;
    BringBack(0);
    TimePoint now = At(0);
    int steps = 1;
    while (const auto next = lifecycle_.Next(now)) {
      ASSERT_GT(*next, now);
      const auto before = lifecycle_.Effective(vip(), *next - std::chrono::nanoseconds(1));
      const auto after = lifecycle_.Effective(vip(), *next);
      ASSERT_EQ(after.reals[0].weight - before.reals[0].weight, 10) << length;
      now = *next;
      ++steps;
    }
    EXPECT_EQ(steps, 10) << length;
    EXPECT_EQ(lifecycle_.Effective(vip(), now).reals[0].weight, 100);
  }
}

TEST_F(LifecycleTest, VipsWithTheSameRealAreApart) {
  config_.vips.push_back(VipOf("192.0.2.2:80/tcp", {"10.0.0.1"}));
  config_.vips[1].slow_start = 100;
  config_.vips[1].reals[0].state = RealState::kDown;
  BringBack(0);
  EXPECT_EQ(lifecycle_.Effective(config_.vips[0], At(0)).reals[0].weight, 10);
  EXPECT_EQ(lifecycle_.Effective(config_.vips[1], At(0)).reals[0].weight, 100);
}

class DrainDeadlineTest : public LifecycleTest {
 protected:
  using Ids = std::vector<Lifecycle::RealId>;

  void Drain(int number, std::optional<uint32_t> drain, double second) {
    real(number).state = RealState::kDraining;
    real(number).drain = drain;
    Update(second);
  }
  Ids DrainedAt(double second) { return lifecycle_.TakeDrained(At(second)); }
};

TEST_F(DrainDeadlineTest, ADrainEndsAtItsDeadlineOnce) {
  Drain(1, 30, 10);
  EXPECT_EQ(lifecycle_.Next(At(10)), At(40));
  EXPECT_EQ(DrainedAt(39.999), Ids());
  EXPECT_EQ(DrainedAt(40), Ids{kReal1});
  EXPECT_EQ(DrainedAt(40), Ids());
  EXPECT_EQ(lifecycle_.Next(At(40)), std::nullopt);
}

TEST_F(DrainDeadlineTest, WithoutADeadlineADrainNeverEnds) {
  Drain(1, std::nullopt, 0);
  EXPECT_EQ(lifecycle_.Next(At(0)), std::nullopt);
  EXPECT_EQ(DrainedAt(1e6), Ids());
}

TEST_F(DrainDeadlineTest, ADrainDoesNotTouchTheWeight) {
  Drain(1, 30, 0);
  EXPECT_EQ(WeightsAt(10), (Weights{100, 100}));
  EXPECT_EQ(WeightsAt(40), (Weights{100, 100}));
}

TEST_F(DrainDeadlineTest, OtherChangesDoNotMoveADeadline) {
  Drain(1, 30, 0);
  real(1).weight = 50;
  vip().name = "other";
  Update(20);
  Drain(2, 60, 25);
  EXPECT_EQ(lifecycle_.Next(At(25)), At(30));
  EXPECT_EQ(DrainedAt(30), Ids{kReal1});
  EXPECT_EQ(lifecycle_.Next(At(30)), At(85));
  // Nor do they bring back one that is over.
  real(1).weight = 60;
  Update(35);
  EXPECT_EQ(DrainedAt(84), Ids());
  EXPECT_EQ(DrainedAt(85), Ids{kReal2});
}

TEST_F(DrainDeadlineTest, AnotherDeadlineCountsFromNow) {
  Drain(1, 30, 0);
  Drain(1, 60, 20);
  EXPECT_EQ(DrainedAt(79), Ids());
  EXPECT_EQ(DrainedAt(80), Ids{kReal1});
  Drain(1, 30, 100);
  EXPECT_EQ(DrainedAt(130), Ids{kReal1});
}

TEST_F(DrainDeadlineTest, WhoReturnsIsNotDrained) {
  Drain(1, 30, 0);
  real(1).state = RealState::kActive;
  real(1).drain.reset();
  Update(10);
  EXPECT_EQ(DrainedAt(30), Ids());
  Drain(1, 30, 50);
  EXPECT_EQ(DrainedAt(79), Ids());
  EXPECT_EQ(DrainedAt(80), Ids{kReal1});
}

TEST_F(DrainDeadlineTest, TheDeadlineGoesWithItsRealAndWithItsVip) {
  Drain(1, 30, 0);
  const model::Config draining = config_;
  vip().reals.erase(vip().reals.begin());
  Update(10);
  EXPECT_EQ(lifecycle_.Next(At(10)), std::nullopt);
  config_ = draining;
  Update(20);
  config_.vips.clear();
  Update(25);
  EXPECT_EQ(DrainedAt(1e6), Ids());
}

TEST_F(DrainDeadlineTest, ARealThatIsAddedDrainingHasItsDeadline) {
  Lifecycle restarted;
  real(1).state = RealState::kDraining;
  real(1).drain = 30;
  restarted.Update(model::Config(), config_, At(5));
  EXPECT_EQ(restarted.Next(At(5)), At(35));
}

TEST_F(DrainDeadlineTest, TheNearestMomentOfAllIsNext) {
  Drain(2, 95, 0);
  BringBack(0);
  EXPECT_EQ(lifecycle_.Next(At(0)), At(10));
  EXPECT_EQ(lifecycle_.Next(At(89)), At(90));
  EXPECT_EQ(lifecycle_.Next(At(90)), At(95));
}

}  // namespace
}  // namespace lb::control
