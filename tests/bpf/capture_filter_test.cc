// SPDX-License-Identifier: Apache-2.0
// What a capture takes, and what it leaves: by filters that the loaded program applies.
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lbd/dataplane/capture.h"
#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

using dataplane::CaptureFilter;
using dataplane::CaptureReader;
using dataplane::Decision;
using dataplane::TracingProgram;

constexpr uint32_t kPlenty = 100'000;  // a rate that no test reaches

const IpAddress kNear4 = Address("10.1.2.3");
const IpAddress kNext4 = Address("10.1.2.4");             // other in its last byte
const IpAddress kOther4 = Address("11.1.2.3");            // in its first
const IpAddress kNear6 = Address("2001:db8:9::a01:203");  // the last bytes of kNear4
const IpAddress kNext6 = Address("2001:db8:9::a01:204");
const IpAddress kOther6 = Address("2001:db8:8::a01:203");

Bytes Tcp4(const TcpHeader& tcp, const IpAddress& source = kClient4,
           const IpAddress& destination = kVip4) {
  return Ethernet({}, Ip({.source = source, .destination = destination}, Tcp(tcp)));
}

Bytes Tcp6(const TcpHeader& tcp, const IpAddress& source = kClient6,
           const IpAddress& destination = kVip6) {
  return Tcp4(tcp, source, destination);
}

Bytes From(const char* source) {
  const IpAddress address = Address(source);
  return Tcp4({}, address, address.is_v4() ? kVip4 : kVip6);
}

Bytes To(const char* destination) {
  const IpAddress address = Address(destination);
  return Tcp4({}, address.is_v4() ? kClient4 : kClient6, address);
}

Bytes Udp4(const UdpHeader& udp) {
  return Ethernet({}, Ip({.source = kClient4, .destination = kVip4}, Udp(udp)));
}

Bytes Sctp4(std::optional<uint16_t> length = {}) {
  return Ethernet({}, Ip({.source = kClient4, .destination = kVip4, .length = length},
                         Opaque(132, std::string(20, 'x'))));
}

// A router's ICMP error about an answer of the VIP's to a client, cut after so many bytes of it.
Bytes Error4(uint16_t vip_port, size_t quoted = 28) {
  const Bytes answer = Ip({.source = kVip4, .destination = kClient4},
                          Tcp({.source = vip_port, .destination = kClientPort}))
                           .bytes;
  return Ethernet(
      {}, Ip({.source = Address("203.0.113.1"), .destination = kVip4},
             Icmp({.type = 3, .code = 1}, {reinterpret_cast<const char*>(answer.data()), quoted})));
}

// An echo request with this checksum.
Bytes EchoWithChecksum(uint16_t checksum) {
  return Ethernet(
      {}, Ip({.source = kClient4, .destination = kVip4},
             Icmp({.id = static_cast<uint16_t>(0xffff - 0x0800 - checksum), .sequence = 0})));
}

CaptureFilter ByReal(const IpAddress& real) { return {.real = real}; }
CaptureFilter ByPrefix(const char* prefix) { return {.prefix = IpPrefix::Parse(prefix).value()}; }
CaptureFilter ByPort(uint16_t port) { return {.port = port}; }
CaptureFilter ByVip(const char* key) { return {.vip = Key(key)}; }
CaptureFilter ByVerdict(std::vector<uint32_t> verdicts) {
  return {.verdicts = std::move(verdicts)};
}
CaptureFilter ByFlow(const CaptureFilter::Flow& flow) { return {.flow = flow}; }

const CaptureFilter::Flow kFlow4 = {kClient4, kVip4, kClientPort, 80, 6};
const CaptureFilter::Flow kFlow6 = {kClient6, kVip6, kClientPort, 80, 6};

// One packet that the filter takes, and one that it would if one detail were wrong.
struct Case {
  const char* name;
  CaptureFilter filter;
  Bytes taken;
  Bytes left;
};

