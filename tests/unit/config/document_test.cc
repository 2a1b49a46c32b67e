// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/document.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/message_differencer.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "lb/v1/config.pb.h"
#include "lb/v1/load_balancer_service.pb.h"
#include "lbd/config/document_writer.h"

namespace lb::config {
namespace {

using google::protobuf::util::MessageDifferencer;

// What is wrong with `text`, one problem a line; empty when nothing is.
template <typename M = v1::Config>
std::string Problems(std::string_view text) {
  M message;
  return Message(ParseDocument(text, "lb.yaml", message).status());
}

template <typename M = v1::Config>
M Read(std::string_view text) {
  M message;
  const ParsedDocument document = ParseDocument(text, "lb.yaml", message);
  EXPECT_TRUE(document.ok()) << document.status() << "\n" << text;
  return message;
}

template <typename M>
void ExpectRoundTrip(const M& message) {
  for (const Fields fields : {Fields::kSet, Fields::kAll}) {
    for (const std::string& text : {FormatYaml(message, fields), FormatJson(message, fields)}) {
      EXPECT_TRUE(MessageDifferencer::Equals(message, Read<M>(text))) << text;
    }
  }
}

constexpr std::string_view kFull = R"(# one of everything
interfaces: [eth0, eth1]
xdp_mode: auto
next_hop: {mac: "02:00:5e:10:00:01"}
encap:
  source_v4: 172.16.0.0/16
  source_v6: "100::/64"
hash_key: 00112233445566778899001122334455
limits: {vips: 16, reals: 64, ring_slots: 16384, flows: 4096}
vips:
  - address: 203.0.113.10
    port: 80
    protocol: tcp
    name: web
    ring:
      scheme: maglev
      bits: 16
    reals:
      - address: 10.0.0.1
      - address: 10.0.0.2
        weight: 50
        state: draining
        drain_seconds: 600
    tracking: always
    flows:
      window_seconds: 60
      idle_seconds: 90
      entries: 1024
    slow_start_seconds: 30
  - address: 2001:db8::1
    any_port: true
    protocol: udp
)";

TEST(DocumentTest, EveryFieldIsRead) {
  const auto config = Read(kFull);
  ASSERT_EQ(config.interfaces_size(), 2);
  EXPECT_EQ(config.interfaces(1), "eth1");
  EXPECT_EQ(config.xdp_mode(), v1::XDP_MODE_AUTO);
  EXPECT_EQ(config.next_hop().mac(), "02:00:5e:10:00:01");
  EXPECT_EQ(config.encap().source_v6(), "100::/64");
  EXPECT_EQ(config.hash_key(), "00112233445566778899001122334455");
  EXPECT_EQ(config.limits().ring_slots(), 16384);
  EXPECT_EQ(config.limits().flows(), 4096);
  ASSERT_EQ(config.vips_size(), 2);
  EXPECT_EQ(config.vips(0).ring().scheme(), v1::RING_SCHEME_MAGLEV);
  EXPECT_EQ(config.vips(0).reals(1).state(), v1::REAL_STATE_DRAINING);
  EXPECT_EQ(config.vips(0).reals(1).drain_seconds(), 600);
  EXPECT_EQ(config.vips(0).tracking(), v1::TRACKING_ALWAYS);
  EXPECT_EQ(config.vips(0).flows().window_seconds(), 60);
  EXPECT_EQ(config.vips(0).flows().idle_seconds(), 90);
  EXPECT_EQ(config.vips(0).flows().entries(), 1024);
  EXPECT_EQ(config.vips(0).slow_start_seconds(), 30);
  EXPECT_EQ(config.vips(1).address(), "2001:db8::1");
  EXPECT_TRUE(config.vips(1).any_port());
}

TEST(DocumentTest, JsonIsReadLikeYaml) {
  const auto config = Read(kFull);
  EXPECT_TRUE(MessageDifferencer::Equals(config, Read(FormatJson(config))));
  const auto compact =
      Read("{\"vips\":[{\"address\":\"192.0.2.1\",\"name\":\"a\\/\\u00e9\\n\"},\n\t{}]}");
  ASSERT_EQ(compact.vips_size(), 2);
  EXPECT_EQ(compact.vips(0).name(), "a/é\n");
}

TEST(DocumentTest, ZeroIsToldFromUnset) {
  const auto config = Read("limits: {vips: 0}");
  EXPECT_TRUE(config.limits().has_vips());
  EXPECT_FALSE(config.limits().has_reals());
  EXPECT_TRUE(Read("next_hop: {}").has_next_hop());
}

TEST(DocumentTest, NullLeavesAFieldUnset) {
  const auto config = Read("vips:\nlimits: {vips: null, reals: ~}\nnext_hop:\n");
  EXPECT_EQ(config.vips_size(), 0);
  EXPECT_TRUE(config.has_limits());
  EXPECT_FALSE(config.limits().has_vips());
  EXPECT_FALSE(config.has_next_hop());
}

TEST(DocumentTest, EnumsHaveShortAndFullNames) {
  EXPECT_EQ(Read<v1::Vip>("protocol: udp").protocol(), v1::PROTOCOL_UDP);
  EXPECT_EQ(Read<v1::Vip>("protocol: PROTOCOL_UDP").protocol(), v1::PROTOCOL_UDP);
}

TEST(DocumentTest, AliasesAndMergeKeysAreExpanded) {
  const auto config = Read(R"(
x-pool: &pool
  - address: 10.0.0.1
x-base: &base {protocol: tcp, port: 80, reals: *pool}
x-named: &named {<<: *base, name: inner}
vips:
  - {<<: *base, address: 192.0.2.1, port: 443}
  - {address: 192.0.2.2, <<: [{port: 8080}, *named]}
)");
  ASSERT_EQ(config.vips_size(), 2);
  EXPECT_EQ(config.vips(0).port(), 443) << "its own value wins";
  EXPECT_EQ(config.vips(0).reals(0).address(), "10.0.0.1");
  EXPECT_EQ(config.vips(1).port(), 8080) << "the first of the list wins";
  EXPECT_EQ(config.vips(1).name(), "inner");
  EXPECT_EQ(config.vips(1).protocol(), v1::PROTOCOL_TCP);
}

TEST(DocumentTest, AllProblemsAreToldAtOnceWithTheirPlaces) {
  EXPECT_EQ(Problems(R"(interfaces: eth0
xdpmode: auto
limits:
  vips: -1
  reals: 4294967296
  ring_slots: 1.5
vips:
  - address: [192.0.2.1]
    port: "80"
    protocol: icmp
    any_port: yes
    ring: {bits: heavy}
    reals: [10.0.0.1]
    hash_key: 1
)"),
            R"(lb.yaml:1:13: interfaces: want a list, got "eth0"
lb.yaml:2:1: unknown field "xdpmode"; did you mean "xdp_mode"?
lb.yaml:4:9: limits.vips: want an integer 1..65536, got -1
lb.yaml:5:10: limits.reals: want an integer 64..1048576, got 4294967296
lb.yaml:6:15: limits.ring_slots: want an integer 16384..134217728, got 1.5
lb.yaml:8:14: vips[0].address: want a string, got a list
lb.yaml:9:11: vips[0].port: want an integer 1..65535, got "80" in quotes; remove them
lb.yaml:10:15: vips[0].protocol: want one of tcp, udp, tcp_udp, got "icmp"
lb.yaml:11:15: vips[0].any_port: want true or false, got "yes"
lb.yaml:12:18: vips[0].ring.bits: want an integer 8..20, got "heavy"
lb.yaml:13:13: vips[0].reals[0]: want a mapping (address, weight, state, drain_seconds, server_id, encap), got "10.0.0.1"
lb.yaml:14:5: vips[0]: unknown field "hash_key"; known: address, port, any_port, protocol, last_port, name, ring, reals, tracking, flows, slow_start_seconds, route_by_id, ...)");
}

TEST(DocumentTest, ProblemsCarryPositionPathAndMessage) {
  v1::Config config;
  const auto document = ParseDocument("vips:\n- reals:\n  - weight: x", "lb.yaml", config);
  ASSERT_EQ(document.problems().size(), 1);
  EXPECT_EQ(document.problems()[0],
            (DocumentProblem{
                {3, 13}, "vips[0].reals[0].weight", "want an integer 0..1000000, got \"x\""}));
}

TEST(DocumentTest, ADuplicateFieldIsRejected) {
  EXPECT_EQ(Problems("hash_key: a\nlimits: {}\nhash_key: b"),
            "lb.yaml:3:1: duplicate field \"hash_key\", first on line 1");
}

TEST(DocumentTest, TwoArmsOfAOneofAreRejected) {
  EXPECT_EQ(Problems<google::protobuf::Value>("number_value: 1.5\nstring_value: x"),
            "lb.yaml:2:1: \"string_value\" excludes \"number_value\" on line 1");
}

TEST(DocumentTest, IntegersKeepToTheRangeOfTheirType) {
  using google::protobuf::Int64Value;
  using google::protobuf::UInt64Value;
  EXPECT_EQ(Read<UInt64Value>("value: 18446744073709551615").value(), UINT64_MAX);
  EXPECT_EQ(Read<Int64Value>("value: -9223372036854775808").value(), INT64_MIN);
  for (const char* text : {"value: 18446744073709551616", "value: -1", "value: 1e3", "value: 0x10",
                           "value: 080", "value: +1", "value: 1 2", "value: ''", "value: true"}) {
    EXPECT_NE(Problems<UInt64Value>(text), "") << text;
  }
}

TEST(DocumentTest, SyntaxErrorsHaveAPlace) {
  EXPECT_EQ(Problems("a: b\n\tc: d"), "lb.yaml:2:1: illegal tab when looking for indentation");
  EXPECT_EQ(Problems("vips: *nobody"), "lb.yaml:1:7: the referenced anchor is not defined");
  EXPECT_EQ(Problems("limits: {}\nname: \xff"), "lb.yaml:2:7: not UTF-8 text");
  EXPECT_EQ(Problems("limits: {}\n---\nlimits: {}"),
            "lb.yaml:3:1: a second document begins here; only one is allowed");
  EXPECT_EQ(Problems("hash_key: !!str 1"),
            "lb.yaml:1:11: hash_key: tags (\"!...\") are not supported; remove it");
}

TEST(DocumentTest, AnEmptyDocumentIsNotAnEmptyConfiguration) {
  for (const char* text : {"", "# vips: []\n", "---\n", "null"}) {
    EXPECT_EQ(Problems(text), "lb.yaml:1:1: the document is empty; write {} if that is meant");
  }
  EXPECT_EQ(Problems("{}"), "");
}

TEST(DocumentTest, SizeAndDepthAreBounded) {
  EXPECT_NE(Problems(std::string(kMaxDocumentBytes + 1, '#')).find("64 MiB"), std::string::npos);
  EXPECT_NE(Problems("vips: " + std::string(100'000, '[')).find("nested too deeply"),
            std::string::npos);
  EXPECT_NE(Problems("x-a: &a {<<: *a}\nlimits: *a").find("levels deep"), std::string::npos);
}

TEST(DocumentTest, AnAliasBombIsRefused) {
  std::string items = "*r";
  for (int i = 1; i < 10'000; ++i) items += ",*r";
  std::string vips = "*v";
  for (int i = 1; i < 10'000; ++i) vips += ",*v";
  const std::string message = "the aliases expand to far more than a document may have";
  EXPECT_NE(
      Problems("x-r: &r {}\nx-v: &v {reals: [" + items + "]}\nvips: [" + vips + "]").find(message),
      std::string::npos);
  EXPECT_NE(Problems("x-r: &r " + std::string(1 << 20, 'a') + "\ninterfaces: [" + items + "]")
                .find(message),
            std::string::npos);
}

TEST(DocumentTest, TheListOfProblemsIsBounded) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "x: 1\n";
  v1::Config config;
  EXPECT_EQ(ParseDocument(text, "", config).problems().size(), 101);
}

TEST(DocumentTest, LaterProblemsAreShownAtTheirPlace) {
  v1::Config config;
  const auto document = ParseDocument(R"(vips:
  - &a
    address: 192.0.2.1
    reals: [{address: 10.0.0.1}]
  - {<<: *a}
)",
                                      "lb.yaml", config);
  EXPECT_EQ(document.Annotate("vips[0].address: is bad\n"
                              "vips[0].reals[0].weight: is missing\n"
                              "vips[1].reals: too many\n"
                              "encap.source_v4: want a prefix\n"
                              "attach eth0: no such device"),
            "lb.yaml:3:14: vips[0].address: is bad\n"
            "lb.yaml:4:13: vips[0].reals[0].weight: is missing\n"
            "lb.yaml:4:12: vips[1].reals: too many\n"
            "encap.source_v4: want a prefix\n"
            "attach eth0: no such device");
  EXPECT_EQ(document.Find("vips[7].address"), (Position{2, 3}));
  EXPECT_EQ(document.Find("vips[x]"), std::nullopt);
  EXPECT_EQ(document.Find(""), std::nullopt);
}

TEST(DocumentTest, EscapesCannotMakeAStringOtherThanUtf8) {
  EXPECT_EQ(Problems("hash_key: \"\\N\""), "lb.yaml:1:11: hash_key: not UTF-8 text");
}

TEST(DocumentTest, HalfADocumentHasNoPlaces) {
  v1::Config config;
  const auto document = ParseDocument("{vips: [{address: 192.0.2.1, port", "lb.yaml", config);
  EXPECT_FALSE(document.ok());
  EXPECT_EQ(document.Find("vips[0].port"), std::nullopt);
}

TEST(DocumentWriterTest, ADocumentIsWrittenAsPeopleWriteIt) {
  EXPECT_EQ(FormatYaml(Read(kFull)), R"(interfaces:
  - eth0
  - eth1
xdp_mode: auto
next_hop:
  mac: "02:00:5e:10:00:01"
encap:
  source_v4: 172.16.0.0/16
  source_v6: "100::/64"
hash_key: "00112233445566778899001122334455"
limits:
  vips: 16
  reals: 64
  ring_slots: 16384
  flows: 4096
vips:
  - address: 203.0.113.10
    port: 80
    protocol: tcp
    name: web
    ring:
      scheme: maglev
      bits: 16
    reals:
      - address: 10.0.0.1
      - address: 10.0.0.2
        weight: 50
        state: draining
        drain_seconds: 600
    tracking: always
    flows:
      window_seconds: 60
      idle_seconds: 90
      entries: 1024
    slow_start_seconds: 30
  - address: "2001:db8::1"
    any_port: true
    protocol: udp
)");
  EXPECT_EQ(FormatYaml(v1::Config()), "{}\n");
  EXPECT_EQ(FormatYaml(Read("next_hop: {}")), "next_hop: {}\n");
}

TEST(DocumentWriterTest, ScriptsSeeDefaultsToo) {
  v1::GetStatsResponse stats;
  stats.add_verdicts()->set_packets(UINT64_MAX);
  EXPECT_EQ(FormatJson(stats, Fields::kAll), R"({
  "vips": [],
  "verdicts": [
    {
      "verdict": "",
      "action": "",
      "packets": 18446744073709551615,
      "description": ""
    }
  ],
  "notes": [],
  "cpu_packets": []
}
)");
  EXPECT_EQ(
      FormatJson(v1::Real(), Fields::kAll),
      "{\n  \"address\": \"\",\n  \"state\": \"unspecified\",\n  \"encap\": \"unspecified\"\n}\n");
}

TEST(DocumentWriterTest, WhatIsWrittenIsReadBack) {
  ExpectRoundTrip(Read(kFull));
  ExpectRoundTrip(Read("{next_hop: {}, limits: {vips: 0}, vips: [{}, {port: 0, reals: [{}]}]}"));
}

TEST(DocumentWriterTest, StringsThatLookLikeOtherThingsStayStrings) {
  v1::Config config;
  for (const char* text : {"",
                           " ",
                           "true",
                           "No",
                           "null",
                           "~",
                           "y",
                           "1",
                           "-1",
                           "1.5",
                           "1e3",
                           "0x10",
                           ".inf",
                           "12:34:56",
                           "2001-01-01",
                           "::",
                           "::1",
                           "2001:db8::1",
                           "10.0.0.1",
                           "10.0.0.0/8",
                           "a: b",
                           "a #b",
                           "#",
                           "- a",
                           "&a",
                           "*a",
                           "!a",
                           "|",
                           ">",
                           "%a",
                           "@a",
                           "`a",
                           "'",
                           "\"",
                           "\\",
                           "{}",
                           "[]",
                           "a\nb",
                           "a\tb",
                           "<<",
                           "x-a",
                           "---",
                           "...",
                           "=",
                           "\x7f",
                           "\x01",
                           "é",
                           "\xc2\x85",
                           "\xe2\x80\xa8",
                           "\xf0\x9f\x98\x80"}) {
    config.add_interfaces(text);
    config.add_vips()->set_name(text);
  }
  ExpectRoundTrip(config);
}

TEST(DocumentWriterTest, RandomMessagesAreReadBack) {
  std::mt19937 random(1);
  const auto text = [&] {
    static constexpr std::string_view kBytes = "ab01:-_./ #{}[],&*!|>'\"%@`?~<=\\\n\t\r\x01\x7f";
    std::string result;
    for (size_t i = random() % 6; i > 0; --i) result += kBytes[random() % kBytes.size()];
    return result;
  };
  for (int i = 0; i < 300; ++i) {
    v1::Config config;
    for (size_t n = random() % 3; n > 0; --n) config.add_interfaces(text());
    if (random() % 2 == 0) config.set_hash_key(text());
    if (random() % 2 == 0) config.mutable_limits()->set_vips(random());
    for (size_t n = random() % 3; n > 0; --n) {
      v1::Vip& vip = *config.add_vips();
      vip.set_name(text());
      vip.set_protocol(static_cast<v1::Protocol>(random() % 3));
      if (random() % 2 == 0) vip.set_port(random() % 2);
      if (random() % 2 == 0) vip.mutable_ring();
      for (size_t m = random() % 3; m > 0; --m) vip.add_reals()->set_address(text());
    }
    ExpectRoundTrip(config);
  }
}

}  // namespace
}  // namespace lb::config
