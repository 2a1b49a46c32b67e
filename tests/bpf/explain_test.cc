// SPDX-License-Identifier: Apache-2.0
// An explanation is what then happens, and leaves no trace.
#include "lbd/dataplane/explainer.h"

#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "lbd/dataplane/capture.h"
#include "tests/bpf/balancer.h"
#include "tests/support/net_ns.h"

namespace lb::testing {
namespace {

using dataplane::Explanation;
using dataplane::SlotState;

const model::VipKey kWeb4 = {kVip4, 80, model::Protocol::kTcp};
const model::VipKey kWeb6 = {kVip6, 80, model::Protocol::kTcp};
const model::VipKey kDns = {kVip4, 53, model::Protocol::kUdp};
const model::VipKey kAny = {kVip6, 0, model::Protocol::kUdp};
const model::VipKey kEmpty = {kVip4, 81, model::Protocol::kTcp};
const model::VipKey kUnreachable = {kVip4, 82, model::Protocol::kTcp};
const model::VipKey kClosed = {kVip4, 8001, model::Protocol::kTcp};
const model::VipKey kNear = {kVip4, 8002, model::Protocol::kTcp};
const model::VipKey kLimited = {kVip4, 8003, model::Protocol::kTcp};
const model::VipKey kSourceLimited = {kVip4, 8004, model::Protocol::kTcp};
const model::VipKey kRange = {
    .address = kVip4, .port = 9000, .protocol = model::Protocol::kTcp, .last_port = 9010};
const model::VipKey kGue = {kVip6, 8005, model::Protocol::kTcp};
const model::VipKey kGre = {kVip4, 8006, model::Protocol::kTcp};

IpHeader V4() { return {.source = kClient4, .destination = kVip4}; }
IpHeader V6() { return {.source = kClient6, .destination = kVip6}; }

IpHeader With(IpHeader header, const std::function<void(IpHeader&)>& change) {
  change(header);
  return header;
}

struct Situation {
  const char* name;
  Bytes frame;
  lb_verdict verdict;
  std::optional<model::VipKey> vip = {};
  std::optional<IpAddress> real = {};
};

std::vector<Situation> Situations() {
  return {
      {"tcp4", Ethernet({}, Ip(V4(), Tcp({}))), LB_FORWARD, kWeb4, Real4(1)},
      {"tcp4 ack", Ethernet({}, Ip(V4(), Tcp({.flags = 0x10}, "hi"))), LB_FORWARD, kWeb4, Real4(1)},
      {"tcp4 fin", Ethernet({}, Ip(V4(), Tcp({.flags = 0x11}))), LB_FORWARD, kWeb4, Real4(1)},
      {"tcp4 rst", Ethernet({}, Ip(V4(), Tcp({.flags = 0x04}))), LB_FORWARD, kWeb4, Real4(1)},
      {"tcp4 tos", Ethernet({}, Ip(With(V4(), [](auto& h) { h.tos = 0xb8; }), Tcp({}))), LB_FORWARD,
       kWeb4, Real4(1)},
      {"tcp4 options",
       Ethernet({}, Ip(With(V4(), [](auto& h) { h.options = Bytes(8, 1); }), Tcp({}))), LB_FORWARD,
       kWeb4, Real4(1)},
      {"tcp4 padded", Ethernet({.padding = 6}, Ip(V4(), Tcp({}))), LB_FORWARD, kWeb4, Real4(1)},
      {"tcp4 largest", Ethernet({}, Ip(V4(), Tcp({.flags = 0x10}, std::string(1440, 'x')))),
       LB_FORWARD, kWeb4, Real4(1)},
      {"tcp4 too big", Ethernet({}, Ip(V4(), Tcp({.flags = 0x10}, std::string(1441, 'x')))),
       LB_TOO_BIG_REPLY, kWeb4, Real4(1)},
      {"tcp4 too big, of nobody",
       Ethernet({}, Ip(With(V4(), [](auto& h) { h.source = Address("0.0.0.0"); }),
                       Tcp({.flags = 0x10}, std::string(1441, 'x')))),
       LB_TOO_BIG, kWeb4, Real4(1)},
      {"range of ports", Ethernet({}, Ip(V4(), Tcp({.destination = 9005}))), LB_FORWARD, kRange,
       Real4(1)},
      {"beyond the range", Ethernet({}, Ip(V4(), Tcp({.destination = 9011}))), LB_NOT_VIP},
      {"gue", Ethernet({}, Ip(V6(), Tcp({.destination = 8005}))), LB_FORWARD, kGue, Real4(1)},
      {"gre", Ethernet({}, Ip(V4(), Tcp({.destination = 8006}))), LB_FORWARD, kGre, Real6(1)},
      {"denied", Ethernet({}, Ip(V4(), Tcp({.destination = 8001}))), LB_SOURCE_DENIED, kClosed},
      {"VIP's rate", Ethernet({}, Ip(V4(), Tcp({.destination = 8003}))), LB_VIP_RATE_LIMITED,
       kLimited},
      {"within the rate", Ethernet({}, Ip(V4(), Tcp({.destination = 8003, .flags = 0x10}))),
       LB_FORWARD, kLimited, Real4(1)},
      {"source's rate", Ethernet({}, Ip(V4(), Tcp({.destination = 8004}))), LB_SOURCE_RATE_LIMITED,
       kSourceLimited},
      {"from an l2 real", Ethernet({.source = kGatewayMac}, Ip(V4(), Tcp({.destination = 8002}))),
       LB_L2_LOOP, kNear, Real4(4)},
      {"a tunnel's last hop",
       Ethernet({}, Ip({.source = kClient4, .destination = kHost4, .ttl = 1}, Ip(V4(), Tcp({})))),
       LB_TTL_EXPIRED},
      {"first fragment",
       Ethernet({}, Ip(With(V4(), [](auto& h) { h.fragment = 0x2000; }), Tcp({}))), LB_FORWARD,
       kWeb4, Real4(1)},
      {"tcp6", Ethernet({}, Ip(V6(), Tcp({}))), LB_FORWARD, kWeb6, Real6(1)},
      {"tcp6 class", Ethernet({}, Ip(With(V6(), [](auto& h) { h.tos = 0x28; }), Tcp({}))),
       LB_FORWARD, kWeb6, Real6(1)},
      {"tcp6 label", Ethernet({}, Ip(With(V6(), [](auto& h) { h.flow_label = 7; }), Tcp({}))),
       LB_FORWARD, kWeb6, Real6(1)},
      {"udp4", Ethernet({}, Ip(V4(), Udp({.destination = 53}, "q"))), LB_FORWARD, kDns, Real6(2)},
      {"udp6 any port", Ethernet({}, Ip(V6(), Udp({.destination = 4433}, "q"))), LB_FORWARD, kAny,
       Real4(2)},
      {"udp6 any other port", Ethernet({}, Ip(V6(), Udp({.destination = 9}, "q"))), LB_FORWARD,
       kAny, Real4(2)},
      {"echo4", Ethernet({}, Ip(V4(), Icmp({}))), LB_ECHO_REPLY},
      {"echo4 long", Ethernet({}, Ip(V4(), Icmp({}, std::string(1000, 'x')))), LB_ECHO_REPLY},
      {"echo6", Ethernet({}, Ip(V6(), Icmp6({.type = kEchoRequest6}))), LB_ECHO_REPLY},
      {"arp", Ethernet({.type = 0x0806}, Opaque(0, std::string(28, 'x'))), LB_NOT_IP},
      {"lldp", Ethernet({.type = 0x88cc}, Opaque(0, std::string(46, 'x'))), LB_NOT_IP},
      {"other port", Ethernet({}, Ip(V4(), Tcp({.destination = 8080}))), LB_NOT_VIP},
      {"other protocol", Ethernet({}, Ip(V4(), Udp({.destination = 80}))), LB_NOT_VIP},
      {"other address",
       Ethernet({}, Ip(With(V4(), [](auto& h) { h.destination = Real4(9); }), Tcp({}))),
       LB_NOT_VIP},
      {"other address, v6",
       Ethernet({}, Ip(With(V6(), [](auto& h) { h.destination = Real6(9); }), Tcp({}))),
       LB_NOT_VIP},
      {"echo to nobody",
       Ethernet({}, Ip(With(V4(), [](auto& h) { h.destination = Real4(9); }), Icmp({}))),
       LB_NOT_VIP},
      {"echo reply to a VIP", Ethernet({}, Ip(V4(), Icmp({.type = 0}))), LB_NOT_VIP},
      {"sctp to a VIP", Ethernet({}, Ip(V4(), Opaque(132, std::string(20, 'x')))), LB_NOT_VIP},
      {"bad ihl", Ethernet({}, Ip(With(V4(), [](auto& h) { h.header_words = 4; }), Tcp({}))),
       LB_BAD_HEADER},
      {"bad version", Ethernet({}, Ip(With(V4(), [](auto& h) { h.version = 5; }), Tcp({}))),
       LB_BAD_HEADER},
      {"bad version, v6", Ethernet({}, Ip(With(V6(), [](auto& h) { h.version = 4; }), Tcp({}))),
       LB_BAD_HEADER},
      {"bad length", Ethernet({}, Ip(With(V4(), [](auto& h) { h.length = 400; }), Tcp({}))),
       LB_BAD_LENGTH},
      {"bad length, v6", Ethernet({}, Ip(With(V6(), [](auto& h) { h.length = 400; }), Tcp({}))),
       LB_BAD_LENGTH},
      {"unknown fragment",
       Ethernet({}, Ip(With(V4(),
                            [](auto& h) {
                              h.fragment = 0x0001;
                              h.id = 0x7777;
                            }),
                       Tcp({}))),
       LB_FRAGMENT},
      {"too many extensions", Ethernet({}, Ip(V6(), Extension(kHopByHop, Tcp({}), 256))),
       LB_EXTENSIONS},
      {"an extension", Ethernet({}, Ip(V6(), Extension(kHopByHop, Tcp({})))), LB_FORWARD, kWeb6,
       Real6(1)},
      {"a tag", Tagged(Ethernet({}, Ip(V4(), Tcp({}, "x"))), {0x81000007}), LB_FORWARD, kWeb4,
       Real4(1)},
      {"two tags", Tagged(Ethernet({}, Ip(V6(), Tcp({}))), {0x88a80007, 0x81000008}), LB_FORWARD,
       kWeb6, Real6(1)},
      {"truncated", Ethernet({}, Ip(With(V4(), [](auto& h) { h.length = 30; }), Tcp({}))),
       LB_TRUNCATED},
      {"empty VIP", Ethernet({}, Ip(V4(), Tcp({.destination = 81}))), LB_NO_REAL, kEmpty},
      {"no next hop", Ethernet({}, Ip(V4(), Tcp({.destination = 82}))), LB_NO_NEXT_HOP,
       kUnreachable, Real4(3)},
  };
}

// It takes a driver that leaves no headroom, or sockets for answers to probes (see probe_test).
bool NotByAFrame(lb_verdict verdict) {
  return verdict == LB_ENCAP_FAILED || verdict == LB_PROBE_REPLY;
}

// Two devices in a namespace of their own, in which the thread is meanwhile: what is sent by one of
// them comes to the program on the other.
class Wire {
 public:
  explicit Wire(int program)
      : ns_(NetNs::Create().value()), inside_(ns_), socket_(socket(AF_PACKET, SOCK_RAW, 0)) {
    // Without link-local addresses nobody but us sends anything.
    const Status made = ns_.Run(
        "ip link add lb0 mtu 2200 type veth peer name peer0 mtu 2200 && "
        "ip link set lb0 addrgenmode none up && ip link set peer0 addrgenmode none up");
    EXPECT_TRUE(made.ok()) << Message(made);
    EXPECT_EQ(bpf_xdp_attach(static_cast<int>(ifindex()), program, XDP_FLAGS_DRV_MODE, nullptr), 0);
    sockaddr_ll from{};
    from.sll_family = AF_PACKET;
    from.sll_ifindex = static_cast<int>(if_nametoindex("peer0"));
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&from), sizeof(from)), 0);
  }

  // Where the program is.
  static unsigned ifindex() { return if_nametoindex("lb0"); }
  void Send(const Bytes& frame) const {
    EXPECT_EQ(send(socket_.get(), frame.data(), frame.size(), 0),
              static_cast<ssize_t>(frame.size()));
  }

 private:
  NetNs ns_;
  NetNs::Inside inside_;
  UniqueFd socket_;
};