std::vector<Case> Cases() {
  const Bytes echo = Ethernet({}, Ip({.source = kClient4, .destination = kVip4}, Icmp({})));
  const Bytes echo6 =
      Ethernet({}, Ip({.source = kClient6, .destination = kVip6}, Icmp6({.type = kEchoRequest6})));
  const Bytes echo_elsewhere =
      Ethernet({}, Ip({.source = kClient4, .destination = Address("192.0.2.81")}, Icmp({})));
  const IpHeader broken = {.source = kClient4, .destination = kVip4, .header_words = 4};
  const IpHeader later = {.source = kClient4, .destination = kVip4, .id = 7, .fragment = 4};
  const Bytes arp = Ethernet({.type = 0x0806}, Opaque(0, std::string(28, 'x')));
  return {
      {"real, v4", ByReal(kNear4), Tcp4({}), Tcp4({.destination = 81})},
      {"real, v4, first byte", ByReal(kNear4), Tcp4({}), Tcp4({.destination = 82})},
      {"real, v4 that ends like a v6", ByReal(kNear4), Tcp4({}), Tcp4({.destination = 83})},
      {"real, v6", ByReal(kNear6), Tcp4({.destination = 83}), Tcp4({.destination = 84})},
      {"real, v6, second word", ByReal(kNear6), Tcp4({.destination = 83}),
       Tcp4({.destination = 85})},
      {"real, v6 that ends like a v4", ByReal(kNear6), Tcp6({}), Tcp4({})},
      {"real, dropped before it", ByReal(kNear4), Tcp4({}), Tcp4({.destination = 86})},
      {"real, as a destination", ByReal(kNear4), Tcp4({}), To("10.1.2.3")},
      {"real and verdict",
       {.real = kNear4, .verdicts = {LB_FORWARD}},
       Tcp4({}),
       Ethernet({}, Ip({.source = kClient4, .destination = kVip4},
                       Tcp({.flags = 0x10}, std::string(1450, 'x'))))},

      {"source in /24", ByPrefix("198.51.100.0/24"), From("198.51.100.255"), From("198.51.101.0")},
      {"source in /25", ByPrefix("198.51.100.0/25"), From("198.51.100.127"),
       From("198.51.100.128")},
      {"source in /23", ByPrefix("198.51.100.0/23"), From("198.51.101.1"), From("198.51.102.1")},
      {"source in /2", ByPrefix("192.0.0.0/2"), From("198.51.100.7"),
       Tcp4({}, Address("100.64.0.1"), Address("100.64.0.2"))},
      {"source is /32", ByPrefix("198.51.100.7/32"), From("198.51.100.7"), From("198.51.100.6")},
      {"destination in /28", ByPrefix("192.0.2.80/28"), To("192.0.2.95"), To("192.0.2.96")},
      {"destination is /32", ByPrefix("192.0.2.80/32"), Tcp4({}), To("192.0.2.81")},
      {"all of v4", ByPrefix("0.0.0.0/0"), Tcp4({}), Tcp6({})},
      {"all of v4, and no IP", ByPrefix("0.0.0.0/0"), Tcp4({}), arp},
      {"v4 prefix, v6 that ends so", ByPrefix("10.1.2.0/24"), From("10.1.2.3"),
       From("2001:db8:9::a01:203")},
      {"source in /48", ByPrefix("2001:db8:c::/48"), From("2001:db8:c:ffff::1"),
       From("2001:db8:d::1")},
      {"source in /33", ByPrefix("2001:db8::/33"), From("2001:db8:7fff::1"),
       Tcp6({}, Address("2001:db8:8000::1"), Address("2001:db8:8000::2"))},
      {"source in /96", ByPrefix("2001:db8:c::/96"), From("2001:db8:c::ffff:ffff"),
       From("2001:db8:c::1:0:0")},
      {"source in /120", ByPrefix("2001:db8:c::100/120"), From("2001:db8:c::1ff"),
       From("2001:db8:c::200")},
      {"source is /128", ByPrefix("2001:db8:c::7/128"), From("2001:db8:c::7"),
       From("2001:db8:c::6")},
      {"destination in /64", ByPrefix("2001:db8:5::/64"), To("2001:db8:5::ffff"),
       To("2001:db8:5:1::80")},
      {"destination is /128", ByPrefix("2001:db8:5::80/128"), Tcp6({}), To("2001:db8:5::81")},
      {"v6 prefix, v4 that ends so", ByPrefix("2001:db8:9::a01:203/128"),
       From("2001:db8:9::a01:203"), From("10.1.2.3")},
      {"all of v6", ByPrefix("::/0"), Tcp6({}), Tcp4({})},
      {"all of v6, and no IP", ByPrefix("::/0"), Tcp6({}), arp},
      {"v6 prefix, which v4-mapped addresses are in", ByPrefix("::/64"), From("::7"), Tcp4({})},

      {"source port", ByPort(40000), Tcp4({.source = 40000}), Tcp4({.source = 40001})},
      {"source port, bytes swapped", ByPort(0x1234), Tcp4({.source = 0x1234}),
       Tcp4({.source = 0x3412})},
      {"destination port", ByPort(81), Tcp4({.destination = 81}), Tcp4({.destination = 80})},
      {"destination port, bytes swapped", ByPort(80), Tcp4({.destination = 80}),
       Tcp4({.destination = 0x5000})},
      {"port of UDP over v6", ByPort(53),
       Ethernet({}, Ip({.source = kClient6, .destination = kVip6}, Udp({.destination = 53}))),
       Ethernet({}, Ip({.source = kClient6, .destination = kVip6}, Udp({.destination = 54})))},
      {"port, where there are none", ByPort(80), Tcp4({}), EchoWithChecksum(80)},

      {"VIP, port", ByVip("192.0.2.80:80/tcp"), Tcp4({}), Tcp4({.destination = 81})},
      {"VIP, bytes of the port swapped", ByVip("192.0.2.80:80/tcp"), Tcp4({}),
       Tcp4({.destination = 0x5000})},
      {"VIP, protocol", ByVip("192.0.2.80:80/tcp"), Tcp4({}), Udp4({.destination = 80})},
      {"VIP, address", ByVip("192.0.2.80:80/tcp"), Tcp4({}), To("192.0.2.81")},
      {"VIP, answers", ByVip("192.0.2.80:80/tcp"), Tcp4({}),
       Tcp4({.source = 80, .destination = kClientPort}, kVip4, kClient4)},
      {"VIP of both protocols", ByVip("192.0.2.80:80/tcp_udp"), Udp4({.destination = 80}),
       Udp4({.destination = 81})},
      {"VIP of every port", ByVip("192.0.2.80:any/udp"), Udp4({.destination = 65535}),
       Tcp4({.destination = 65535})},
      {"VIP, first of a range", ByVip("192.0.2.80:9000-9010/tcp"), Tcp4({.destination = 9000}),
       Tcp4({.destination = 8999})},
      {"VIP, last of a range", ByVip("192.0.2.80:9000-9010/tcp"), Tcp4({.destination = 9010}),
       Tcp4({.destination = 9011})},
      {"VIP, prefix", ByVip("192.0.2.64/27:80/tcp"), To("192.0.2.95"), To("192.0.2.96")},
      {"VIP, v6", ByVip("[2001:db8:5::80]:80/tcp"), Tcp6({}), To("2001:db8:5::81")},
      {"VIP, v6 prefix", ByVip("[2001:db8:5::/64]:80/tcp"), To("2001:db8:5::ffff"),
       To("2001:db8:5:1::80")},

      {"VIP of every port, but for that of one", ByVip("192.0.2.80:any/tcp"),
       Tcp4({.destination = 8080}), Tcp4({})},
      {"VIP of a prefix, but for that of one address", ByVip("192.0.2.64/27:80/tcp"),
       To("192.0.2.95"), Tcp4({})},
      {"VIP of both protocols, but for that of one", ByVip("192.0.2.80:80/tcp_udp"),
       Udp4({.destination = 80}), Tcp4({})},
      {"VIP of every port, which takes it", ByVip("192.0.2.200:any/tcp_udp"), To("192.0.2.200"),
       Tcp4({.destination = 443}, kClient4, Address("192.0.2.200"))},
      {"VIP of a range, which takes it", ByVip("192.0.2.200:400-450/tcp"),
       Tcp4({.destination = 443}, kClient4, Address("192.0.2.200")), To("192.0.2.200")},
      {"VIP that is none, in one of every port", ByVip("192.0.2.200:81/tcp"),
       Tcp4({.destination = 81}, kClient4, Address("192.0.2.200")), To("192.0.2.200")},
      {"VIP, a source route of it", ByVip("192.0.2.200:any/tcp_udp"),
       Tcp4({}, Address("203.0.113.9"), Address("192.0.2.200")), To("192.0.2.201")},
      {"VIP, echo", ByVip("192.0.2.80:80/tcp"), echo, echo_elsewhere},
      {"VIP of both protocols, echo", ByVip("192.0.2.80:80/tcp_udp"), echo, echo_elsewhere},
      {"VIP of every port, echo", ByVip("192.0.2.80:any/tcp_udp"), echo, echo_elsewhere},
      {"VIP, v6 echo", ByVip("[2001:db8:5::80]:80/tcp"), echo6, echo},
      {"VIP, error about a flow", ByVip("192.0.2.80:80/tcp"), Error4(80), Error4(81)},
      {"VIP of every port, error about a flow", ByVip("192.0.2.80:any/tcp_udp"), Error4(8080),
       Error4(80)},
      {"VIP, error that quotes too little", ByVip("192.0.2.80:80/tcp"), Error4(80, 24), Error4(81)},
      {"VIP, error that quotes nothing", ByVip("192.0.2.80:80/udp"), Error4(80, 8), Error4(80)},
      {"VIP, ports not read", ByVip("192.0.2.80:80/tcp"), Ethernet({}, Ip(broken, Tcp({}))),
       Ethernet({}, Ip(broken, Udp({})))},
      {"VIP, cut off", ByVip("192.0.2.80:80/tcp"),
       Ethernet({}, Ip({.source = kClient4, .destination = kVip4, .length = 30}, Tcp({}))),
       Ethernet({}, Ip({.source = kClient4, .destination = kVip4, .length = 26}, Udp({})))},
      {"VIP, fragment of an unknown packet", ByVip("192.0.2.80:80/udp"),
       Ethernet({}, Ip(later, Opaque(17, "fragment"))),
       Ethernet({}, Ip(later, Opaque(6, "fragment")))},
      {"VIP, too many extensions", ByVip("[2001:db8:5::80]:80/tcp"),
       Ethernet({}, Ip({.source = kClient6, .destination = kVip6},
                       Extension(kHopByHop, Opaque(kHopByHop, std::string(8 * 40, '\0'))))),
       Tcp6({.destination = 81})},
      {"VIP, another protocol", ByVip("192.0.2.80:any/tcp_udp"), Sctp4(400), Sctp4()},

      {"flow, source port", ByFlow(kFlow4), Tcp4({}), Tcp4({.source = kClientPort + 1})},
      {"flow, destination port", ByFlow(kFlow4), Tcp4({}), Tcp4({.destination = 81})},
      {"flow, source", ByFlow(kFlow4), Tcp4({}), From("198.51.100.8")},
      {"flow, destination", ByFlow(kFlow4), Tcp4({}), To("192.0.2.81")},
      {"flow, protocol", ByFlow(kFlow4), Tcp4({}), Udp4({.destination = 80})},
      {"flow, the other way", ByFlow(kFlow4), Tcp4({}),
       Tcp4({.source = 80, .destination = kClientPort}, kVip4, kClient4)},
      {"flow, ports the other way", ByFlow(kFlow4), Tcp4({}),
       Tcp4({.source = 80, .destination = kClientPort})},
      {"flow, v6", ByFlow(kFlow6), Tcp6({}), From("2001:db8:c::8")},

      {"verdict, first", ByVerdict({LB_FORWARD}), Tcp4({}), Tcp4({.destination = 86})},
      {"verdict, drop", ByVerdict({LB_NO_REAL}), Tcp4({.destination = 86}), Tcp4({})},
      {"verdict, any of two", ByVerdict({LB_NO_REAL, LB_NOT_VIP}), To("192.0.2.81"), Tcp4({})},
      {"verdict, reply", ByVerdict({LB_ECHO_REPLY}), echo, Tcp4({})},
      {"verdict, no IP", ByVerdict({LB_NOT_IP}), arp, To("192.0.2.81")},

      {"prefix and port",
       {.prefix = IpPrefix::Parse("198.51.100.0/24").value(), .port = 81},
       Tcp4({.destination = 81}),
       Tcp4({.destination = 81}, Address("198.51.101.7"))},
      {"VIP and real",
       {.vip = Key("192.0.2.80:80/tcp"), .real = kNear4},
       Tcp4({}),
       Tcp6({.destination = 81})},
  };
}

