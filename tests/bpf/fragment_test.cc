// SPDX-License-Identifier: Apache-2.0
// IP fragments: later ones follow the first one, or all go by the client's address.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

const std::vector<IpAddress> kReals = {Real4(1), Real6(2), Real4(3), Real6(4)};
const std::string kTail(64, 'y');

// A piece of packet `id` of a client's port; UDP unless it says otherwise.
struct Piece {
  bool v4 = true;
  uint16_t id = 1;
  uint16_t offset = 0;  // in units of 8 bytes
  bool more = true;
  uint16_t port = kClientPort;
  int client = 7;
  uint8_t protocol = 17;
  IpAddress destination = {};
};

Bytes Frame(const Piece& piece) {
  const IpAddress source =
      Address((piece.v4 ? "198.51.100." : "2001:db8:c::") + std::to_string(piece.client));
  IpAddress destination = piece.v4 ? kVip4 : kVip6;
  if (piece.destination != IpAddress()) destination = piece.destination;
  Segment payload =
      piece.protocol == 6 ? Tcp({.source = piece.port}, kTail) : Udp({.source = piece.port}, kTail);
  if (piece.offset != 0) payload = Opaque(piece.protocol, kTail);
  if (!piece.v4) {
    return Ethernet({}, Ip({.source = source, .destination = destination},
                           Fragment6(piece.id, piece.offset, piece.more, payload)));
  }
  const auto flags = static_cast<uint16_t>(piece.offset | (piece.more ? 0x2000 : 0));
  return Ethernet(
      {}, Ip({.source = source, .destination = destination, .id = piece.id, .fragment = flags},
             payload));
}

class FragmentTest : public ::testing::TestWithParam<bool> {
 protected:
  void Serve(model::Fragments fragments = model::Fragments::kFollow,
             const model::Settings& settings = {}) {
    Services services;
    for (const IpAddress& vip : {kVip4, kVip6}) {
      for (const auto protocol : {model::Protocol::kTcp, model::Protocol::kUdp}) {
        const auto port = static_cast<uint16_t>(fragments == model::Fragments::kByAddress ? 0 : 80);
        services.push_back(MakeService({vip, port, protocol}, kReals));
        services.back().vip.fragments = fragments;
      }
    }
    balancer_ = std::make_unique<Balancer>(settings);
    balancer_->Serve(services);
  }
  Outcome Send(Piece piece) {
    piece.v4 = GetParam();
    return balancer_->Send(Frame(piece));
  }
  IpAddress RealOfFlow(uint16_t port) {
    const IpHeader header = {.source = GetParam() ? kClient4 : kClient6,
                             .destination = GetParam() ? kVip4 : kVip6};
    return RealOf(balancer_->Send(Ethernet({}, Ip(header, Udp({.source = port}, kTail)))).out);
  }

  std::unique_ptr<Balancer> balancer_;
};

INSTANTIATE_TEST_SUITE_P(Families, FragmentTest, ::testing::Values(true, false),
                         [](const auto& test) { return test.param ? "v4" : "v6"; });

TEST_P(FragmentTest, LaterOnesFollowTheFirstOneToTheRealOfTheFlow) {
  Serve();
  std::set<IpAddress> seen;
  for (uint16_t i = 0; i < 60; ++i) {
    const auto port = static_cast<uint16_t>(2000 + i);
    const IpAddress real = RealOfFlow(port);
    seen.insert(real);
    for (const uint16_t offset : {0, 181, 8000, 9}) {
      const Piece piece = {
          .v4 = GetParam(), .id = i, .offset = offset, .more = offset != 8000, .port = port};
      const Bytes frame = Frame(piece);
      const Outcome outcome = Send(piece);
      ASSERT_EQ(outcome.verdict, LB_FORWARD) << i << " at " << offset;
      EXPECT_EQ(RealOf(outcome.out), real);
      const size_t outer = outcome.out.size() - (frame.size() - 14);
      EXPECT_TRUE(SameBytes(Bytes(frame.begin() + 14, frame.end()),
                            Bytes(outcome.out.begin() + outer, outcome.out.end())));
    }
  }
  EXPECT_EQ(seen.size(), kReals.size());
}

