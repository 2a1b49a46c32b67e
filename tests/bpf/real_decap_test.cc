// SPDX-License-Identifier: Apache-2.0
// The real server's decapsulation program: frames in, outcome and exact frames out.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lb/decap_abi.h"
#include "lbd/base/ip_prefix.h"
#include "real_decap.skel.h"
#include "tests/support/packet_builder.h"

namespace lb::testing {
namespace {

constexpr uint8_t kIpip = 4;
constexpr uint8_t kIpv6 = 41;
constexpr uint8_t kCe = 3;
constexpr uint8_t kEct0 = 2;
constexpr uint8_t kEct1 = 1;
constexpr uint16_t kGuePort = 6080;

const IpAddress kBalancer4 = Address("172.16.0.1");
const IpAddress kBalancer6 = Address("100::1");
const IpAddress kOther4 = Address("10.99.0.1");
const IpAddress kOther6 = Address("fd99::1");

struct Result {
  std::optional<lb_decap_outcome> outcome;
  Bytes out;
};

// The loaded program, for a real with both addresses and both VIPs.
class RealDecapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    skeleton_.reset(real_decap_bpf::open_and_load());
    ASSERT_NE(skeleton_, nullptr) << "loading BPF programs needs root";
    Know(Real4(1), LB_DECAP_TUNNEL);
    Know(Real6(1), LB_DECAP_TUNNEL);
    Know(kVip4, LB_DECAP_VIP | LB_DECAP_ADDED);
    Know(kVip6, LB_DECAP_VIP);
    for (const char* vip : {"203.0.113.0/24", "2001:db8:77::/48"}) {
      const IpPrefix prefix = IpPrefix::Parse(vip).value();
      lb_decap_prefix_key key{.prefix_length = static_cast<uint32_t>(prefix.length())};
      if (prefix.is_v4()) key.prefix_length += 96;
      std::memcpy(key.address, prefix.address().mapped().data(), sizeof(key.address));
      const uint32_t flags = LB_DECAP_VIP;
      ASSERT_EQ(
          bpf_map_update_elem(bpf_map__fd(skeleton_->maps.lb_decap_prefix), &key, &flags, BPF_ANY),
          0);
    }
  }

  // Runs the program, which must count the frame once and pass it.
  Result Receive(const Bytes& frame) {
    const auto before = Counts();
    Bytes out(frame.size() + 64);
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_out = out.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()),
                .data_size_out = static_cast<uint32_t>(out.size()), .repeat = 1);
    const int error = bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.real_decap), &run);
    EXPECT_EQ(error, 0);
    out.resize(run.data_size_out);
    Result result{std::nullopt, std::move(out)};
    const auto after = Counts();
    for (size_t i = 0; i < after.size(); ++i) {
      if (after[i] == before[i]) continue;
      EXPECT_EQ(after[i], before[i] + 1);
      EXPECT_FALSE(result.outcome.has_value()) << "counted twice";
      result.outcome = static_cast<lb_decap_outcome>(i);
    }
    EXPECT_EQ(run.retval,
              static_cast<uint32_t>(result.outcome == LB_DECAP_COUNT_ECN ? XDP_DROP : XDP_PASS));
    return result;
  }

  void ExpectUntouched(const Bytes& frame, lb_decap_outcome outcome) {
    const Result result = Receive(frame);
    EXPECT_EQ(result.outcome, outcome);
    EXPECT_TRUE(SameBytes(frame, result.out));
  }

 private:
  struct Destroy {
    void operator()(real_decap_bpf* skeleton) const { real_decap_bpf::destroy(skeleton); }
  };

  void Know(const IpAddress& address, uint32_t flags) {
    ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(skeleton_->maps.lb_decap_ip), address.mapped().data(),
                                  &flags, BPF_ANY),
              0);
  }

  std::vector<uint64_t> Counts() const {
    std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    std::vector<uint64_t> counts;
    for (uint32_t i = 0; i < LB_DECAP_OUTCOME_SLOTS; ++i) {
      EXPECT_EQ(
          bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.lb_decap_count), &i, per_cpu.data()), 0);
      counts.push_back(std::accumulate(per_cpu.begin(), per_cpu.end(), uint64_t{0}));
    }
    return counts;
  }

  std::unique_ptr<real_decap_bpf, Destroy> skeleton_;
};

Segment Inner4(uint8_t tos = 0) {
  return Ip({.source = kClient4, .destination = kVip4, .tos = tos}, Tcp({}, "GET /"));
}
Segment Inner6(uint8_t tos = 0) {
  return Ip({.source = kClient6, .destination = kVip6, .tos = tos, .flow_label = 0x12345},
            Tcp({}, "GET /"));
}
Segment Outer4(const Segment& inner, uint8_t tos = 0) {
  return Ip({.source = kBalancer4, .destination = Real4(1), .tos = tos}, inner);
}
Segment Outer6(const Segment& inner, uint8_t tos = 0) {
  return Ip({.source = kBalancer6, .destination = Real6(1), .tos = tos}, inner);
}