class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest() : balancer_(WithTunnels(), LB_FEATURES) {
    dataplane::Service closed = MakeService(kClosed, {Real4(1)});
    closed.vip.sources.deny = {IpPrefix::Parse("0.0.0.0/0").value()};
    dataplane::Service near = MakeService(kNear, {Real4(4)});
    near.vip.reals[0].encap = model::Encap::kL2;
    dataplane::Service limited = MakeService(kLimited, {Real4(1)});
    limited.vip.sources.new_flows = {.per_second = 1};
    dataplane::Service source_limited = MakeService(kSourceLimited, {Real4(1)});
    source_limited.vip.sources.new_flows_per_source = {.per_second = 1, .burst = 1};
    dataplane::Service gue = MakeService(kGue, {Real4(1)});
    gue.vip.reals[0].encap = model::Encap::kGue;
    dataplane::Service gre = MakeService(kGre, {Real6(1)});
    gre.vip.reals[0].encap = model::Encap::kGre;
    balancer_.Serve({MakeService(kWeb4, {Real4(1)}), MakeService(kWeb6, {Real6(1)}),
                     MakeService(kDns, {Real6(2)}), MakeService(kAny, {Real4(2)}),
                     MakeService(kEmpty, {}), MakeService(kUnreachable, {Real4(3)}), closed, near,
                     limited, source_limited, gue, gre, MakeService(kRange, {Real4(1)})});
    SetNextHops(kIngressInterface);
    ExhaustRates();
  }

  // All out of one interface; for Real4(3) there is none.
  void SetNextHops(int ifindex) {
    dataplane::NextHop gateway = Gateway();
    gateway.ifindex = ifindex;
    dataplane::NextHop neighbour = gateway;
    neighbour.via = Real4(4);
    balancer_.SetNextHops({{Real4(1), gateway},
                           {Real6(1), gateway},
                           {Real6(2), gateway},
                           {Real4(2), gateway},
                           {Real4(4), neighbour}});
  }

  static model::Settings WithTunnels() {
    model::Settings settings;
    settings.decap.addresses = {kHost4};
    return settings;
  }

  // No token is due for minutes, however slow this machine is.
  void ExhaustRates() {
    for (lb_policy& policy : balancer_.Table<lb_policy>("lb_policies")) {
      if (policy.interval != 0) policy.due = UINT64_MAX / 2;
      if (policy.source_interval != 0) policy.source_interval = uint64_t{1} << 34;
    }
    EXPECT_EQ(balancer_.Send(Ethernet({}, Ip(V4(), Tcp({.destination = 8004})))).verdict,
              LB_FORWARD);
  }

  static Explanation Explain(Balancer& balancer, const Bytes& frame,
                             uint32_t ifindex = kIngressInterface) {
    auto explanation = dataplane::Explain(balancer.forwarder(), frame, ifindex);
    EXPECT_TRUE(explanation.ok()) << Message(explanation.status());
    return explanation.value_or(Explanation());
  }

  // Every byte of every table.
  static std::vector<Bytes> Tables(Balancer& balancer) {
    std::vector<Bytes> tables;
    for (const dataplane::MappedArray* map : balancer.forwarder().maps()) {
      const auto bytes = map->as<uint8_t>();
      tables.emplace_back(bytes.begin(), bytes.end());
    }
    return tables;
  }

  Balancer balancer_;
};

