// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/model/config_testing.h"

namespace lb::api {
namespace {

using health::State;
using model::Ip;
using model::Key;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* kWeb = "192.0.2.1:80/tcp";

class ExplainHealthTest : public ::testing::Test {
 protected:
  ExplainHealthTest() {
    config_.vips = {model::VipOf(kWeb, {"10.0.0.1", "10.0.0.2"})};
    config_.vips[0].checks = {{.kind = model::HttpCheck()}};
    explanation_.decision.source = Ip("198.51.100.7");
    explanation_.decision.destination = Ip("192.0.2.1");
    explanation_.decision.vip = Key(kWeb);
    explanation_.decision.verdict = "forward";
    explanation_.decision.real = Ip("10.0.0.1");
    health_.probing = true;
    health_.probes.now = health::Time(seconds(10'000));
  }

  void Start() {
    const control::HealthBook::TimePoint now;
    health_.book.Update(config_, now);
    health_.book.TakeExpired(now + control::HealthBook::kWarmUp);
  }
  void Check(std::string_view real, State state, seconds ago, const health::Outcome& last) {
    health::CheckReport& check = health_.probes.checks.emplace_back();
    check.vip = Key(kWeb);
    check.real = Ip(real);
    check.check = "http";
    check.state = state;
    check.since = health_.probes.now - ago;
    check.last_at = health_.probes.now - seconds(2);
    check.last = last;
    Start();
    for (const health::CheckReport& told : health_.probes.checks) {
      if (told.state == State::kUnknown) continue;
      health_.book.Note({.vip = told.vip,
                         .real = told.real,
                         .up = told.state == State::kUp,
                         .reason = "",
                         .at = {}});
    }
  }
  // What the explanation says about health.
  std::vector<std::string> Texts() {
    std::vector<std::string> texts;
    const auto response = ToProto(explanation_, config_, {}, health_);
    for (const v1::ExplainStep& step : response.steps()) {
      if (step.name() == "health") texts.push_back(step.text());
    }
    return texts;
  }
  void NoReal() {
    explanation_.decision.verdict = "no_real";
    explanation_.decision.real.reset();
  }

  model::Config config_;
  dataplane::Explanation explanation_;
  control::HealthReport health_;
};

TEST_F(ExplainHealthTest, ARealIsShownAsItsChecksSeeIt) {
  Check("10.0.0.1", State::kUp, seconds(300), {});
  EXPECT_THAT(Texts(), ElementsAre("up for 5 min, http: ok (2 s ago)"));
  health_.probes.checks[0].blind = "eth0 is down or has no carrier";
  EXPECT_THAT(Texts(), ElementsAre("up for 5 min, http: blind: eth0 is down or has no carrier"));
}

TEST_F(ExplainHealthTest, ADeadRealThatKeepsItsFlowsSaysWhy) {
  Check("10.0.0.2", State::kUp, seconds(300), {});
  Check("10.0.0.1", State::kDown, seconds(7), {health::Failure::kStatus, "got 503", ""});
  EXPECT_THAT(Texts(), ElementsAre("down for 7 s, http: got 503 (2 s ago)"));
}

TEST_F(ExplainHealthTest, AnOperatorHasTheLastWord) {
  Check("10.0.0.1", State::kDown, seconds(7), {health::Failure::kStatus, "got 503", ""});
  ASSERT_TRUE(health_.book
                  .SetOverride({Key(kWeb), Ip("10.0.0.1")},
                               control::HealthBook::Override{.up = true, .until = std::nullopt})
                  .ok());
  EXPECT_THAT(Texts(), ElementsAre("set up by an operator; otherwise down for 7 s, http: got 503 "
                                   "(2 s ago)"));
}

TEST_F(ExplainHealthTest, WithoutChecksItSaysSo) {
  config_.vips[0].checks.clear();
  Start();
  EXPECT_THAT(Texts(), ElementsAre("not checked"));
}

TEST_F(ExplainHealthTest, WhyNoRealIsLeft) {
  Check("10.0.0.1", State::kDown, seconds(7), {health::Failure::kStatus, "got 503", ""});
  health_.probes.checks.emplace_back(health_.probes.checks[0]);
  health_.probes.checks[1].real = Ip("10.0.0.2");
  health_.probes.checks[1].state = State::kUnknown;
  health_.probes.checks[1].last_at.reset();
  NoReal();
  EXPECT_THAT(Texts(),
              ElementsAre("0 of 1 needed reals are healthy; 10.0.0.1 active, weight 100, down for "
                          "7 s, http: got 503 (2 s ago); 10.0.0.2 active, weight 100, unknown for "
                          "7 s, http: not probed yet"));
}

TEST_F(ExplainHealthTest, AVipThatStartsSaysSo) {
  health_.book.Update(config_, control::HealthBook::TimePoint());
  NoReal();
  EXPECT_THAT(Texts(),
              ElementsAre(StartsWith("the VIP starts when each of its reals was probed, or after "
                                     "5 s")));
}

TEST_F(ExplainHealthTest, AVipThatHasFailedOpenSaysSo) {
  config_.vips[0].health.fail_open = true;
  Check("10.0.0.1", State::kDown, seconds(7), {health::Failure::kStatus, "got 503", ""});
  EXPECT_THAT(Texts(), ElementsAre("0 of 1 needed reals are healthy; failed open: all that are "
                                   "active get traffic",
                                   "down for 7 s, http: got 503 (2 s ago)"));
}

TEST_F(ExplainHealthTest, WhatIsNoVipHasNoHealth) {
  NoReal();
  explanation_.decision.vip.reset();
  explanation_.decision.verdict = "not_vip";
  EXPECT_THAT(Texts(), IsEmpty());
}

}  // namespace
}  // namespace lb::api
