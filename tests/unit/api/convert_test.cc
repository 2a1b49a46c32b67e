// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/convert.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

namespace lb::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

std::vector<std::string> ProblemsOf(const std::string& text) {
  std::vector<std::string> lines;
  for (const auto& problem : ConfigFromProto(Parse<v1::Config>(text)).problems) {
    lines.push_back(problem.ToString());
  }
  return lines;
}

// One VIP, with more fields.
std::string Vip(const std::string& more) {
  return "vips { address: '192.0.2.1' port: 80 protocol: PROTOCOL_TCP " + more + " }";
}

TEST(ConvertTest, DefaultsAreFilledIn) {
  const auto converted = ConfigFromProto(Parse<v1::Config>(Vip("reals { address: '10.0.0.1' }")));
  ASSERT_TRUE(converted.problems.empty()) << converted.problems[0].ToString();
  EXPECT_EQ(converted.change.hash_key, std::nullopt);
  const model::Config& config = converted.change.config;
  EXPECT_EQ(config.settings, model::Settings());
  EXPECT_EQ(config.vips[0].reals[0].weight, 100u);
  EXPECT_EQ(config.vips[0].tracking, model::Tracking::kAuto);
}

TEST(ConvertTest, EveryProblemIsNamedAtOnce) {
  EXPECT_THAT(
      ProblemsOf("next_hop { mac: 'x' } encap { source_v4: '::/0' } hash_key: 'abc' " +
                 Vip("reals { address: '10.0.0.1' weight: 2000000 } reals { address: 'y' }") +
                 "vips { address: '192.0.2.2' port: 0 }"),
      ElementsAre(HasSubstr("next_hop.mac: \"x\""),
                  HasSubstr("hash_key: must be 32 hex digits, got 3 characters"),
                  HasSubstr("vips[0].reals[1].address: \"y\" is not an IPv4 or IPv6 address"),
                  HasSubstr("vips[1].port: must be 1..65535, got 0"),
                  HasSubstr("vips[1].protocol: is required: tcp, udp or tcp_udp"),
                  HasSubstr("encap.source_v4: must be an IPv4 prefix, got ::/0"),
                  HasSubstr("vips[0].reals[0].weight: must be 0..1000000, got 2000000")));
}

TEST(ConvertTest, PortAndAnyPortExcludeEachOther) {
  EXPECT_THAT(ProblemsOf(Vip("any_port: true")),
              ElementsAre(HasSubstr("vips[0].port: must not be set together with any_port")));
  EXPECT_THAT(ProblemsOf("vips { address: '192.0.2.1' protocol: PROTOCOL_UDP }"),
              ElementsAre(HasSubstr("vips[0].port: is required: 1..65535, or any_port")));
}

TEST(ConvertTest, TheGuePortIsAPort) {
  EXPECT_THAT(ProblemsOf("encap { gue_port: 65536 }"),
              ElementsAre(HasSubstr("encap.gue_port: must be 1..65535, got 65536")));
}

TEST(ConvertTest, PortRangesAreInOrder) {
  for (const auto& [more, problem] :
       {std::pair("last_port: 80", "vips[0].last_port: must be 81..65535, got 80"),
        std::pair("last_port: 65536", "vips[0].last_port: must be 81..65535, got 65536")}) {
    EXPECT_THAT(ProblemsOf(Vip(more)), ElementsAre(problem));
  }
  EXPECT_THAT(ProblemsOf("vips { address: '192.0.2.1' any_port: true last_port: 5 "
                         "protocol: PROTOCOL_TCP }"),
              ElementsAre("vips[0].last_port: must not be set together with any_port"));
}

TEST(ConvertTest, PrefixesAreRead) {
  EXPECT_THAT(
      ProblemsOf("vips { address: '192.0.2.1/24' port: 80 protocol: PROTOCOL_TCP }"),
      ElementsAre("vips[0].address: \"192.0.2.1/24\" has bits set behind its prefix length; did "
                  "you mean 192.0.2.0/24?"));
  EXPECT_THAT(ProblemsOf("vips { address: '2001:db8::/64' port: 80 protocol: PROTOCOL_TCP_UDP }"),
              ElementsAre());
}