class CaptureFilterTest : public ::testing::Test {
 protected:
  CaptureFilterTest() : balancer_({}, LB_FEATURES) {
    const auto serve = [](const IpAddress& vip, uint16_t port, std::vector<IpAddress> reals) {
      return MakeService({vip, port, model::Protocol::kTcp}, reals);
    };
    const IpAddress many = Address("192.0.2.200");
    dataplane::Service every =
        MakeService({many, 0, model::Protocol::kTcpUdp}, std::vector{kNear4});
    every.vip.source_routes = {{.name = "office",
                                .sources = {IpPrefix::Parse("203.0.113.0/24").value()},
                                .reals = {{.address = kNext4}}}};
    const model::Vip route = model::RouteVip(every.vip, every.vip.source_routes[0]);
    balancer_.Serve({every, MakeService(route.key, std::vector{kNext4}),
                     MakeService(Key("192.0.2.200:400-450/tcp"), std::vector{kNear4}),
                     serve(kVip4, 80, {kNear4}), serve(kVip4, 81, {kNext4}),
                     serve(kVip4, 82, {kOther4}), serve(kVip4, 83, {kNear6}),
                     serve(kVip4, 84, {kNext6}), serve(kVip4, 85, {kOther6}), serve(kVip4, 86, {}),
                     serve(kVip6, 80, {kNear6}), serve(kVip6, 81, {kNear4})});
    // Counters of the program are those of each CPU.
    EXPECT_EQ(sched_getaffinity(0, sizeof(before_), &before_), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    EXPECT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  }
  ~CaptureFilterTest() override { sched_setaffinity(0, sizeof(before_), &before_); }

  struct Capture {
    std::unique_ptr<TracingProgram> program;
    std::unique_ptr<CaptureReader> reader;

    void Send(const Bytes& frame) const {
      const auto run = program->program().TestRun(frame, kIngressInterface);
      EXPECT_TRUE(run.ok()) << Message(run.status());
    }
    std::vector<Decision> Taken() const {
      std::vector<Decision> taken;
      EXPECT_TRUE(reader->Drain([&](const Decision& one) { taken.push_back(one); }).ok());
      return taken;
    }
  };

  Capture Start(const CaptureFilter& filter) {
    const dataplane::Forwarder& forwarder = balancer_.forwarder();
    auto program =
        TracingProgram::Load(forwarder.config(), forwarder.maps(), forwarder.prefix_maps(), filter);
    EXPECT_TRUE(program.ok()) << Message(program.status());
    Capture capture;
    capture.program = std::make_unique<TracingProgram>(*std::move(program));
    EXPECT_TRUE(capture.program->program().AddPort(kIngressInterface).ok());
    auto reader = CaptureReader::Create(*capture.program, forwarder.maps());
    EXPECT_TRUE(reader.ok()) << Message(reader.status());
    capture.reader = *std::move(reader);
    return capture;
  }

  Balancer balancer_;
  cpu_set_t before_;
};

TEST_F(CaptureFilterTest, EachFilterTakesWhatItNamesAndNothingNearIt) {
  for (Case& one : Cases()) {
    SCOPED_TRACE(one.name);
    one.filter.rate = kPlenty;
    const Capture capture = Start(one.filter);
    capture.Send(one.left);
    EXPECT_EQ(capture.Taken().size(), 0u) << "takes too much";
    capture.Send(one.taken);
    const auto taken = capture.Taken();
    ASSERT_EQ(taken.size(), 1u) << "takes too little";
    if (taken[0].outgoing) continue;  // what is shown is the answer
    EXPECT_TRUE(SameBytes(one.taken, taken[0].frame));
  }
}

TEST_F(CaptureFilterTest, WithoutAFilterEveryPacketIsTakenOnce) {
  const Capture capture = Start({.rate = kPlenty});
  size_t sent = 0;
  for (const Case& one : Cases()) {
    capture.Send(one.taken);
    capture.Send(one.left);
    sent += 2;
  }
  EXPECT_EQ(capture.Taken().size(), sent);
  EXPECT_EQ(capture.reader->limited() + capture.reader->lost(), 0u);
}

// Of every frame as many bytes, whatever becomes of it; its length is told in full.
TEST_F(CaptureFilterTest, SnapCutsFrames) {
  const std::string text(1000, 'x');
  const IpHeader header{.source = kClient4, .destination = kVip4};
  const Bytes forwarded = Ethernet({}, Ip(header, Tcp({}, text)));
  const Bytes frames[] = {forwarded, Tagged(forwarded, {0x81000007}),
                          Tagged(forwarded, {0x88a80007, 0x81000008}),
                          Ethernet({}, Ip(header, Tcp({.destination = 86}, text))),
                          Ethernet({.type = 0x88cc}, Opaque(0, text))};
  for (const uint32_t snap : {64u, 65u, 1000u}) {
    const Capture capture = Start({.rate = kPlenty, .snap = snap});
    for (const Bytes& frame : frames) capture.Send(frame);
    const auto taken = capture.Taken();
    ASSERT_EQ(taken.size(), std::size(frames)) << snap;
    for (size_t i = 0; i < taken.size(); ++i) {
      EXPECT_TRUE(SameBytes(Truncated(frames[i], snap), taken[i].frame)) << snap << ", " << i;
      EXPECT_EQ(taken[i].frame_length, frames[i].size()) << snap << ", " << i;
    }
  }
}

TEST_F(CaptureFilterTest, AFrameShorterThanSnapIsWhole) {
  const Capture capture = Start({.rate = kPlenty, .snap = 64});
  const Bytes frame = Tcp4({});
  ASSERT_LT(frame.size(), 64u);
  capture.Send(frame);
  const auto taken = capture.Taken();
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_TRUE(SameBytes(frame, taken[0].frame));
  EXPECT_EQ(taken[0].frame_length, frame.size());
}

// However few: one CPU may use up what there is for all.
TEST_F(CaptureFilterTest, WhatIsBeyondTheRateIsCountedAsLimited) {
  constexpr size_t kSent = 4000;
  for (const uint32_t rate : {1u, 8u, 1000u}) {
    const Capture capture = Start({.port = 81, .rate = rate});
    const auto begin = std::chrono::steady_clock::now();
    for (size_t i = 0; i < kSent; ++i) {
      capture.Send(Tcp4({.destination = 81}));
      if (i % 4 == 0) capture.Send(Tcp4({.destination = 80}));  // not wanted: not limited either
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    const auto taken = static_cast<double>(capture.Taken().size());
    EXPECT_EQ(taken + static_cast<double>(capture.reader->limited()), kSent) << rate;
    EXPECT_EQ(capture.reader->lost(), 0u);
    EXPECT_LE(taken, 1 + rate * (1. / 8 + seconds.count())) << rate;
    EXPECT_GE(taken, std::max(1., rate / 8.)) << rate << ": far less than was asked for";
  }
}

// The countdown is one of all packets, not of those that the filter wants.
TEST_F(CaptureFilterTest, OneOfSoManyIsChosenBeforeTheFilter) {
  const Capture capture = Start({.port = 81, .every = 2, .rate = kPlenty});
  for (int i = 0; i < 8; ++i) {
    capture.Send(Tcp4({.destination = 80}));  // looked at
    capture.Send(Tcp4({.destination = 81}));
  }
  EXPECT_EQ(capture.Taken().size(), 0u);
  capture.Send(Tcp4({.destination = 80}));
  for (int i = 0; i < 8; ++i) {
    capture.Send(Tcp4({.destination = 80}));
    capture.Send(Tcp4({.destination = 81}));  // looked at
  }
  EXPECT_EQ(capture.Taken().size(), 8u);
}

}  // namespace
}  // namespace lb::testing
