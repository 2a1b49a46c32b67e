// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/controller.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

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

class ControllerTest : public ::testing::Test {
 protected:
  ControllerTest() {
    auto plane = std::make_unique<testing::FakeDataplane>();
    plane_ = plane.get();
    controller_ = Controller::Create(std::move(plane)).value();
  }

  // Makes a change that must succeed.
  Controller::Outcome Apply(const model::Change& change) {
    auto outcome = controller_->Apply(change);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.value_or(Controller::Outcome());
  }
  model::ReplaceConfig Web(const std::vector<std::string_view>& reals) {
    model::ReplaceConfig change;
    change.config.vips.push_back(VipOf(kWeb, reals));
    return change;
  }

  testing::FakeDataplane* plane_;
  std::unique_ptr<Controller> controller_;
};

TEST_F(ControllerTest, AChangeReachesTheDataPlaneAndTheSnapshot) {
  EXPECT_EQ(controller_->snapshot()->generation, 0u);
  const auto outcome = Apply(Web({"10.0.0.1"}));
  EXPECT_EQ(outcome.generation, 1u);
  EXPECT_THAT(outcome.changes, ElementsAre("+ 192.0.2.1:80/tcp (1 reals)"));
  const auto snapshot = controller_->snapshot();
  EXPECT_EQ(snapshot->generation, 1u);
  ASSERT_EQ(plane_->applied().size(), 1u);
  EXPECT_EQ(plane_->applied()[0].services, snapshot->services);
  EXPECT_EQ(snapshot->services[0].vip, snapshot->config.vips[0]);
  EXPECT_EQ(snapshot->services[0].ring->size(), 1u << 14);
}

TEST_F(ControllerTest, WhatHappensIsToldAsEvents) {
  const uint64_t begin = controller_->events().next_sequence();
  Apply(Web({"10.0.0.1"}));
  Apply(model::UpdateReal{
      .vip = Key(kWeb), .address = Ip("10.0.0.1"), .state = model::RealState::kDraining});
  uint64_t next = begin;
  const auto count = [&](events::Kind kind) {
    const auto all = controller_->events().Read(begin, 100, std::chrono::milliseconds(0)).events;
    return std::ranges::count(all, kind, &events::Event::kind);
  };
  while (count(events::Kind::kWarning) == 0) {  // the data plane is looked at a little later
    next = controller_->events().next_sequence();
    controller_->events().Read(next, 1, std::chrono::seconds(10));
  }
  EXPECT_EQ(count(events::Kind::kConfig), 2);
  EXPECT_EQ(count(events::Kind::kDrain), 1);
  EXPECT_EQ(count(events::Kind::kAttach), 1);
  const auto first = controller_->events().Read(begin, 1, std::chrono::milliseconds(0)).events[0];
  EXPECT_EQ(first.message, "generation 1 is in force\n+ 192.0.2.1:80/tcp (1 reals)");
  EXPECT_EQ(first.generation, 1u);
}

TEST_F(ControllerTest, ABadChangeLeavesEverythingAsItWas) {
  Apply(Web({"10.0.0.1"}));
  const auto before = controller_->snapshot();
  const auto outcome = controller_->Apply(Web({"10.0.0.1", "10.0.0.1"}));
  EXPECT_EQ(outcome.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Message(outcome.status())), HasSubstr("vips[0].reals[1].address"));
  EXPECT_EQ(controller_->snapshot(), before);
  EXPECT_EQ(plane_->applied().size(), 1u);
}

TEST_F(ControllerTest, AFailingDataPlaneLeavesEverythingAsItWas) {
  Apply(Web({"10.0.0.1"}));
  const auto before = controller_->snapshot();
  plane_->AnswerWith(FailedPrecondition("eth0 is down"));
  const auto outcome = controller_->Apply(Web({"10.0.0.2"}));
  EXPECT_EQ(outcome.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(controller_->snapshot(), before);
  plane_->AnswerWith(OkStatus());
  EXPECT_EQ(Apply(Web({"10.0.0.2"})).generation, 2u);
}

TEST_F(ControllerTest, ValidateOnlyTellsAndChangesNothing) {
  const auto outcome = controller_->Apply(Web({"10.0.0.1"}), {.validate_only = true});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->generation, 0u);
  EXPECT_THAT(outcome->changes, ElementsAre("+ 192.0.2.1:80/tcp (1 reals)"));
  EXPECT_THAT(plane_->applied(), IsEmpty());
  EXPECT_THAT(controller_->snapshot()->config.vips, IsEmpty());
}

TEST_F(ControllerTest, EveryKindOfChangeBuildsOnTheOneBefore) {
  Apply(model::AddVip{VipOf(kWeb, {"10.0.0.1"})});
  Apply(model::AddReal{Key(kWeb), {.address = Ip("10.0.0.2")}});
  Apply(model::UpdateReal{.vip = Key(kWeb), .address = Ip("10.0.0.1"), .weight = 7});
  Apply(model::UpdateVip{.key = Key(kWeb), .name = "web"});
  Apply(model::DeleteReal{Key(kWeb), Ip("10.0.0.2")});
  const auto snapshot = controller_->snapshot();
  EXPECT_EQ(snapshot->generation, 5u);
  ASSERT_EQ(snapshot->config.vips.size(), 1u);
  EXPECT_EQ(snapshot->config.vips[0].name, "web");
  ASSERT_EQ(snapshot->config.vips[0].reals.size(), 1u);
  EXPECT_EQ(snapshot->config.vips[0].reals[0].weight, 7u);
  Apply(model::DeleteVip{Key(kWeb)});
  EXPECT_THAT(controller_->snapshot()->services, IsEmpty());
}