TEST(ConvertTest, UnknownEnumValuesAreRefused) {
  v1::Config config = Parse<v1::Config>(Vip("reals { address: '10.0.0.1' }"));
  config.set_xdp_mode(static_cast<v1::XdpMode>(77));
  config.set_attach(static_cast<v1::AttachMode>(7));
  config.set_flow_hash(static_cast<v1::FlowHash>(5));
  config.mutable_vips(0)->mutable_ring()->set_scheme(static_cast<v1::RingScheme>(9));
  config.mutable_vips(0)->set_hash(static_cast<v1::HashPolicy>(9));
  config.mutable_vips(0)->set_tracking(static_cast<v1::Tracking>(9));
  config.mutable_vips(0)->mutable_reals(0)->set_state(static_cast<v1::RealState>(9));
  config.mutable_vips(0)->mutable_reals(0)->set_encap(static_cast<v1::Encapsulation>(9));
  std::vector<std::string> lines;
  for (const auto& problem : ConfigFromProto(config).problems) lines.push_back(problem.ToString());
  EXPECT_THAT(
      lines, ElementsAre("xdp_mode: must be native, generic or auto, got 77",
                         "attach: must be direct, dispatcher or chained, got 7",
                         "flow_hash: must be siphash or fast, got 5",
                         "vips[0].ring.scheme: must be rendezvous or maglev, got 9",
                         "vips[0].hash: must be five_tuple, source, source_destination_port or "
                         "destination_port, got 9",
                         "vips[0].tracking: must be auto, always or none, got 9",
                         "vips[0].reals[0].state: must be active, draining, down or standby, got 9",
                         "vips[0].reals[0].encap: must be ipip, gue, gre or l2, got 9"));
}

TEST(ConvertTest, RangesOfTrackingAreChecked) {
  EXPECT_THAT(ProblemsOf(Vip("flows { window_seconds: 0 idle_seconds: 5000 entries: 1 } "
                             "slow_start_seconds: 9999 "
                             "reals { address: '10.0.0.1' drain_seconds: 5 }")),
              ElementsAre(HasSubstr("vips[0].flows.window_seconds: must be 1..86400, got 0"),
                          HasSubstr("vips[0].flows.idle_seconds: must be 35..4200, got 5000"),
                          HasSubstr("vips[0].flows.entries: must be 64..33554432, got 1"),
                          HasSubstr("vips[0].slow_start_seconds: must be 0..3600, got 9999"),
                          HasSubstr("vips[0].reals[0].drain_seconds: belongs to state draining")));
}

TEST(ConvertTest, QuicLbConfigurationsAreChecked) {
  const std::string vip = "vips { address: '192.0.2.1' port: 443 protocol: PROTOCOL_UDP ";
  EXPECT_THAT(ProblemsOf(vip + "route_by_id { quic_lb { config_id: 7 server_id_length: 2 } "
                               "quic_lb { server_id_length: 7 } quic_lb { config_id: 1 } "
                               "quic_lb { config_id: 2 server_id_length: 1 } "
                               "quic_lb { config_id: 2 server_id_length: 1 } } }"),
              ElementsAre("vips[0].route_by_id.quic_lb[0].config_id: must be 0..6, got 7",
                          "vips[0].route_by_id.quic_lb[1].server_id_length: must be 1..6, got 7",
                          "vips[0].route_by_id.quic_lb[2].server_id_length: must be 1..6, got 0",
                          "vips[0].route_by_id.quic_lb[4].config_id: 2 is there twice"));
}

TEST(ConvertTest, HashKeysAreReadAndNeverWritten) {
  const auto converted =
      ConfigFromProto(Parse<v1::Config>("hash_key: '000102030405060708090a0b0c0d0e0F'"));
  ASSERT_TRUE(converted.problems.empty());
  EXPECT_EQ(converted.change.hash_key, (HashKey{0x0001020304050607, 0x08090a0b0c0d0e0f}));
  model::Config config = converted.change.config;
  config.settings.hash_key = *converted.change.hash_key;
  EXPECT_EQ(ToProto(config).hash_key(), "");
}

