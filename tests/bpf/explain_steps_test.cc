// SPDX-License-Identifier: Apache-2.0
// What lbctl flow explain tells, step by step, of packets that the program has decided on.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <string_view>

#include "lbd/api/explain.h"
#include "lbd/dataplane/explainer.h"
#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

const model::VipKey kWeb = {kVip4, 80, model::Protocol::kTcp};

class ExplainStepsTest : public ::testing::Test {
 protected:
  ExplainStepsTest() : balancer_({}, LB_FEATURES) {}

  // All slots go to the first real, so that no text depends on the ring.
  static dataplane::Service ToTheFirst(const std::vector<IpAddress>& reals,
                                       const model::VipKey& key = kWeb) {
    return MakeService(key, reals, model::Ring(256, reals.empty() ? 0 : 1));
  }
  void Serve(const Services& services) {
    balancer_.Serve(services);
    config_.vips.clear();
    report_.next_hops.clear();
    for (const dataplane::Service& service : services) {
      config_.vips.push_back(service.vip);
      for (const model::Real& real : service.vip.reals) {
        dataplane::NextHop hop = Gateway();
        hop.via = Address("192.0.2.1");
        report_.next_hops.push_back({.real = real.address, .hop = hop, .problem = ""});
      }
    }
    health_.book.Update(config_, {});
    health_.book.TakeExpired(control::HealthBook::TimePoint() + control::HealthBook::kWarmUp);
  }
  // A line for each step: its name and text. How long a flow was idle depends on the kernel's
  // clock.
  std::string Steps(const Bytes& frame) {
    const auto explanation = dataplane::Explain(balancer_.forwarder(), frame, kIngressInterface);
    EXPECT_TRUE(explanation.ok()) << Message(explanation.status());
    if (!explanation.ok()) return "";
    const auto response = api::ToProto(*explanation, config_, report_, health_);
    std::string text = "\n";
    for (const v1::ExplainStep& step : response.steps()) {
      text += fmt::format("{}: {}\n", step.name(), step.text());
    }
    return std::regex_replace(text, std::regex("idle for [0-9]+ s"), "idle for N s");
  }

  static Bytes Frame(const Segment& segment) {
    return Ethernet({}, Ip({.source = kClient4, .destination = kVip4}, segment));
  }

  Balancer balancer_;
  model::Config config_;
  control::DataplaneReport report_;
  control::HealthReport health_;
};