Segment Gue(const Segment& inner, uint16_t port = kGuePort) {
  Segment udp = Udp({.source = 50000, .destination = port},
                    std::string(inner.bytes.begin(), inner.bytes.end()));
  return udp.WithChecksum(0);
}

Segment Gre(const Segment& inner, uint16_t flags = 0) {
  const uint16_t type = inner.protocol == kIpip ? 0x0800 : 0x86dd;
  Bytes bytes(4 + inner.bytes.size());
  for (size_t i = 0; i < 4; ++i) bytes[i] = ((uint32_t{flags} << 16 | type) >> (24 - 8 * i)) & 0xff;
  std::ranges::copy(inner.bytes, bytes.begin() + 4);
  return {.protocol = 47, .bytes = bytes};
}

TEST_F(RealDecapTest, GueAndGreAreUnwrappedInEveryMixOfFamilies) {
  for (const Segment& inner : {Inner4(), Inner6()}) {
    const auto outcome = inner.protocol == kIpip ? LB_DECAP_COUNT_V4 : LB_DECAP_COUNT_V6;
    for (const Segment& outer :
         {Outer4(Gue(inner)), Outer6(Gue(inner)), Outer4(Gre(inner)), Outer6(Gre(inner))}) {
      const Result result = Receive(Ethernet({}, outer));
      EXPECT_EQ(result.outcome, outcome);
      EXPECT_TRUE(SameBytes(Ethernet({}, inner), result.out));
    }
  }
}

TEST_F(RealDecapTest, OtherUdpAndGreIsLeftAlone) {
  const auto expect_passed = [&](const Segment& outer) {
    ExpectUntouched(Ethernet({}, outer), LB_DECAP_COUNT_PASSED);
  };
  expect_passed(Outer4(Gue(Inner4(), 53)));
  expect_passed(Outer6(Gue(Inner4(), 5555)));
  expect_passed(Outer4(Udp({.destination = kGuePort}, std::string("\x00\x04\x00\x00"
                                                                  "abcd",
                                                                  8))));
  expect_passed(Outer4(Udp({.destination = kGuePort}, "")));
  expect_passed(Outer4(Gre(Inner4(), 0x2000)));  // with a key
  Segment ethernet_in_gre = Gre(Inner4());
  ethernet_in_gre.bytes[2] = 0x65;
  ethernet_in_gre.bytes[3] = 0x58;
  expect_passed(Outer4(ethernet_in_gre));
  expect_passed(Ip({.source = kBalancer4, .destination = kOther4}, Gue(Inner4())));
  // A fragment of UDP may be of anything.
  expect_passed(
      Ip({.source = kBalancer4, .destination = Real4(1), .fragment = 0x2000}, Gue(Inner4())));
}

TEST_F(RealDecapTest, LyingGueIsMalformed) {
  Segment longer = Gue(Inner4());
  longer.bytes[5] += 1;  // UDP length
  ExpectUntouched(Ethernet({}, Outer4(longer)), LB_DECAP_COUNT_MALFORMED);
  Segment shorter = Gue(Inner4());
  shorter.bytes[4] = 0;
  shorter.bytes[5] = 7;
  ExpectUntouched(Ethernet({}, Outer4(shorter)), LB_DECAP_COUNT_MALFORMED);
  Segment version5 = Gue(Inner4());
  version5.bytes[8] = 0x55;
  ExpectUntouched(Ethernet({}, Outer4(version5)), LB_DECAP_COUNT_MALFORMED);
}

TEST_F(RealDecapTest, AddressesOfAPrefixAreVips) {
  const auto receive = [&](const char* to) {
    const IpAddress vip = Address(to);
    const Segment inner =
        Ip({.source = vip.is_v4() ? kClient4 : kClient6, .destination = vip}, Tcp({}));
    return Receive(Ethernet({}, Outer4(inner))).outcome;
  };
  EXPECT_EQ(receive("203.0.113.0"), LB_DECAP_COUNT_V4);
  EXPECT_EQ(receive("203.0.113.255"), LB_DECAP_COUNT_V4);
  EXPECT_EQ(receive("203.0.114.0"), LB_DECAP_COUNT_PASSED);
  EXPECT_EQ(receive("2001:db8:77:1::5"), LB_DECAP_COUNT_V6);
  EXPECT_EQ(receive("2001:db8:78::5"), LB_DECAP_COUNT_PASSED);
}

