// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace lb::api {
namespace {

using dataplane::Explanation;
using ::testing::HasSubstr;
using ::testing::Not;

const model::VipKey kAnyPort = {.address = IpAddress::Parse("203.0.113.10").value(),
                                .protocol = model::Protocol::kUdp};

Explanation LaterFragment(std::string_view verdict) {
  Explanation explanation{.decision = {.verdict = verdict,
                                       .action = "drop",
                                       .description = "Because.",
                                       .source = IpAddress::Parse("198.51.100.7").value(),
                                       .destination = kAnyPort.address,
                                       .protocol = 17},
                          .known = {},
                          .departure = {},
                          .out = {}};
  explanation.fragment = Explanation::Fragment{.id = 0x1234, .kept_seconds = 60};
  return explanation;
}

// The text of the step about fragments.
std::string FragmentStep(const Explanation& explanation, const model::Config& config) {
  const v1::ExplainFlowResponse response = ToProto(explanation, config, {}, {});
  const auto it = std::ranges::find(response.steps(), "fragment", &v1::ExplainStep::name);
  return it == response.steps().end() ? std::string() : it->text();
}

TEST(ExplainTest, AFragmentIsToldByWhatIsKnownOfItsFirstOne) {
  model::Config config;
  config.settings.limits.fragments = 4096;
  Explanation explanation = LaterFragment("fragment");
  EXPECT_THAT(FragmentStep(explanation, config), HasSubstr("packet 0x1234"));
  EXPECT_THAT(FragmentStep(explanation, config),
              HasSubstr("not in lb_fragments (4096 entries, 60 s)"));
  EXPECT_THAT(FragmentStep(explanation, config), Not(HasSubstr("by address")));

  explanation.fragment->known = true;
  explanation.fragment->protocol = 17;
  explanation.fragment->source_port = 4000;
  explanation.fragment->destination_port = 53;
  explanation.fragment->seconds = 7;
  EXPECT_THAT(FragmentStep(explanation, config), HasSubstr("7 s ago: udp, ports 4000 -> 53"));
  explanation.fragment->seconds = 61;
  EXPECT_THAT(FragmentStep(explanation, config), HasSubstr("61 s ago, too long"));

  explanation = LaterFragment("forward");
  explanation.decision.vip = kAnyPort;
  config.vips = {{.key = kAnyPort, .fragments = model::Fragments::kByAddress}};
  EXPECT_THAT(FragmentStep(explanation, config), HasSubstr("takes fragments by address"));
  explanation.fragment.reset();
  EXPECT_EQ(FragmentStep(explanation, config), "");
}

TEST(ExplainTest, WhatToDoAboutAFragmentIsSaid) {
  const auto response = ToProto(LaterFragment("fragment"), model::Config(), {}, {});
  EXPECT_THAT(response.next_step(), HasSubstr("fragments: by_address"));
  EXPECT_NE(response.cause(), "");
}

TEST(CaptureTest, AFlowIsOneOfTcpOrUdp) {
  v1::CaptureRequest request;
  request.set_source("198.51.100.7:40000");
  request.set_destination("203.0.113.10:53");
  request.set_protocol("udp");
  const auto filter = FilterFromProto(request);
  ASSERT_TRUE(filter.ok()) << Message(filter.status());
  EXPECT_EQ(filter->flow->protocol, 17);
  request.set_protocol("icmp");
  EXPECT_EQ(Message(FilterFromProto(request).status()), "protocol: want tcp or udp, got \"icmp\"");
}

}  // namespace
}  // namespace lb::api