TEST_F(ExplainTest, WhatIsExplainedIsWhatHappens) {
  std::set<lb_verdict> seen;
  for (const Situation& situation : Situations()) {
    SCOPED_TRACE(situation.name);
    const Explanation explanation = Explain(balancer_, situation.frame);
    const Outcome outcome = balancer_.Send(situation.frame);
    EXPECT_EQ(outcome.verdict, situation.verdict);
    EXPECT_EQ(explanation.decision.verdict, NameOf(outcome.verdict));
    EXPECT_EQ(explanation.xdp_action, outcome.action);
    EXPECT_TRUE(SameBytes(outcome.out, explanation.out));
    EXPECT_EQ(explanation.decision.vip, situation.vip);
    EXPECT_EQ(explanation.decision.real, situation.real);
    if (outcome.verdict == LB_FORWARD) {
      const bool tagged = situation.frame[12] == 0x81 || situation.frame[12] == 0x88;
      if (!tagged) {
        EXPECT_EQ(RealOf(outcome.out), explanation.decision.real);
      }
      EXPECT_EQ(explanation.decision.frame, situation.frame);
      EXPECT_EQ(explanation.departure->destination, kGatewayMac);
    }
    seen.insert(outcome.verdict);
  }
  EXPECT_GE(Situations().size(), 30u);
  for (int verdict = 0; verdict < LB_VERDICT_COUNT; ++verdict) {
    if (NotByAFrame(static_cast<lb_verdict>(verdict))) continue;
    EXPECT_TRUE(seen.contains(static_cast<lb_verdict>(verdict)))
        << NameOf(static_cast<lb_verdict>(verdict)) << " is not explained by any test";
  }
}