// RFC 6040, figure 4.
TEST_F(RealDecapTest, EcnBehindTheTunnelIsThatOfTheRfc) {
  constexpr uint8_t kDrop = 0xff;
  constexpr uint8_t kBehind[4][4] = {
      // outer: Not-ECT, ECT(1), ECT(0), CE
      {0, 0, 0, kDrop},            // inner Not-ECT
      {kEct1, kEct1, kEct1, kCe},  // ECT(1)
      {kEct0, kEct1, kEct0, kCe},  // ECT(0)
      {kCe, kCe, kCe, kCe},
  };
  for (uint8_t inner = 0; inner < 4; ++inner) {
    for (uint8_t outer = 0; outer < 4; ++outer) {
      const uint8_t behind = kBehind[inner][outer];
      const uint8_t dscp = 0xb8;
      for (const auto& make : {Inner4, Inner6}) {
        for (const auto& wrap : {Outer4, Outer6}) {
          const Bytes in = Ethernet({}, wrap(Gre(make(dscp | inner)), outer));
          const Result result = Receive(in);
          if (behind == kDrop) {
            EXPECT_EQ(result.outcome, LB_DECAP_COUNT_ECN);
            continue;
          }
          EXPECT_TRUE(SameBytes(Ethernet({}, make(dscp | behind)), result.out));
        }
      }
    }
  }
}

TEST_F(RealDecapTest, EveryMixOfFamiliesIsUnwrapped) {
  const struct {
    const char* name;
    Segment in, out;
    lb_decap_outcome outcome;
  } cases[] = {
      {"4in4", Outer4(Inner4()), Inner4(), LB_DECAP_COUNT_V4},
      {"6in4", Outer4(Inner6()), Inner6(), LB_DECAP_COUNT_V6},
      {"4in6", Outer6(Inner4()), Inner4(), LB_DECAP_COUNT_V4},
      {"6in6", Outer6(Inner6()), Inner6(), LB_DECAP_COUNT_V6},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const Result result = Receive(Ethernet({}, c.in));
    EXPECT_EQ(result.outcome, c.outcome);
    EXPECT_TRUE(SameBytes(Ethernet({}, c.out), result.out));
  }
}

TEST_F(RealDecapTest, OptionsOfTheOuterHeaderGoWithIt) {
  const Segment outer =
      Ip({.source = kBalancer4, .destination = Real4(1), .options = Bytes(8, 1)}, Inner4());
  const Result result = Receive(Ethernet({}, outer));
  EXPECT_EQ(result.outcome, LB_DECAP_COUNT_V4);
  EXPECT_TRUE(SameBytes(Ethernet({}, Inner4()), result.out));
}

TEST_F(RealDecapTest, EthernetPaddingIsNoPartOfThePacket) {
  const Segment tiny = Ip({.source = kClient4, .destination = kVip4}, Udp({}));
  const Result result = Receive(Ethernet({.padding = 18}, Outer4(tiny)));
  EXPECT_EQ(result.outcome, LB_DECAP_COUNT_V4);
  EXPECT_TRUE(SameBytes(Ethernet({.padding = 18}, tiny), result.out));
}

TEST_F(RealDecapTest, CongestionMarkReachesInnerPacketsThatCanCarryIt) {
  const struct {
    const char* name;
    Segment in, out;
  } cases[] = {
      {"4in4", Outer4(Inner4(kEct0), kCe), Inner4(kCe)},
      {"6in4", Outer4(Inner6(kEct0), kCe), Inner6(kCe)},
      {"4in6", Outer6(Inner4(kEct0), kCe), Inner4(kCe)},
      {"6in6", Outer6(Inner6(kEct0), kCe), Inner6(kCe)},
      {"marked inside only", Outer4(Inner4(kCe), kEct0), Inner4(kCe)},
      {"no mark", Outer4(Inner4(kEct0), kEct0), Inner4(kEct0)},
      {"DSCP stays", Outer4(Inner4(0xb8 | kEct0), kCe), Inner4(0xb8 | kCe)},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_TRUE(SameBytes(Ethernet({}, c.out), Receive(Ethernet({}, c.in)).out));
  }
}

