// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/health_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/model/config_testing.h"

namespace lb::control {
namespace {

using health::State;
using model::Ip;
using model::Key;
using model::VipOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kWeb = "192.0.2.1:80/tcp";

model::Config Checked(const std::vector<std::string_view>& reals) {
  model::Config config;
  config.vips = {VipOf(kWeb, reals)};
  config.vips[0].checks = {{.kind = model::TcpCheck()}};
  return config;
}

class HealthBookTest : public ::testing::Test {
 protected:
  void Configure(const model::Config& config, const std::set<HealthBook::RealId>& serving = {}) {
    book_.Update(config, now_, serving);
    config_ = config;
  }
  // Without having to wait until every real was probed.
  void ConfigureWarm(const model::Config& config) {
    Configure(config);
    book_.TakeExpired(now_ + HealthBook::kWarmUp);
  }
  void Note(std::string_view real, bool up) {
    book_.Note({.vip = Key(kWeb), .real = Ip(real), .up = up, .reason = "tcp: ", .at = {}});
  }
  std::set<IpAddress> Sick() { return book_.Sick(config_.vips[0]); }

  HealthBook::TimePoint now_{std::chrono::seconds(1000)};
  HealthBook book_;
  model::Config config_;
};

TEST_F(HealthBookTest, NewRealsHaveToPassFirst) {
  Configure(Checked({"10.0.0.1"}), {{Key(kWeb), Ip("10.0.0.1")}});
  Configure(Checked({"10.0.0.1", "10.0.0.2", "10.0.0.3"}));
  EXPECT_THAT(Sick(), ElementsAre(Ip("10.0.0.2"), Ip("10.0.0.3")));
  Note("10.0.0.2", true);
  EXPECT_THAT(Sick(), ElementsAre(Ip("10.0.0.3")));
}

TEST_F(HealthBookTest, AVipOfNewRealsWaitsUntilEachWasProbed) {
  Configure(Checked({"10.0.0.1", "10.0.0.2", "10.0.0.3"}));
  Note("10.0.0.1", true);
  Note("10.0.0.2", false);
  EXPECT_THAT(Sick(), SizeIs(3));
  EXPECT_TRUE(book_.StandingOf(config_.vips[0]).starting);
  Note("10.0.0.3", true);
  EXPECT_FALSE(book_.StandingOf(config_.vips[0]).starting);
  EXPECT_THAT(Sick(), ElementsAre(Ip("10.0.0.2")));
  EXPECT_EQ(book_.NextExpiry(), std::nullopt);
}

TEST_F(HealthBookTest, AVipOfNewRealsWaitsOnlySoLong) {
  Configure(Checked({"10.0.0.1", "10.0.0.2"}));
  Note("10.0.0.1", true);
  now_ += std::chrono::seconds(2);
  Configure(Checked({"10.0.0.1", "10.0.0.2", "10.0.0.3"}));
  EXPECT_THAT(Sick(), SizeIs(3)) << "a change is no reason to wait longer, or not to";
  const auto until = now_ - std::chrono::seconds(2) + HealthBook::kWarmUp;
  EXPECT_EQ(book_.NextExpiry(), until);
  book_.TakeExpired(until);
  EXPECT_THAT(Sick(), ElementsAre(Ip("10.0.0.2"), Ip("10.0.0.3")));
  EXPECT_EQ(book_.NextExpiry(), std::nullopt);
}

TEST_F(HealthBookTest, AnOverrideDoesNotWait) {
  Configure(Checked({"10.0.0.1", "10.0.0.2"}));
  const HealthBook::RealId id{Key(kWeb), Ip("10.0.0.2")};
  ASSERT_TRUE(book_.SetOverride(id, HealthBook::Override{.up = true, .until = {}}).ok());
  EXPECT_THAT(Sick(), ElementsAre(Ip("10.0.0.1")));
  Note("10.0.0.1", true);
  EXPECT_THAT(Sick(), IsEmpty()) << "nothing is left to wait for";
}

TEST_F(HealthBookTest, WithoutChecksAllAreUp) {
  model::Config config = Checked({"10.0.0.1"});
  config.vips[0].checks.clear();
  Configure(config);
  EXPECT_THAT(Sick(), IsEmpty());
  config = Checked({"10.0.0.1"});
  config.probes.mode = model::HealthMode::kNone;
  Configure(config);
  EXPECT_THAT(Sick(), IsEmpty());
}

TEST_F(HealthBookTest, WhatServedGoesOnUntilItsChecksSaySo) {
  model::Config config = Checked({"10.0.0.1"});
  config.vips[0].checks.clear();
  Configure(config);
  Configure(Checked({"10.0.0.1", "10.0.0.2"}));
  EXPECT_THAT(Sick(), ElementsAre(Ip("10.0.0.2"))) << "one served, the other is new";
}

TEST_F(HealthBookTest, ARestartKeepsWhatTheRingsSay) {
  Configure(Checked({"10.0.0.1", "10.0.0.2"}), {{Key(kWeb), Ip("10.0.0.2")}});
  EXPECT_THAT(Sick(), ElementsAre(Ip("10.0.0.1")));
}

TEST_F(HealthBookTest, RealsOfSourceRoutesAreCheckedAsThoseOfTheirVip) {
  model::Config config = Checked({"10.0.0.1"});
  config.vips[0].source_routes = {
      {.name = "site", .sources = {}, .reals = {{Ip("10.0.0.1")}, {Ip("10.0.0.2")}}}};
  const model::Vip group = model::RouteVip(config.vips[0], config.vips[0].source_routes[0]);
  Configure(config, {{group.key, Ip("10.0.0.2")}});
  ASSERT_EQ(book_.MakePlan(config).vips.size(), 1u);
  EXPECT_THAT(book_.MakePlan(config).vips[0].reals, SizeIs(2)) << "each once";
  EXPECT_THAT(Sick(), ElementsAre(Ip("10.0.0.1")));
  EXPECT_THAT(book_.Sick(group), ElementsAre(Ip("10.0.0.1"))) << "the other served the route";
  Note("10.0.0.1", true);
  Note("10.0.0.2", false);
  EXPECT_THAT(Sick(), IsEmpty());
  EXPECT_THAT(book_.Sick(group), ElementsAre(Ip("10.0.0.2")));
}

TEST_F(HealthBookTest, FailsOpenOnlyByPolicy) {
  model::Config config = Checked({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
  config.vips[0].health.min_healthy = 2;
  ConfigureWarm(config);
  Note("10.0.0.1", true);
  EXPECT_THAT(Sick(), SizeIs(2));
  EXPECT_FALSE(book_.StandingOf(config_.vips[0]).up);
  config.vips[0].health.fail_open = true;
  Configure(config);
  EXPECT_THAT(Sick(), IsEmpty());
  EXPECT_TRUE(book_.StandingOf(config_.vips[0]).failed_open);
  Note("10.0.0.2", true);
  EXPECT_THAT(Sick(), ElementsAre(Ip("10.0.0.3")));
}

TEST_F(HealthBookTest, AnOverrideHoldsUntilItIsOver) {
  Configure(Checked({"10.0.0.1"}));
  Note("10.0.0.1", true);
  const HealthBook::TimePoint now{std::chrono::seconds(100)};
  const HealthBook::RealId id{Key(kWeb), Ip("10.0.0.1")};
  ASSERT_TRUE(
      book_.SetOverride(id, HealthBook::Override{false, now + std::chrono::seconds(5)}).ok());
  EXPECT_THAT(Sick(), SizeIs(1));
  Note("10.0.0.1", false);
  Note("10.0.0.1", true);
  EXPECT_THAT(Sick(), SizeIs(1));
  EXPECT_EQ(book_.NextExpiry(), now + std::chrono::seconds(5));
  EXPECT_THAT(book_.TakeExpired(now), IsEmpty());
  EXPECT_THAT(book_.TakeExpired(now + std::chrono::seconds(5)), ElementsAre(id));
  EXPECT_THAT(Sick(), IsEmpty());
  EXPECT_FALSE(book_.SetOverride({Key(kWeb), Ip("10.0.0.9")}, std::nullopt).ok());
}

TEST_F(HealthBookTest, AChangeOfSomeVipsIsThatOfAll) {
  constexpr const char* kOther = "192.0.2.2:80/tcp";
  model::Config config = Checked({"10.0.0.1", "10.0.0.2"});
  config.vips.push_back(config.vips[0]);
  config.vips[1].key = Key(kOther);
  Configure(config, {{Key(kOther), Ip("10.0.0.1")}});
  Note("10.0.0.1", true);
  const HealthBook::RealId removed{Key(kWeb), Ip("10.0.0.2")};
  ASSERT_TRUE(book_.SetOverride(removed, HealthBook::Override{true, HealthBook::TimePoint()}).ok());
  config.vips[0].reals[1].address = Ip("10.0.0.3");
  HealthBook all = book_;
  all.Update(config, now_);
  book_.UpdateVips(config, now_, {Key(kWeb)});
  for (const model::Vip& vip : config.vips) EXPECT_EQ(book_.Sick(vip), all.Sick(vip));
  EXPECT_THAT(book_.Sick(config.vips[0]), ElementsAre(Ip("10.0.0.3")));
  EXPECT_EQ(book_.Find(removed), nullptr);
  EXPECT_EQ(book_.NextExpiry(), std::nullopt);
  config.vips.pop_back();
  book_.UpdateVips(config, now_, {Key(kOther)});
  EXPECT_EQ(book_.Find({Key(kOther), Ip("10.0.0.1")}), nullptr);
}

TEST_F(HealthBookTest, ACopyStaysAsItWas) {
  Configure(Checked({"10.0.0.1"}));
  const HealthBook copy = book_;
  Note("10.0.0.1", true);
  EXPECT_THAT(Sick(), IsEmpty());
  EXPECT_THAT(copy.Sick(config_.vips[0]), SizeIs(1));
}

}  // namespace
}  // namespace lb::control