TEST_F(ExplainStepsTest, ForwardOnAStableSlot) {
  dataplane::Service service = ToTheFirst({Real4(1)});
  service.vip.name = "web";
  Serve({service});
  EXPECT_EQ(Steps(Frame(Tcp({}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [syn], IP length 40
vip: 192.0.2.80:80/tcp web: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: stable: 10.0.0.1
real: 10.0.0.1 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 60 bytes once encapsulated, 1500 fit
encap: ipip 172.16.15.90 -> 10.0.0.1, 20 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
}

TEST_F(ExplainStepsTest, AChangingSlot) {
  Serve({ToTheFirst({Real4(1)})});
  Serve({MakeService(kWeb, {Real4(1), Real4(2)}, model::Ring(256, 2))});
  EXPECT_EQ(Steps(Frame(Tcp({}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [syn], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: changing: unknown flows to 10.0.0.1, new connections to 10.0.0.2
flow: not in the flow table; would be recorded
real: 10.0.0.2 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 60 bytes once encapsulated, 1500 fit
encap: ipip 172.16.15.90 -> 10.0.0.2, 20 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
  EXPECT_EQ(Steps(Frame(Tcp({.flags = 0x10}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [ack], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: changing: unknown flows to 10.0.0.1, new connections to 10.0.0.2
flow: not in the flow table; would be recorded
real: 10.0.0.1 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 60 bytes once encapsulated, 1500 fit
encap: ipip 172.16.15.90 -> 10.0.0.1, 20 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
  balancer_.Send(Frame(Tcp({})));
  EXPECT_EQ(Steps(Frame(Tcp({.flags = 0x10}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [ack], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: changing: unknown flows to 10.0.0.1, new connections to 10.0.0.2
flow: known to the flow table: 10.0.0.2, idle for N s
real: 10.0.0.2 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 60 bytes once encapsulated, 1500 fit
encap: ipip 172.16.15.90 -> 10.0.0.2, 20 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
}

TEST_F(ExplainStepsTest, ASettlingSlot) {
  Serve({ToTheFirst({Real4(1)})});
  Serve({MakeService(kWeb, {Real4(1), Real4(2)}, model::Ring(256, 2))});
  balancer_.Send(Frame(Tcp({.flags = 0x10})));
  balancer_.Pass(901);
  balancer_.Sweep();
  EXPECT_EQ(Steps(Frame(Tcp({.flags = 0x10}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [ack], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: settling: 10.0.0.2, but known flows stay where they are
flow: known to the flow table: 10.0.0.1, idle for N s
real: 10.0.0.1 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 60 bytes once encapsulated, 1500 fit
encap: ipip 172.16.15.90 -> 10.0.0.1, 20 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
}

TEST_F(ExplainStepsTest, EveryFlowIsTracked) {
  dataplane::Service service = ToTheFirst({Real4(1)});
  service.vip.tracking = model::Tracking::kAlways;
  Serve({service});
  EXPECT_EQ(Steps(Frame(Tcp({}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [syn], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: stable: 10.0.0.1, and every flow is recorded
flow: not in the flow table; would be recorded
real: 10.0.0.1 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 60 bytes once encapsulated, 1500 fit
encap: ipip 172.16.15.90 -> 10.0.0.1, 20 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
}

TEST_F(ExplainStepsTest, RoutedByServerId) {
  dataplane::Service service =
      ToTheFirst({Real4(1), Real4(2)}, {kVip4, 443, model::Protocol::kUdp});
  service.vip.reals[0].server_id = 0x0a01;
  service.vip.reals[1].server_id = 0x0b02;
  service.vip.route_by_id.quic_lb = {2, 0, 0, 3};
  Serve({service});
  const auto packet = [](std::string_view id) {
    std::string text = "\x41" + std::string(id);
    text.resize(32, 'Z');
    return Frame(Udp({.destination = 443}, text));
  };
  EXPECT_EQ(Steps(packet("\x05\x0b\x02")), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:443 udp, IP length 60
vip: 192.0.2.80:443/udp: by address, port and protocol
hash: f639a1af17fe2c81 -> slot 246 of 256
slot: stable: 10.0.0.1
id: the packet names its real by a server id
real: 10.0.0.2 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 80 bytes once encapsulated, 1500 fit
encap: ipip 172.16.254.23 -> 10.0.0.2, 20 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
  EXPECT_EQ(Steps(packet("\x05\x77\x77")), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:443 udp, IP length 60
vip: 192.0.2.80:443/udp: by address, port and protocol
hash: f639a1af17fe2c81 -> slot 246 of 256
slot: stable: 10.0.0.1
id: the packet names a server id that no real has; its hash decides
real: 10.0.0.1 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 80 bytes once encapsulated, 1500 fit
encap: ipip 172.16.254.23 -> 10.0.0.1, 20 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
  EXPECT_EQ(Steps(packet("\xe5\x0b\x02")), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:443 udp, IP length 60
vip: 192.0.2.80:443/udp: by address, port and protocol
hash: f639a1af17fe2c81 -> slot 246 of 256
slot: stable: 10.0.0.1
id: the packet names no server id; its hash decides
real: 10.0.0.1 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 80 bytes once encapsulated, 1500 fit
encap: ipip 172.16.254.23 -> 10.0.0.1, 20 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
}

TEST_F(ExplainStepsTest, L2ThroughAGateway) {
  dataplane::Service service = ToTheFirst({Real4(1)});
  service.vip.reals[0].encap = model::Encap::kL2;
  Serve({service});
  EXPECT_EQ(Steps(Frame(Tcp({}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [syn], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: stable: 10.0.0.1
real: 10.0.0.1 (active, weight 100, encap l2)
health: not checked
next hop: gateway 192.0.2.1, but encap l2 only reaches a real on the same segment
verdict: no_next_hop (drop): No resolved next hop to the real: route or neighbour missing.
)");
}

TEST_F(ExplainStepsTest, L2) {
  dataplane::Service service = ToTheFirst({Real4(1)});
  service.vip.reals[0].encap = model::Encap::kL2;
  Serve({service});
  dataplane::NextHop neighbour = Gateway();
  neighbour.via = Real4(1);
  balancer_.SetNextHops({{Real4(1), neighbour}});
  report_.next_hops[0].hop = neighbour;
  EXPECT_EQ(Steps(Frame(Tcp({}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [syn], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: stable: 10.0.0.1
real: 10.0.0.1 (active, weight 100, encap l2)
health: not checked
next hop: 10.0.0.1 02:00:00:00:00:03 on lo
mtu: 40 bytes, 1500 fit
encap: l2: a new Ethernet header, and one hop less to live
verdict: forward (tx): Encapsulated and sent to a real.
)");
}

TEST_F(ExplainStepsTest, Gue) {
  dataplane::Service service = ToTheFirst({Real6(1)});
  service.vip.reals[0].encap = model::Encap::kGue;
  Serve({service});
  EXPECT_EQ(Steps(Frame(Tcp({}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [syn], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: stable: fd00::1
real: fd00::1 (active, weight 100, encap gue)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 88 bytes once encapsulated, 1500 fit
encap: gue 100::72a2:f5a -> fd00::1, 48 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
}

TEST_F(ExplainStepsTest, VlanTags) {
  Serve({ToTheFirst({Real4(1)})});
  EXPECT_EQ(Steps(Tagged(Frame(Tcp({})), {0x81000007})), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [syn], IP length 40, VLAN 7
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: stable: 10.0.0.1
real: 10.0.0.1 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 60 bytes once encapsulated, 1500 fit
encap: ipip 172.16.15.90 -> 10.0.0.1, 20 bytes more
verdict: forward (tx): Encapsulated and sent to a real.
)");
  EXPECT_EQ(Steps(Tagged(Frame(Tcp({.destination = 81})), {0x88a80007, 0x8100e008})), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:81 tcp [syn], IP length 40, VLAN 7, VLAN 8
vip: none has this port and protocol; 192.0.2.80 has 192.0.2.80:80/tcp
verdict: not_vip (pass): No VIP for this address, port and protocol; the host handles it.
)");
}

TEST_F(ExplainStepsTest, NoReal) {
  Serve({ToTheFirst({})});
  EXPECT_EQ(Steps(Frame(Tcp({}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [syn], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: stable: no real
health: the VIP has no reals
verdict: no_real (drop): The VIP has no usable real: all down, weight 0, or none there.
)");
}

TEST_F(ExplainStepsTest, NoNextHop) {
  Serve({ToTheFirst({Real4(1)})});
  balancer_.SetNextHops({});
  report_.next_hops = {{.real = Real4(1), .hop = {}, .problem = "no route; ip route get"}};
  EXPECT_EQ(Steps(Frame(Tcp({}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [syn], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: stable: 10.0.0.1
real: 10.0.0.1 (active, weight 100, encap ipip)
health: not checked
next hop: no route; ip route get
verdict: no_next_hop (drop): No resolved next hop to the real: route or neighbour missing.
)");
}

TEST_F(ExplainStepsTest, TooBig) {
  Serve({ToTheFirst({Real4(1)})});
  EXPECT_EQ(Steps(Frame(Tcp({.flags = 0x18}, std::string(1441, 'x')))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [psh,ack], IP length 1481
vip: 192.0.2.80:80/tcp: by address, port and protocol
hash: 73f50f925a0fa272 -> slot 115 of 256
slot: stable: 10.0.0.1
real: 10.0.0.1 (active, weight 100, encap ipip)
health: not checked
next hop: 192.0.2.1 02:00:00:00:00:03 on lo
mtu: 1501 bytes once encapsulated, 1500 fit: too long
verdict: too_big_reply (tx): Longer than the next hop's MTU once encapsulated; the client was told by ICMP.
)");
}

TEST_F(ExplainStepsTest, Denied) {
  dataplane::Service service = ToTheFirst({Real4(1)});
  service.vip.sources.deny = {IpPrefix::Parse("198.51.100.0/24").value()};
  Serve({service});
  EXPECT_EQ(Steps(Frame(Tcp({}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:80 tcp [syn], IP length 40
vip: 192.0.2.80:80/tcp: by address, port and protocol
sources: 198.51.100.7 is refused: The VIP does not serve this source: on its deny list, or on no list of those it serves.
verdict: source_denied (drop): The VIP does not serve this source: on its deny list, or on no list of those it serves.
)");
}

TEST_F(ExplainStepsTest, NotVip) {
  Serve({ToTheFirst({Real4(1)})});
  EXPECT_EQ(Steps(Frame(Tcp({.destination = 81}))), R"(
packet: 198.51.100.7:40000 -> 192.0.2.80:81 tcp [syn], IP length 40
vip: none has this port and protocol; 192.0.2.80 has 192.0.2.80:80/tcp
verdict: not_vip (pass): No VIP for this address, port and protocol; the host handles it.
)");
  EXPECT_EQ(Steps(Ethernet({}, Ip({.source = kClient4, .destination = Real4(9)}, Tcp({})))), R"(
packet: 198.51.100.7:40000 -> 10.0.0.9:80 tcp [syn], IP length 40
vip: no VIP has the address 10.0.0.9
verdict: not_vip (pass): No VIP for this address, port and protocol; the host handles it.
)");
  EXPECT_EQ(Steps(Ethernet({.type = 0x0806}, Opaque(0, std::string(28, 'x')))), R"(
packet: a frame of 42 bytes that is not IPv4 or IPv6, or too short
verdict: not_ip (pass): Neither IPv4 nor IPv6 (ARP, LLDP, ...); the host handles it.
)");
}

TEST_F(ExplainStepsTest, WhatIsNotLookedUp) {
  Serve({ToTheFirst({Real4(1)})});
  EXPECT_EQ(Steps(Frame(Icmp({}))), R"(
packet: 198.51.100.7 -> 192.0.2.80 icmp, IP length 28
vip: not looked up; 192.0.2.80 has 192.0.2.80:80/tcp
verdict: echo_reply (tx): ICMP echo request to a VIP, answered by the load balancer.
)");
  const IpHeader later{.source = kClient4, .destination = kVip4, .id = 0x1234, .fragment = 0x0004};
  EXPECT_EQ(Steps(Ethernet({}, Ip(later, Tcp({})))), R"(
packet: 198.51.100.7 -> 192.0.2.80 tcp, IP length 40
fragment: a later fragment of packet 0x1234; its first one is not in lb_fragments (8192 entries, 60 s): not come yet, or lost, or elsewhere
vip: not looked up; 192.0.2.80 has 192.0.2.80:80/tcp
verdict: fragment (drop): IP fragment for a VIP whose ports are not known: the first one was not seen before.
)");
}

}  // namespace
}  // namespace lb::testing
