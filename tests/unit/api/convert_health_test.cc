// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/convert_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/model/config_testing.h"

namespace lb::api {
namespace {

using model::Ip;
using model::Key;

constexpr const char* kWeb = "192.0.2.1:80/tcp";
constexpr const char* kIdle = "192.0.2.2:80/tcp";

TEST(ConvertHealthTest, ABriefAnswerIsAboutTroubleOnly) {
  model::Config config;
  config.vips = {model::VipOf(kWeb, {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}),
                 model::VipOf(kIdle, {"10.0.0.1"})};
  for (model::Vip& vip : config.vips) vip.checks = {{.kind = model::HttpCheck()}};
  control::HealthReport report;
  report.probing = true;
  report.probes.now = health::Time(std::chrono::seconds(10'000));
  report.book.Update(config, control::HealthBook::TimePoint());
  for (const char* real : {"10.0.0.1", "10.0.0.3", "10.0.0.4"}) {
    report.book.Note({.vip = Key(kWeb), .real = Ip(real), .up = true, .reason = "", .at = {}});
  }
  report.book.Note({.vip = Key(kIdle), .real = Ip("10.0.0.1"), .up = true, .reason = "", .at = {}});
  report.book.Note(
      {.vip = Key(kWeb), .real = Ip("10.0.0.2"), .up = false, .reason = "refused", .at = {}});
  ASSERT_TRUE(report.book
                  .SetOverride({Key(kWeb), Ip("10.0.0.3")},
                               control::HealthBook::Override{.up = true, .until = std::nullopt})
                  .ok());
  health::CheckReport& blind = report.probes.checks.emplace_back();
  blind.vip = Key(kWeb);
  blind.real = Ip("10.0.0.4");
  blind.check = "http";
  blind.port = 80;
  blind.state = health::State::kUp;
  blind.blind = "no next hop";

  v1::GetHealthRequest request;
  request.set_brief(true);
  EXPECT_EQ(ScopeFromProto(request)->detail, health::Detail::kBlind);
  const auto answer = HealthToProto(request, report, config);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->vips_size(), 2);
  EXPECT_EQ(answer->vips(1).reals_size(), 0) << "all is well there";
  EXPECT_EQ(answer->vips(1).healthy(), 1u);
  const v1::VipHealth& web = answer->vips(0);
  ASSERT_EQ(web.reals_size(), 4);
  EXPECT_EQ(web.reals(0).address(), "10.0.0.2");
  EXPECT_EQ(web.reals(0).state(), v1::HEALTH_STATE_DOWN);
  EXPECT_EQ(web.reals(1).address(), "10.0.0.3");
  EXPECT_TRUE(web.reals(1).override_up());
  EXPECT_EQ(web.reals(2).address(), "10.0.0.4");
  ASSERT_EQ(web.reals(2).checks_size(), 1);
  EXPECT_EQ(web.reals(2).checks(0).blind(), "no next hop");
  EXPECT_EQ(web.reals(2).checks(0).state_milliseconds(), 0u) << "this much was not asked for";
  EXPECT_EQ(web.reals(3).address(), "10.0.0.5");
  EXPECT_EQ(web.reals(3).state(), v1::HEALTH_STATE_UNKNOWN);

  request.set_brief(false);
  EXPECT_EQ(HealthToProto(request, report, config)->vips(0).reals_size(), 5);
  EXPECT_EQ(ScopeFromProto(request)->detail, health::Detail::kChecks);
  request.set_history(true);
  EXPECT_EQ(ScopeFromProto(request)->detail, health::Detail::kHistory);
  request.set_brief(true);
  EXPECT_EQ(ScopeFromProto(request).status().message(), "history: not with brief");
}

}  // namespace
}  // namespace lb::api