TEST(ConvertTest, AnyConfigurationSurvivesTheRoundTrip) {
  std::mt19937 random(7);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (int round = 0; round < 200; ++round) {
    model::Config config;
    if (below(2)) config.settings.interfaces = {"eth0", "eth1"};
    config.settings.xdp_mode = static_cast<model::XdpMode>(below(3));
    config.settings.flow_hash = static_cast<model::FlowHash>(below(2));
    if (below(3) == 0) {
      config.settings.attach = model::AttachMode::kDispatcher;
      config.settings.priority = below(100);
    } else if (below(2)) {
      config.settings.attach = model::AttachMode::kChained;
      config.settings.chain = {.map = "/sys/fs/bpf/{interface}", .position = below(8)};
    }
    if (below(2)) config.settings.next_hop_mac = MacAddress({2, 0, 0, 0, 0, 1});
    config.settings.gue_port = static_cast<uint16_t>(1 + below(65535));
    config.settings.limits.flows = 1u << (10 + below(10));
    config.settings.limits.fragments = 256 + below(1000);
    config.settings.packets = {.vlan = below(2) != 0, .ipv6_extensions = below(2) != 0};
    if (below(2)) config.settings.packets.multi_buffer = below(2) != 0;
    config.settings.icmp = {
        .echo = below(2) != 0, .errors = below(2) != 0, .too_big_per_second = below(1000)};
    if (below(2)) config.settings.decap.addresses = {IpAddress::Parse("10.9.0.1").value()};
    if (!config.settings.decap.addresses.empty()) {
      config.settings.decap.gue_port = static_cast<uint16_t>(1 + below(65535));
    }
    for (uint32_t i = 0; i < below(4); ++i) {
      model::Vip vip;
      const std::string key = std::to_string(i);
      vip.key.address = below(2) ? IpAddress::Parse("192.0.2." + std::to_string(i + 1)).value()
                                 : IpAddress::Parse("2001:db8::" + std::to_string(i + 1)).value();
      vip.key.port = static_cast<uint16_t>(below(3) ? 1 + below(65535) : 0);
      vip.key.protocol = std::array{model::Protocol::kTcp, model::Protocol::kUdp,
                                    model::Protocol::kTcpUdp}[below(3)];
      if (vip.key.port != 0 && vip.key.port < 65000 && below(2)) {
        vip.key.last_port = static_cast<uint16_t>(vip.key.port + 1 + below(500));
      }
      if (below(3) == 0) {
        const bool v4 = below(2) != 0;
        const std::string net = v4 ? "20." + key + ".0.0/" : "2001:db8:" + key + "::/";
        vip.key.SetPrefix(IpPrefix::Parse(net + std::to_string(v4 ? 24 : 64)).value());
      }
      vip.hash = static_cast<model::HashPolicy>(below(4));
      vip.name = below(2) ? "vip" + key : "";
      vip.ring.scheme = below(2) ? model::RingScheme::kRendezvous : model::RingScheme::kMaglev;
      vip.ring.bits = below(2) ? 8 + static_cast<int>(below(12)) : 0;
      vip.tracking = static_cast<model::Tracking>(below(3));
      if (below(2)) vip.flows.window = 1 + below(86400);
      if (below(2)) vip.flows.idle = 35 + below(4000);
      if (below(2)) vip.flows.entries = 64 + below(1 << 20);
      vip.slow_start = below(3600);
      if (vip.key.port == 0) vip.fragments = static_cast<model::Fragments>(below(2));
      const bool by_id = below(2) != 0;
      if (by_id && vip.key.protocol == model::Protocol::kTcp) vip.route_by_id.tcp_option = true;
      if (by_id && vip.key.protocol == model::Protocol::kUdp) {
        vip.route_by_id.quic_lb[below(2)] = static_cast<uint8_t>(1 + below(6));
        vip.route_by_id.quic_katran = below(2) != 0;
      }
      if (below(2) && vip.key.address.is_v4()) {
        vip.sources.allow = {IpPrefix::Parse("198.51.100.0/24").value()};
        if (!vip.route_by_id.any()) {
          vip.source_routes = {{.name = "site",
                                .sources = {IpPrefix::Parse("203.0.113.0/24").value()},
                                .reals = {{.address = IpAddress::Parse("10.0.9.9").value()}}}};
        }
        vip.sources.deny = {IpPrefix::Parse("198.51.0.0/16").value()};
        if (vip.key.protocol != model::Protocol::kUdp) {
          vip.sources.new_flows = {.per_second = 1 + below(1000), .burst = 1 + below(1000)};
        }
      }
      for (uint32_t n = 0; n < below(5); ++n) {
        model::Real real;
        real.address = IpAddress::Parse("10.0.0." + std::to_string(n + 1)).value();
        real.weight = below(1000001);
        if (by_id) real.server_id = n + 1;
        real.encap = static_cast<model::Encap>(below(3));
        real.state = static_cast<model::RealState>(below(4));
        if (real.state == model::RealState::kDraining && below(2)) real.drain = 1 + below(600);
        vip.reals.push_back(real);
      }
      config.vips.push_back(vip);
    }
    const auto converted = ConfigFromProto(ToProto(config));
    ASSERT_TRUE(converted.problems.empty()) << converted.problems[0].ToString();
    ASSERT_EQ(converted.change.config, config);
  }
}

TEST(ConvertTest, AMaskTakesOnlyWhatItNames) {
  const auto change = ChangeFromProto(Parse<v1::UpdateRealRequest>(
      "vip { address: '192.0.2.1' port: 80 protocol: PROTOCOL_TCP } "
      "real { address: '10.0.0.1' weight: 5 state: REAL_STATE_DRAINING drain_seconds: 9 } "
      "update_mask { paths: 'state' }"));
  ASSERT_TRUE(change.ok()) << change.status();
  const auto& update = std::get<model::UpdateReal>(*change);
  EXPECT_EQ(update.weight, std::nullopt);
  EXPECT_EQ(update.state, model::RealState::kDraining);
  EXPECT_EQ(update.drain, 9u);
}

TEST(ConvertTest, AMaskWithAnUnknownFieldIsRefused) {
  const auto change = ChangeFromProto(
      Parse<v1::UpdateVipRequest>("vip { address: '192.0.2.1' port: 80 protocol: PROTOCOL_TCP } "
                                  "update_mask { paths: 'colour' }"));
  EXPECT_EQ(change.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(Message(change.status())),
      HasSubstr(
          "update_mask: no field \"colour\" can be updated; there are checks, fail_open, flows, "
          "fragments, hash, min_healthy, name"));
}

}  // namespace
}  // namespace lb::api