TEST_F(RealDecapTest, PacketsThatAreNotOursPassUntouched) {
  const struct {
    const char* name;
    Segment packet;
  } cases[] = {
      {"plain TCP to the host", Ip({.source = kClient4, .destination = Real4(1)}, Tcp({}))},
      {"plain TCP to the VIP", Inner4()},
      {"plain TCP to the VIP, IPv6", Inner6()},
      {"tunnel to another address", Ip({.source = kBalancer4, .destination = kOther4}, Inner4())},
      {"tunnel to another address, IPv6",
       Ip({.source = kBalancer6, .destination = kOther6}, Inner6())},
      {"tunnel to the VIP itself", Ip({.source = kBalancer4, .destination = kVip4}, Inner4())},
      {"another destination inside",
       Outer4(Ip({.source = kClient4, .destination = kOther4}, Tcp({})))},
      {"another destination inside, IPv6",
       Outer6(Ip({.source = kClient6, .destination = kOther6}, Tcp({})))},
      {"the host's own address inside",
       Outer4(Ip({.source = kClient4, .destination = Real4(1)}, Tcp({})))},
      {"GRE to the host", Ip({.source = kBalancer4, .destination = Real4(1)}, Opaque(47, "....."))},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    ExpectUntouched(Ethernet({}, c.packet), LB_DECAP_COUNT_PASSED);
  }
  ExpectUntouched(Ethernet({.type = 0x0806}, Opaque(0, "an ARP packet, more or less")),
                  LB_DECAP_COUNT_PASSED);
}

TEST_F(RealDecapTest, ContradictoryHeadersAreCountedAndPass) {
  const IpHeader outer4{.source = kBalancer4, .destination = Real4(1)};
  const IpHeader outer6{.source = kBalancer6, .destination = Real6(1)};
  const auto changed = [](IpHeader header, auto change) {
    change(header);
    return header;
  };
  const IpHeader inner4{.source = kClient4, .destination = kVip4};
  const IpHeader inner6{.source = kClient6, .destination = kVip6};
  const struct {
    const char* name;
    Segment packet;
  } cases[] = {
      {"outer version", Ip(changed(outer4, [](IpHeader& h) { h.version = 6; }), Inner4())},
      {"outer version 6", Ip(changed(outer6, [](IpHeader& h) { h.version = 4; }), Inner6())},
      {"outer IHL", Ip(changed(outer4, [](IpHeader& h) { h.header_words = 4; }), Inner4())},
      {"outer longer than the frame",
       Ip(changed(outer4, [](IpHeader& h) { h.length = 1000; }), Inner4())},
      {"outer longer than the frame, IPv6",
       Ip(changed(outer6, [](IpHeader& h) { h.length = 1000; }), Inner6())},
      {"outer shorter than its header",
       Ip(changed(outer4, [](IpHeader& h) { h.length = 16; }), Inner4())},
      {"outer shorter than the inner packet",
       Ip(changed(outer4, [](IpHeader& h) { h.length = 50; }), Inner4())},
      {"inner version", Outer4(Ip(changed(inner4, [](IpHeader& h) { h.version = 5; }), Tcp({})))},
      {"inner version 6", Outer6(Ip(changed(inner6, [](IpHeader& h) { h.version = 4; }), Tcp({})))},
      {"inner IHL", Outer4(Ip(changed(inner4, [](IpHeader& h) { h.header_words = 2; }), Tcp({})))},
      {"inner longer than the outer payload",
       Outer4(Ip(changed(inner4, [](IpHeader& h) { h.length = 41; }), Tcp({})))},
      {"inner longer than the outer payload, IPv6",
       Outer4(Ip(changed(inner6, [](IpHeader& h) { h.length = 21; }), Tcp({})))},
      {"nothing inside", Ip(outer4, Opaque(kIpip))},
      {"nothing inside, IPv6", Ip(outer6, Opaque(kIpv6))},
      {"half a header inside", Ip(outer4, Opaque(kIpip, "E234567890"))},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    ExpectUntouched(Ethernet({.padding = 4}, c.packet), LB_DECAP_COUNT_MALFORMED);
  }
}

TEST_F(RealDecapTest, FragmentsOfTunnelPacketsAreCountedAndPass) {
  for (const uint16_t fragment : {0x2000, 0x0001, 0x2010}) {
    ExpectUntouched(
        Ethernet({}, Ip({.source = kBalancer4, .destination = Real4(1), .fragment = fragment},
                        Inner4())),
        LB_DECAP_COUNT_FRAGMENT);
  }
}

TEST_F(RealDecapTest, TruncatedFramesPassUntouchedAtEveryLength) {
  for (const Segment& packet :
       {Outer4(Inner4()), Outer4(Inner6()), Outer6(Inner4()), Outer6(Inner6())}) {
    const Bytes frame = Ethernet({}, packet);
    for (size_t length = 14; length < frame.size(); ++length) {
      SCOPED_TRACE(length);
      const Bytes truncated = Truncated(frame, length);
      const Result result = Receive(truncated);
      EXPECT_TRUE(result.outcome == LB_DECAP_COUNT_PASSED ||
                  result.outcome == LB_DECAP_COUNT_MALFORMED);
      EXPECT_TRUE(SameBytes(truncated, result.out));
    }
  }
}

}  // namespace
}  // namespace lb::testing