TEST_P(FragmentTest, LaterOneThatComesFirstHasItsVerdict) {
  Serve();
  EXPECT_EQ(Send({.id = 5, .offset = 100}).verdict, LB_FRAGMENT);
  EXPECT_EQ(Send({.id = 5}).verdict, LB_FORWARD);
  EXPECT_EQ(Send({.id = 5, .offset = 100}).verdict, LB_FORWARD);
  // Of another packet, another client, another VIP.
  EXPECT_EQ(Send({.id = 6, .offset = 100}).verdict, LB_FRAGMENT);
  EXPECT_EQ(Send({.id = 5, .offset = 100, .client = 8}).verdict, LB_FRAGMENT);
  if (GetParam()) {
    EXPECT_EQ(Send({.id = 5, .offset = 100, .protocol = 6}).verdict, LB_FRAGMENT);
  }
}

TEST_P(FragmentTest, TheLastPacketWithAnIdIsTheOneThatCounts) {
  Serve();
  for (uint16_t port = 3000; port < 3030; ++port) {
    ASSERT_EQ(Send({.id = 9, .port = port}).verdict, LB_FORWARD);
    ASSERT_EQ(RealOf(Send({.id = 9, .offset = 3, .port = port}).out), RealOfFlow(port));
  }
}

TEST_P(FragmentTest, TcpIsFragmentedAsWell) {
  Serve();
  const Outcome first = Send({.id = 4, .protocol = 6});
  ASSERT_EQ(first.verdict, LB_FORWARD);
  EXPECT_EQ(RealOf(Send({.id = 4, .offset = 10, .protocol = 6}).out), RealOf(first.out));
}

TEST_P(FragmentTest, FragmentsForOthersPassUntouchedAndAreNotRemembered) {
  Serve();
  const IpAddress host = GetParam() ? kHost4 : kHost6;
  EXPECT_EQ(Send({.destination = host}).verdict, LB_NOT_VIP);
  EXPECT_EQ(Send({.offset = 1, .destination = host}).verdict, LB_NOT_VIP);
}

TEST_P(FragmentTest, ByAddressTheyComeInAnyOrder) {
  Serve(model::Fragments::kByAddress);
  std::set<IpAddress> seen;
  for (int client = 1; client < 60; ++client) {
    const Outcome later = Send({.id = 3, .offset = 50, .client = client});
    ASSERT_EQ(later.verdict, LB_FORWARD);
    seen.insert(RealOf(later.out));
    for (uint16_t port = 1000; port < 1004; ++port) {
      EXPECT_EQ(RealOf(Send({.id = port, .port = port, .client = client}).out), RealOf(later.out));
      EXPECT_EQ(RealOf(Send({.id = port, .offset = 7, .client = client}).out), RealOf(later.out));
    }
  }
  EXPECT_EQ(seen.size(), kReals.size());
  // What is not fragmented goes by its ports.
  std::set<IpAddress> flows;
  for (uint16_t port = 1000; port < 1060; ++port) flows.insert(RealOfFlow(port));
  EXPECT_EQ(flows.size(), kReals.size());
}

TEST_P(FragmentTest, ByAddressIsLearnedAndForgottenWithTheVip) {
  const IpAddress address = GetParam() ? kVip4 : kVip6;
  Serve();
  dataplane::Service service = MakeService({address, 0, model::Protocol::kUdp}, kReals);
  for (const auto fragments : {model::Fragments::kByAddress, model::Fragments::kFollow}) {
    service.vip.fragments = fragments;
    balancer_->Serve({service});
    EXPECT_EQ(Send({.id = 77, .offset = 1}).verdict,
              fragments == model::Fragments::kByAddress ? LB_FORWARD : LB_FRAGMENT);
  }
  balancer_->Serve({});
  EXPECT_EQ(Send({.id = 77, .offset = 1}).verdict, LB_NOT_VIP);
}