TEST_F(ControllerTest, NoneOfManyConcurrentChangesIsLost) {
  Apply(Web({}));
  constexpr int kThreads = 8;
  constexpr int kEach = 20;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        const IpAddress address = Ip(fmt::format("10.0.{}.{}", thread, i + 1));
        EXPECT_TRUE(controller_->Apply(model::AddReal{Key(kWeb), {.address = address}}).ok());
        (void)controller_->ReadStats();
        EXPECT_GT(controller_->snapshot()->generation, 0u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(controller_->snapshot()->config.vips[0].reals.size(), size_t{kThreads} * kEach);
  // Those that came at the same time were made together.
  EXPECT_LE(controller_->snapshot()->generation, 1u + kThreads * kEach);
  EXPECT_EQ(plane_->applied().size(), controller_->snapshot()->generation);
}

TEST_F(ControllerTest, SlowStartRaisesTheShareStepByStep) {
  auto change = Web({"10.0.0.1", "10.0.0.2"});
  change.config.vips[0].slow_start = 1;
  Apply(change);
  const auto share = [](const dataplane::Desired& desired) {
    return std::ranges::count(*desired.services[0].ring, 2);
  };
  const auto full = share(plane_->applied().back());
  Apply(model::UpdateReal{
      .vip = Key(kWeb), .address = Ip("10.0.0.2"), .state = model::RealState::kDown});
  Apply(model::UpdateReal{
      .vip = Key(kWeb), .address = Ip("10.0.0.2"), .state = model::RealState::kActive});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (share(plane_->applied().back()) < full && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const auto applied = plane_->applied();
  ASSERT_EQ(share(applied.back()), full);
  long before = 0;
  for (size_t i = 2; i < applied.size(); ++i) {
    EXPECT_GE(share(applied[i]), before);
    before = share(applied[i]);
  }
  EXPECT_LT(share(applied[2]), full / 4);
  EXPECT_GE(applied.size(), 6u) << "all at once is no slow start";
  EXPECT_EQ(controller_->snapshot()->generation, 3u) << "time is no change of the configuration";
}

TEST_F(ControllerTest, ADrainEndsAtItsDeadline) {
  Apply(Web({"10.0.0.1", "10.0.0.2"}));
  Apply(model::UpdateReal{.vip = Key(kWeb),
                          .address = Ip("10.0.0.2"),
                          .state = model::RealState::kDraining,
                          .drain = 1});
  EXPECT_THAT(plane_->purged(), IsEmpty());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (plane_->purged().empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_THAT(plane_->purged(), ElementsAre(std::pair(Key(kWeb), std::optional(Ip("10.0.0.2")))));
}

// What small changes leave as it was is not looked at again.
TEST_F(ControllerTest, AnySmallChangesGiveWhatOneLargeOneDoes) {
  std::mt19937 random(7);
  const auto one_of = [&](uint32_t count) { return random() % count; };
  const auto key = [&] { return Key(fmt::format("192.0.2.{}:80/tcp", 1 + one_of(6))); };
  const auto real = [&] { return Ip(fmt::format("10.0.0.{}", 1 + one_of(4))); };
  using model::RealState;
  for (int step = 0; step < 200; ++step) {
    model::Change change = model::UpdateReal{.vip = key(), .address = real(), .weight = one_of(3)};
    switch (one_of(7)) {
      case 0:
        change = model::AddVip{VipOf(key().ToString(), {"10.0.0.1", "10.0.0.2"})};
        std::get<model::AddVip>(change).vip.ring.bits = 8;
        break;
      case 1:
        if (one_of(2) == 0) change = model::DeleteVip{key()};
        break;
      case 2:
        change = model::AddReal{key(), {.address = real()}};
        break;
      case 3:
        change = model::DeleteReal{key(), real()};
        break;
      case 4:
        change = model::UpdateReal{.vip = key(),
                                   .address = real(),
                                   .state = one_of(2) ? RealState::kDown : RealState::kActive};
        break;
      case 5:
        change = model::UpdateVip{
            .key = key(),
            .source_routes = {{{.name = "site", .sources = {}, .reals = {{.address = real()}}}}}};
        break;
      default:
        break;
    }
    if (!controller_->Apply(change).ok()) continue;
    auto fresh_plane = std::make_unique<testing::FakeDataplane>();
    const testing::FakeDataplane* plane = fresh_plane.get();
    const auto fresh = Controller::Create(std::move(fresh_plane)).value();
    const model::Config config = controller_->snapshot()->config;
    ASSERT_TRUE(fresh->Apply(model::ReplaceConfig{config, std::nullopt}).ok());
    const auto expected = plane->applied().back().services;
    const auto services = plane_->applied().back().services;
    ASSERT_EQ(services.size(), expected.size()) << "step " << step;
    for (size_t i = 0; i < services.size(); ++i) {
      ASSERT_EQ(services[i].vip, expected[i].vip) << "step " << step;
      ASSERT_EQ(*services[i].ring, *expected[i].ring) << "step " << step;
    }
  }
}

TEST_F(ControllerTest, ASmallChangeMakesUpForAStepThatFailed) {
  auto change = Web({"10.0.0.1", "10.0.0.2"});
  change.config.vips.push_back(VipOf("192.0.2.2:80/tcp", {"10.0.0.1"}));
  Apply(change);
  plane_->AnswerWith(Unavailable("not now"));
  ASSERT_FALSE(controller_->SetRealHealth(Key(kWeb), Ip("10.0.0.2"), false, std::nullopt).ok());
  plane_->AnswerWith(OkStatus());
  Apply(model::UpdateReal{.vip = Key("192.0.2.2:80/tcp"), .address = Ip("10.0.0.1"), .weight = 7});
  EXPECT_EQ(plane_->applied().back().services[0].SlotsPerReal()[1], 0u);
}

}  // namespace
}  // namespace lb::control
