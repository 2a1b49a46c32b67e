// SPDX-License-Identifier: Apache-2.0
// From a probe's verdict to the rings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lbd/control/controller.h"
#include "tests/support/fake_checker.h"
#include "tests/support/fake_dataplane.h"
#include "tests/unit/model/config_testing.h"

namespace lb::control {
namespace {

using model::Ip;
using model::Key;
using model::VipOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kWeb = "192.0.2.1:80/tcp";

class ControllerHealthTest : public ::testing::Test {
 protected:
  ControllerHealthTest() {
    auto plane = std::make_unique<testing::FakeDataplane>();
    auto checker = std::make_unique<testing::FakeChecker>();
    plane_ = plane.get();
    checker_ = checker.get();
    controller_ = Controller::Create(std::move(plane), nullptr, std::move(checker)).value();
  }

  static model::ReplaceConfig Web(bool checked = true) {
    model::ReplaceConfig change;
    change.config.vips.push_back(VipOf(kWeb, {"10.0.0.1", "10.0.0.2"}));
    if (checked) change.config.vips[0].checks = {{.kind = model::TcpCheck()}};
    return change;
  }
  void Tell(std::string_view real, bool up) {
    checker_->tell({.vip = Key(kWeb),
                    .real = Ip(real),
                    .up = up,
                    .reason = up ? "tcp: ok" : "tcp: connection refused",
                    .at = {}});
    (void)controller_->Report();  // waits for the control thread
  }
  // The reals that the ring in force leads to.
  std::set<IpAddress> Serving() {
    const dataplane::Service service = plane_->applied().back().services.at(0);
    std::set<IpAddress> reals;
    for (const uint16_t number : *service.ring) {
      if (number != 0) reals.insert(service.vip.reals[number - 1].address);
    }
    return reals;
  }