TEST_F(ExplainTest, WhatIsExplainedIsWhatALivePacketGets) {
  const Wire wire(balancer_.forwarder().program().fd());
  SetNextHops(static_cast<int>(Wire::ifindex()));
  for (const Situation& situation : Situations()) {
    SCOPED_TRACE(situation.name);
    const Explanation explanation = Explain(balancer_, situation.frame, Wire::ifindex());
    EXPECT_EQ(explanation.decision.verdict, NameOf(situation.verdict));
    Verdicts wanted = balancer_.forwarder().ReadVerdicts();
    ++wanted[situation.verdict];
    wire.Send(situation.frame);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (balancer_.forwarder().ReadVerdicts() != wanted &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(balancer_.forwarder().ReadVerdicts(), wanted);
  }
}

// Encap l2 takes a hop off, and what came in a tunnel is shown without it.
TEST_F(ExplainTest, TheFrameIsThatOfTheClient) {
  const Bytes plain = Ethernet(
      {}, Ip(With(V4(), [](auto& h) { h.ttl = 9; }), Tcp({.destination = kNear.port}, "hello")));
  const Explanation near = Explain(balancer_, plain);
  EXPECT_EQ(near.decision.verdict, "forward");
  EXPECT_EQ(near.departure->encap, model::Encap::kL2);
  EXPECT_TRUE(SameBytes(plain, near.decision.frame));

  for (const IpHeader& inner : {V4(), V6()}) {
    const Bytes tunnelled = Ethernet(
        {},
        Ip({.source = Address("192.0.2.200"), .destination = kHost4}, Ip(inner, Tcp({}, "hello"))));
    const Explanation explanation = Explain(balancer_, tunnelled);
    EXPECT_EQ(explanation.decision.verdict, "forward");
    EXPECT_EQ(explanation.decision.source, inner.source);
    EXPECT_TRUE(SameBytes(Ethernet({}, Ip(inner, Tcp({}, "hello"))), explanation.decision.frame));
  }
}

TEST_F(ExplainTest, ALaterFragmentIsExplainedByItsFirstOne) {
  const auto v4 = [](uint16_t bits) {
    return With(V4(), [bits](auto& h) {
      h.fragment = bits;
      h.id = 0x1234;
    });
  };
  const Bytes first4 = Ethernet({}, Ip(v4(0x2000), Tcp({})));
  const Bytes later4 = Tagged(Ethernet({}, Ip(v4(0x0004), Tcp({}))), {0x81000007});
  const Explanation alone = Explain(balancer_, later4);
  EXPECT_EQ(alone.decision.verdict, "fragment");
  ASSERT_TRUE(alone.fragment);
  EXPECT_FALSE(alone.fragment->known);
  EXPECT_EQ(alone.fragment->id, 0x1234u);
  EXPECT_FALSE(Explain(balancer_, first4).fragment);
  EXPECT_FALSE(Explain(balancer_, later4).fragment->known) << "explaining has recorded something";

  EXPECT_EQ(balancer_.Send(first4).verdict, LB_FORWARD);
  const Explanation after = Explain(balancer_, later4);
  EXPECT_EQ(after.decision.verdict, "forward");
  EXPECT_EQ(after.decision.vip, kWeb4);
  EXPECT_EQ(after.decision.real, Real4(1));
  ASSERT_TRUE(after.fragment && after.fragment->known);
  EXPECT_EQ(after.fragment->protocol, 6);
  EXPECT_EQ(after.fragment->destination_port, 80);
  EXPECT_EQ(after.fragment->kept_seconds, uint32_t{LB_FRAGMENT_SECONDS});
  EXPECT_EQ(balancer_.Send(later4).verdict, LB_FORWARD);

  const auto v6 = [](uint16_t offset, bool more) {
    return Ethernet(
        {},
        Ip(V6(), Extension(kHopByHop, Fragment6(0xabcd1234, offset, more, Tcp({}, "some bytes")))));
  };
  EXPECT_EQ(balancer_.Send(v6(0, true)).verdict, LB_FORWARD);
  const Explanation six = Explain(balancer_, v6(4, false));
  EXPECT_EQ(six.decision.verdict, "forward");
  ASSERT_TRUE(six.fragment && six.fragment->known);
  EXPECT_EQ(six.fragment->id, 0xabcd1234u);
}

// Also of those that are not plain; and what is skipped goes the same way.
TEST_F(ExplainTest, ACaptureNotesOneOfSoManyPackets) {
  const Bytes plain = Ethernet({}, Ip(V4(), Tcp({}, "hello")));
  const Bytes tagged = Tagged(plain, {0x81000007});
  const dataplane::Forwarder& forwarder = balancer_.forwarder();
  const auto tracing = dataplane::TracingProgram::Load(
      forwarder.config(), forwarder.maps(), forwarder.prefix_maps(), {.every = 4, .rate = 100'000});
  ASSERT_TRUE(tracing.ok()) << Message(tracing.status());
  ASSERT_TRUE(tracing->program().AddPort(kIngressInterface).ok());
  // The countdown is one of each CPU.
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  for (int i = 0; i < 16; ++i) {
    const Bytes& frame = i % 3 == 0 ? tagged : plain;
    const auto run = tracing->program().TestRun(frame, kIngressInterface);
    ASSERT_TRUE(run.ok()) << Message(run.status());
    const Outcome outcome = balancer_.Send(frame);
    EXPECT_EQ(run->action, outcome.action) << i;
    EXPECT_TRUE(SameBytes(outcome.out, run->out)) << i;
  }
  EXPECT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
  std::vector<uint8_t> verdicts;
  EXPECT_TRUE(tracing
                  ->Drain([&](std::span<const uint8_t> bytes) {
                    lb_sample sample{};
                    std::memcpy(&sample, bytes.data(), sizeof(sample));
                    verdicts.push_back(sample.verdict);
                    EXPECT_NE(sample.trace.real, 0u);
                  })
                  .ok());
  EXPECT_EQ(verdicts, std::vector<uint8_t>(4, LB_FORWARD));
}

TEST_F(ExplainTest, TheSourceRouteIsNamed) {
  Balancer balancer({}, LB_FEATURES);
  dataplane::Service service = MakeService(kWeb4, {Real4(1)});
  service.vip.source_routes = {{.name = "office",
                                .sources = {IpPrefix::Parse(kClient4.ToString() + "/32").value()},
                                .reals = {{.address = Real4(2)}}}};
  const model::Vip group = model::RouteVip(service.vip, service.vip.source_routes[0]);
  balancer.Serve({service, {group, std::make_shared<const model::Ring>(model::Ring(256, 1))}});
  const Explanation explanation = Explain(balancer, Ethernet({}, Ip(V4(), Tcp({}))));
  EXPECT_EQ(explanation.decision.vip, kWeb4);
  EXPECT_EQ(explanation.decision.route, model::RouteNumber("office"));
  EXPECT_EQ(explanation.decision.real, Real4(2));
}

// Two runs of the program, between which a rate may let the packet through again.
TEST_F(ExplainTest, ARateThatIsExceededIsExplained) {
  const Bytes syn = Flow(0, kWeb4);
  for (uint32_t rate = 10; rate <= 100; rate += 10) {
    Balancer balancer({}, LB_FEATURE_SOURCES);
    dataplane::Service service = MakeService(kWeb4, {Real4(1)});
    service.vip.sources.new_flows = {.per_second = rate, .burst = 1};
    balancer.Serve({service});
    while (balancer.Send(syn).verdict == LB_FORWARD) {
    }
    const auto explanation = dataplane::Explain(balancer.forwarder(), syn, 0);
    ASSERT_TRUE(explanation.ok()) << rate << ": " << explanation.status();
    const std::string_view verdict = explanation->decision.verdict;
    EXPECT_TRUE(verdict == "forward" || verdict == "vip_rate_limited") << verdict;
    EXPECT_EQ(explanation->xdp_action, verdict == "forward" ? XDP_TX : XDP_DROP);
  }
}

TEST_F(ExplainTest, NothingIsLeftBehind) {
  const auto before = Tables(balancer_);
  const auto situations = Situations();
  for (size_t i = 0; i < situations.size(); i += 6) Explain(balancer_, situations[i].frame);
  EXPECT_EQ(Tables(balancer_), before);
}

TEST_F(ExplainTest, AChangingSlotIsExplainedAndRecordsNothing) {
  Balancer balancer;
  const Bytes syn = Flow(0, kWeb4);
  const Bytes ack = Flow(0, kWeb4, 0x10);
  balancer.Serve({MakeService(kWeb4, {Real4(1)})});
  EXPECT_EQ(Explain(balancer, syn).decision.slot->state, SlotState::kStable);
  // Every slot goes from the first to the second.
  balancer.Serve({MakeService(kWeb4, {Real4(1), Real4(2)}, model::Ring(256, 2))});
  const auto before = Tables(balancer);
  const Explanation opens = Explain(balancer, syn);
  const Explanation goes_on = Explain(balancer, ack);
  EXPECT_EQ(Tables(balancer), before);
  EXPECT_EQ(opens.decision.slot->state, SlotState::kChanging);
  EXPECT_EQ(opens.decision.slot->owner, Real4(1));
  EXPECT_EQ(opens.decision.slot->next, Real4(2));
  EXPECT_EQ(opens.decision.real, Real4(2));
  EXPECT_EQ(opens.decision.slot->recorded, "inserted");
  EXPECT_FALSE(opens.known);
  EXPECT_EQ(goes_on.decision.real, Real4(1));

  EXPECT_EQ(RealOf(balancer.Send(syn).out), Real4(2));
  const Explanation known = Explain(balancer, ack);
  EXPECT_EQ(known.decision.real, Real4(2));
  ASSERT_TRUE(known.known);
  EXPECT_EQ(known.known->real, Real4(2));
  EXPECT_EQ(known.decision.slot->recorded, "");
  EXPECT_EQ(RealOf(balancer.Send(ack).out), Real4(2));
}

TEST_F(ExplainTest, TheHashAndSlotAreThoseOfTheFlow) {
  const Explanation explanation = Explain(balancer_, Flow(7, kWeb4));
  ASSERT_TRUE(explanation.decision.slot);
  const uint64_t hash = FlowHash(balancer_.settings().hash_key, 7, kWeb4);
  EXPECT_EQ(explanation.decision.slot->hash, hash);
  EXPECT_EQ(explanation.decision.slot->slots, 256u);
  EXPECT_EQ(explanation.decision.slot->number, hash >> 56);
}

}  // namespace
}  // namespace lb::testing