TEST_P(FragmentTest, FirstOneWithoutAWholeTransportHeaderIsTruncated) {
  Serve();
  for (const size_t length : {0, 7, 19}) {
    const Segment tiny = Opaque(6, std::string(length, 0));
    const Bytes frame =
        GetParam()
            ? Ethernet({}, Ip({.source = kClient4, .destination = kVip4, .fragment = 0x2000}, tiny))
            : Ethernet({},
                       Ip({.source = kClient6, .destination = kVip6}, Fragment6(1, 0, true, tiny)));
    EXPECT_EQ(balancer_->Send(frame).verdict, LB_TRUNCATED);
  }
}

TEST_P(FragmentTest, PingsInPiecesAreNotAnswered) {
  Serve();
  const Segment request = GetParam() ? Icmp({}, kTail) : Icmp6({.type = kEchoRequest6}, kTail);
  for (const uint16_t offset : {0, 4}) {
    const auto flags = static_cast<uint16_t>(0x2000 | offset);
    const Bytes frame =
        GetParam() ? Ethernet({}, Ip({.source = kClient4, .destination = kVip4, .fragment = flags},
                                     request))
                   : Ethernet({}, Ip({.source = kClient6, .destination = kVip6},
                                     Fragment6(1, offset, true, request)));
    EXPECT_EQ(balancer_->Send(frame).verdict, LB_FRAGMENT);
  }
}

TEST_P(FragmentTest, AllAreDroppedWhereThereIsNoRoomForAny) {
  model::Settings settings;
  settings.limits.fragments = 0;
  Serve(model::Fragments::kFollow, settings);
  EXPECT_EQ(Send({}).verdict, LB_FRAGMENT);
  EXPECT_EQ(Send({.offset = 1}).verdict, LB_FRAGMENT);
  EXPECT_EQ(Send({.destination = GetParam() ? kHost4 : kHost6}).verdict, LB_NOT_VIP);
}

TEST(Fragment6Test, TheOnlyFragmentOfAPacketIsAWholePacket) {
  Balancer balancer;
  balancer.Serve({MakeService({kVip6, 80, model::Protocol::kUdp}, kReals)});
  const IpHeader header = {.source = kClient6, .destination = kVip6};
  EXPECT_EQ(balancer.Send(Ethernet({}, Ip(header, Fragment6(1, 0, false, Udp({}))))).verdict,
            LB_FORWARD);
  EXPECT_EQ(
      balancer.Send(Ethernet({}, Ip(header, Fragment6(1, 5, false, Opaque(17, kTail))))).verdict,
      LB_FRAGMENT);
}

// The unfragmentable part comes before the fragment header; of what comes after it, later fragments
// know only the first header.
TEST(Fragment6Test, ExtensionHeadersMayComeBeforeAndAfter) {
  Balancer balancer;
  balancer.Serve({MakeService({kVip6, 80, model::Protocol::kUdp}, kReals)});
  const IpHeader header = {.source = kClient6, .destination = kVip6};
  const Segment first = Fragment6(8, 0, true, Extension(kDestinationOptions, Udp({}, kTail)));
  const Segment later = Fragment6(8, 9, false, Opaque(kDestinationOptions, kTail));
  const Outcome outcome = balancer.Send(Ethernet({}, Ip(header, Extension(kHopByHop, first))));
  ASSERT_EQ(outcome.verdict, LB_FORWARD);
  EXPECT_EQ(RealOf(balancer.Send(Ethernet({}, Ip(header, Extension(kHopByHop, later)))).out),
            RealOf(outcome.out));
}

}  // namespace
}  // namespace lb::testing
