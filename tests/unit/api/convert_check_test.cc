// SPDX-License-Identifier: Apache-2.0
// Health checks in documents: what is read, what is refused and by which words.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "lbd/api/convert.h"

namespace lb::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Config Parse(const std::string& check, const std::string& more = "") {
  v1::Config config;
  const std::string text = "vips { address: '192.0.2.1' port: 80 protocol: PROTOCOL_TCP checks { " +
                           check + " } } " + more;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

std::vector<std::string> ProblemsOf(const std::string& check, const std::string& more = "") {
  std::vector<std::string> lines;
  for (const auto& problem : ConfigFromProto(Parse(check, more)).problems) {
    lines.push_back(problem.ToString());
  }
  return lines;
}

// Every kind of check that there is, with all its fields.
const char* const kKinds[] = {
    "tcp {}",
    "http { method: 'HEAD' path: '/a?b' host: 'www.example.com:8080' headers: 'X-A: 1' "
    "headers: 'X-B: 2' status: '200' status: '300-399' body: 'ok' body_regex: 'o+k' }",
    "https { method: 'GET' path: '/' status: '200' server_name: 'www.example.com' verify: true "
    "ca_file: '/etc/ca.pem' min_days: 7 }",
    "tls_hello { server_name: 'www.example.com' }",
    "udp { send: 'ping' expect: 'pong' }",
    "dns { name: 'example.com' type: DNS_TYPE_AAAA rcode: 3 answer: '2001:db8::1' }",
    "quic {}",
    "grpc { service: 'a.B' authority: 'x:1' }",
};

TEST(ConvertCheckTest, WhatIsReadIsWrittenAgain) {
  for (const char* kind : kKinds) {
    const v1::Config proto =
        Parse(std::string(kind) +
                  " port: 8080 interval_ms: 500 timeout_ms: 400 rise: 1 fall: 5 fast_interval_ms: "
                  "100 max_interval_ms: 9000 damping: false",
              "health: HEALTH_MODE_NONE probes { source_v4: '192.0.2.9' source_v6: '2001:db8::9' "
              "ports: '20000-20999' zero_copy: true dataplane_source: true }");
    const auto converted = ConfigFromProto(proto);
    ASSERT_TRUE(converted.problems.empty()) << kind << converted.problems[0].ToString();
    const v1::Config written = ToProto(converted.change.config);
    EXPECT_EQ(written.vips(0).checks(0).DebugString(), proto.vips(0).checks(0).DebugString());
    EXPECT_EQ(written.probes().DebugString(), proto.probes().DebugString());
    EXPECT_EQ(written.health(), v1::HEALTH_MODE_NONE);
    EXPECT_EQ(ConfigFromProto(written).change.config, converted.change.config);
  }
}

TEST(ConvertCheckTest, TheAddressIsOneOfTheVip) {
  v1::Config config = Parse("tcp {} address: '192.0.2.200'");
  EXPECT_THAT(ProblemsOf("tcp {} address: '192.0.2.200'"),
              ElementsAre("vips[0].checks[0].address: must be an address of the VIP, 192.0.2.1/32, "
                          "got 192.0.2.200"));
  EXPECT_THAT(ProblemsOf("tcp {} address: 'x'"),
              ElementsAre(HasSubstr("checks[0].address: \"x\"")));
  EXPECT_THAT(ProblemsOf("icmp {} address: '192.0.2.1'"),
              ElementsAre(HasSubstr("checks[0].address: has no meaning for icmp")));
  config.mutable_vips(0)->set_address("192.0.2.0/24");
  const auto converted = ConfigFromProto(config);
  ASSERT_TRUE(converted.problems.empty()) << converted.problems[0].ToString();
  EXPECT_EQ(ToProto(converted.change.config).vips(0).checks(0).address(), "192.0.2.200");
}

TEST(ConvertCheckTest, DefaultsAreThoseOfTheModel) {
  const auto converted = ConfigFromProto(Parse("http {}"));
  ASSERT_TRUE(converted.problems.empty());
  const model::HealthCheck check = converted.change.config.vips[0].checks[0];
  EXPECT_EQ(check, model::HealthCheck{.kind = model::HttpCheck()});
  EXPECT_EQ(converted.change.config.probes, model::ProbeSettings());
}

TEST(ConvertCheckTest, MistakesAreNamed) {
  EXPECT_THAT(ProblemsOf("interval_ms: 5"),
              ElementsAre(HasSubstr("vips[0].checks[0]: needs a kind"),
                          "vips[0].checks[0].interval_ms: must be 10..3600000, got 5"));
  EXPECT_THAT(ProblemsOf("tcp {} port: 70000 rise: 0 fall: 101 timeout_ms: 60001"),
              ElementsAre("vips[0].checks[0].port: must be 1..65535, got 70000",
                          "vips[0].checks[0].timeout_ms: must be 10..60000, got 60001",
                          "vips[0].checks[0].rise: must be 1..100, got 0",
                          "vips[0].checks[0].fall: must be 1..100, got 101"));
  EXPECT_THAT(ProblemsOf("tcp {} fast_interval_ms: 3000 max_interval_ms: 1000"),
              ElementsAre("vips[0].checks[0].fast_interval_ms: must be 10..2000, got 3000",
                          "vips[0].checks[0].max_interval_ms: must be 2000..3600000, got 1000"));
  EXPECT_THAT(
      ProblemsOf("http { method: 'GET IT' path: 'x' host: 'a b' headers: 'x' status: 'ok' "
                 "body_regex: '(' }"),
      ElementsAre("vips[0].checks[0].http.headers[0]: must be \"Name: value\", got \"x\"",
                  "vips[0].checks[0].http.status[0]: must be as \"200\" or \"200-299\", got \"ok\"",
                  HasSubstr("http.method: must be a word such as GET"),
                  HasSubstr("http.path: must begin with /"), HasSubstr("http.host: must be a host"),
                  HasSubstr("http.body_regex: is no regular expression (RE2): missing )")));
  EXPECT_THAT(ProblemsOf("http { status: '299-200' path: '/a\\r\\nX: y' headers: 'A: b\\nc' }"),
              ElementsAre(HasSubstr("http.path"), HasSubstr("http.headers"),
                          HasSubstr("http.status: must be 100..599")));
}

TEST(ConvertCheckTest, MistakesInTheOriginOfProbesAreNamed) {
  EXPECT_THAT(ProblemsOf("tcp {}", "probes { source_v4: '::1' source_v6: 'x' ports: '80' }"),
              ElementsAre(HasSubstr("probes.source_v6: \"x\" is not"),
                          HasSubstr("probes.source_v4: must be a unicast IPv4 address"),
                          HasSubstr("probes.ports: must be a range of at least 64 ports")));
}

TEST(ConvertCheckTest, MistakesInOtherKindsAreNamed) {
  EXPECT_THAT(ProblemsOf("https { verify: false ca_file: 'ca.pem' min_days: 9999 }"),
              ElementsAre("vips[0].checks[0].https.min_days: must be 0..3650, got 9999",
                          HasSubstr("https.ca_file: must be an absolute path"),
                          HasSubstr("https.ca_file: belongs to verify: true")));
  EXPECT_THAT(ProblemsOf("udp {}"), ElementsAre(HasSubstr("udp.send: is required")));
  EXPECT_THAT(ProblemsOf("dns { name: 'x y' rcode: 16 answer: '::1' }"),
              ElementsAre(HasSubstr("dns.name: must be a name"),
                          "vips[0].checks[0].dns.rcode: must be 0..15, got 16",
                          HasSubstr("dns.answer: must be an address of the type")));
  EXPECT_THAT(ProblemsOf("dns { name: 'x' type: DNS_TYPE_AAAA answer: '2001:DB8::1' }"),
              ElementsAre(HasSubstr("dns.answer: must be written as 2001:db8::1")));
  EXPECT_THAT(ProblemsOf("icmp {} port: 7"),
              ElementsAre("vips[0].checks[0].port: has no meaning for icmp"));
  EXPECT_THAT(ProblemsOf("tls_hello { server_name: '" + std::string(64, 'x') + "' }"),
              ElementsAre(HasSubstr("tls_hello.server_name: must be a name")));
}

TEST(ConvertCheckTest, AnyPortNeedsAPort) {
  v1::Config config = Parse("tcp {}");
  config.mutable_vips(0)->clear_port();
  config.mutable_vips(0)->set_any_port(true);
  const auto problems = ConfigFromProto(config).problems;
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].ToString(),
            "vips[0].checks[0].port: is required where the VIP has any_port");
}

}  // namespace
}  // namespace lb::api