  testing::FakeDataplane* plane_;
  testing::FakeChecker* checker_;
  std::unique_ptr<Controller> controller_;
};

TEST_F(ControllerHealthTest, TheRingFollowsTheChecks) {
  ASSERT_TRUE(controller_->Apply(Web()).ok());
  EXPECT_TRUE(plane_->applied().back().probing);
  EXPECT_THAT(Serving(), IsEmpty()) << "new reals have to pass first";
  ASSERT_EQ(checker_->plans.size(), 1u);
  EXPECT_EQ(checker_->plans[0].vips[0].reals.size(), 2u);
  Tell("10.0.0.1", true);
  EXPECT_THAT(Serving(), IsEmpty()) << "the first does not have to take everything";
  Tell("10.0.0.2", true);
  EXPECT_THAT(Serving(), ElementsAre(Ip("10.0.0.1"), Ip("10.0.0.2")));
  Tell("10.0.0.1", false);
  EXPECT_THAT(Serving(), ElementsAre(Ip("10.0.0.2")));
  EXPECT_EQ(controller_->snapshot()->generation, 1u) << "health is no change of configuration";
}

TEST_F(ControllerHealthTest, ADeadRealIsDownForTheDataPlaneAndActiveInTheConfiguration) {
  ASSERT_TRUE(controller_->Apply(Web()).ok());
  Tell("10.0.0.1", true);
  Tell("10.0.0.1", false);
  EXPECT_EQ(plane_->applied().back().services[0].vip.reals[0].state, model::RealState::kDown);
  EXPECT_EQ(controller_->snapshot()->config.vips[0].reals[0].state, model::RealState::kActive);
}

TEST_F(ControllerHealthTest, ACheckThatIsAddedTakesNothingOut) {
  ASSERT_TRUE(controller_->Apply(Web(false)).ok());
  EXPECT_TRUE(checker_->plans.empty());
  ASSERT_TRUE(controller_->Apply(Web()).ok());
  EXPECT_EQ(Serving().size(), 2u);
  EXPECT_EQ(checker_->plans.back().vips[0].reals[0].initial, health::State::kUp);
  ASSERT_TRUE(controller_->Apply(Web(false)).ok());
  EXPECT_TRUE(checker_->plans.back().empty());
  EXPECT_FALSE(plane_->applied().back().probing);
}

TEST_F(ControllerHealthTest, ARestartGoesOnAsTheRingsSay) {
  plane_->serving = {{Key(kWeb), Ip("10.0.0.2")}};
  ASSERT_TRUE(controller_->Apply(Web()).ok());
  EXPECT_THAT(Serving(), ElementsAre(Ip("10.0.0.2")));
}

TEST_F(ControllerHealthTest, AnOverrideIsStrongerThanTheChecks) {
  ASSERT_TRUE(controller_->Apply(Web()).ok());
  Tell("10.0.0.1", true);
  Tell("10.0.0.2", false);
  ASSERT_TRUE(controller_->SetRealHealth(Key(kWeb), Ip("10.0.0.1"), false, std::nullopt).ok());
  EXPECT_THAT(Serving(), IsEmpty());
  ASSERT_TRUE(controller_->SetRealHealth(Key(kWeb), Ip("10.0.0.2"), true, std::nullopt).ok());
  EXPECT_THAT(Serving(), ElementsAre(Ip("10.0.0.2")));
  ASSERT_TRUE(
      controller_->SetRealHealth(Key(kWeb), Ip("10.0.0.1"), std::nullopt, std::nullopt).ok());
  EXPECT_THAT(Serving(), ElementsAre(Ip("10.0.0.1"), Ip("10.0.0.2")));
  ASSERT_TRUE(
      controller_->SetRealHealth(Key(kWeb), Ip("10.0.0.2"), std::nullopt, std::nullopt).ok());
  EXPECT_THAT(Serving(), ElementsAre(Ip("10.0.0.1")));
}

TEST_F(ControllerHealthTest, AHostThatCannotProbeRefusesChecksOnly) {
  checker_->supports = FailedPrecondition("no AF_XDP; write \"health: none\"");
  const auto refused = controller_->Apply(Web());
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("health: none"));
  model::ReplaceConfig none = Web();
  none.config.probes.mode = model::HealthMode::kNone;
  ASSERT_TRUE(controller_->Apply(none).ok());
  EXPECT_EQ(Serving().size(), 2u);
}

TEST_F(ControllerHealthTest, ARestartThatCannotProbeServesByAllReals) {
  checker_->supports = FailedPrecondition("no AF_XDP");
  Revision revision{.info = {.generation = 7}, .config = Web().config};
  ASSERT_TRUE(controller_->Restore(revision).ok());
  EXPECT_EQ(Serving().size(), 2u);
  EXPECT_EQ(checker_->plans.size(), 1u) << "it is tried all the same";
}

TEST_F(ControllerHealthTest, ARestartGoesOnFromItsRevision) {
  plane_->serving = {{Key(kWeb), Ip("10.0.0.2")}};
  ASSERT_TRUE(controller_->Restore({.info = {.generation = 7}, .config = Web().config}).ok());
  EXPECT_THAT(Serving(), ElementsAre(Ip("10.0.0.2")));
  ASSERT_EQ(checker_->plans.size(), 1u);
  Tell("10.0.0.1", true);
  EXPECT_EQ(Serving().size(), 2u);
}

TEST_F(ControllerHealthTest, ARefusedChangeLeavesTheHealthAsItWas) {
  ASSERT_TRUE(controller_->Apply(Web()).ok());
  Tell("10.0.0.1", true);
  plane_->AnswerWith(FailedPrecondition("no"));
  EXPECT_FALSE(controller_->Apply(Web(false)).ok());
  plane_->AnswerWith(OkStatus());
  ASSERT_TRUE(controller_->SetRealHealth(Key(kWeb), Ip("10.0.0.2"), false, std::nullopt).ok());
  EXPECT_THAT(Serving(), ElementsAre(Ip("10.0.0.1")));
}

}  // namespace
}  // namespace lb::control
