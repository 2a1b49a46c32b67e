// SPDX-License-Identifier: Apache-2.0
// Which fields choose the real, and that connections survive changes whichever they are.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lb/flow_hash.h"
#include "lbd/dataplane/encode.h"
#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

using model::HashPolicy;

constexpr uint32_t kFeatures = LB_FEATURE_WIDE_VIPS | LB_FEATURE_HASH_FIELDS;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kAck = 0x10;

struct Packet {
  uint32_t client = 0;
  uint16_t source_port = kClientPort;
  uint16_t port = 80;
  model::Protocol protocol = model::Protocol::kTcp;
};

Bytes Frame(const model::VipKey& vip, const Packet& packet, uint8_t flags = kSyn) {
  const IpHeader header{.source = FlowSource(packet.client * 1000, vip),
                        .destination = vip.address};
  return Ethernet(
      {},
      Ip(header,
         packet.protocol == model::Protocol::kUdp
             ? Udp({.source = packet.source_port, .destination = packet.port})
             : Tcp({.source = packet.source_port, .destination = packet.port, .flags = flags})));
}

dataplane::Service ServiceOf(std::string_view vip, HashPolicy policy, int reals,
                             model::Tracking tracking = model::Tracking::kAuto) {
  std::vector<IpAddress> addresses;
  for (int i = 1; i <= reals; ++i) addresses.push_back(i % 2 == 0 ? Real6(i) : Real4(i));
  dataplane::Service service = MakeService(Key(vip), addresses);
  service.vip.hash = policy;
  service.vip.tracking = tracking;
  return service;
}

// How many reals packets reach that differ in one field only.
struct Spread {
  HashPolicy policy;
  bool client, source_port, port, protocol;
};

class HashPolicyTest : public ::testing::TestWithParam<Spread> {};

TEST_P(HashPolicyTest, OnlyItsFieldsChooseTheReal) {
  const Spread& spread = GetParam();
  for (const char* text : {"192.0.2.80:any/tcp_udp", "[2001:db8:5::80]:any/tcp_udp"}) {
    for (const auto hash : {model::FlowHash::kSipHash, model::FlowHash::kFast}) {
      model::Settings settings;
      settings.flow_hash = hash;
      Balancer balancer(settings, kFeatures);
      const dataplane::Service service = ServiceOf(text, spread.policy, 8);
      balancer.Serve({service});
      const auto reals_of = [&](const std::vector<Packet>& packets) {
        std::set<IpAddress> reals;
        for (const Packet& packet : packets) {
          reals.insert(RealOf(balancer.SendFast(Frame(service.vip.key, packet)).out));
        }
        return reals.size();
      };
      std::vector<Packet> clients, source_ports, ports;
      for (uint16_t i = 0; i < 100; ++i) {
        clients.push_back({.client = i});
        source_ports.push_back({.source_port = static_cast<uint16_t>(1000 + i)});
        ports.push_back({.port = static_cast<uint16_t>(1000 + i)});
      }
      EXPECT_EQ(reals_of(clients), spread.client ? 8u : 1u) << text;
      EXPECT_EQ(reals_of(source_ports), spread.source_port ? 8u : 1u) << text;
      EXPECT_EQ(reals_of(ports), spread.port ? 8u : 1u) << text;
      size_t differ = 0;
      for (uint32_t client = 0; client < 30; ++client) {
        differ += reals_of({{.client = client},
                            {.client = client, .protocol = model::Protocol::kUdp}}) == 2;
      }
      EXPECT_EQ(differ > 10, spread.protocol) << text;
      EXPECT_TRUE(spread.protocol || differ == 0) << text;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Policies, HashPolicyTest,
    ::testing::Values(Spread{HashPolicy::kFiveTuple, true, true, true, true},
                      Spread{HashPolicy::kSource, true, false, false, false},
                      Spread{HashPolicy::kSourceDestinationPort, true, false, true, false},
                      Spread{HashPolicy::kDestinationPort, false, false, true, false}),
    [](const auto& test) {
      return "Policy" + std::to_string(static_cast<int>(test.param.policy));
    });

// Every load balancer of a fleet must agree, and so must what explains flows.
TEST(HashPolicySlotTest, IsThatOfTheCodeForUserSpace) {
  for (const auto policy : {HashPolicy::kSource, HashPolicy::kDestinationPort}) {
    Balancer balancer({}, kFeatures);
    const dataplane::Service service = ServiceOf("192.0.2.0/24:any/tcp", policy, 8);
    balancer.Serve({service});
    const HashKey key = dataplane::FlowKey(balancer.settings().hash_key, service.vip.key);
    for (uint32_t client = 0; client < 200; ++client) {
      const Packet packet{.client = client, .port = static_cast<uint16_t>(client)};
      __u32 source[4], destination[4];
      std::memcpy(source, FlowSource(client * 1000, service.vip.key).mapped().data(), 16);
      std::memcpy(destination, service.vip.key.address.mapped().data(), 16);
      const uint32_t ports = htons(packet.source_port) | uint32_t{htons(packet.port)} << 16;
      const uint64_t hash = lb_flow_hash_by(dataplane::EncodeHashPolicy(service.vip), 0, key.k0,
                                            key.k1, source, destination, ports, 0);
      const size_t slot = hash >> (64 - 8);
      ASSERT_EQ(RealOf(balancer.SendFast(Frame(service.vip.key, packet)).out),
                service.vip.reals.at((*service.ring)[slot] - 1).address);
    }
  }
}

// Katran's HASH_DPORT_ONLY made the key of the flow before it masked the fields: it never hit its
// table, and filled it with entries of no use.
TEST(HashPolicyTrackingTest, DestinationPortOnlyHitsTheFlowTable) {
  Balancer balancer({}, kFeatures);
  const auto service =
      ServiceOf("192.0.2.80:any/tcp", HashPolicy::kDestinationPort, 4, model::Tracking::kAlways);
  balancer.Serve({service});
  const auto entries = [&] {
    size_t count = 0;
    for (const lb_flow_bucket& bucket : balancer.flow_table()) {
      count += 8 - std::ranges::count(bucket.entries, 0u);
    }
    return count;
  };
  const Bytes syn = Frame(service.vip.key, {});
  const IpAddress real = RealOf(balancer.Send(syn).out);
  EXPECT_EQ(entries(), 1u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(RealOf(balancer.Send(Frame(service.vip.key, {}, kAck)).out), real);
  }
  EXPECT_EQ(entries(), 1u);
  EXPECT_EQ(RealOf(balancer.Send(Frame(service.vip.key, {.source_port = 7})).out), real);
  EXPECT_EQ(entries(), 2u) << "another connection is another flow";
}

// Flows that share a slot change hands one by one: old connections stay, new ones go to the new
// owner, even of the same client; and all entries go in the end.
TEST(HashPolicyTrackingTest, ConnectionsOfOneClientStayWhileNewOnesGoToTheNewOwner) {
  for (const auto policy :
       {HashPolicy::kSource, HashPolicy::kSourceDestinationPort, HashPolicy::kDestinationPort}) {
    SCOPED_TRACE(std::string(ToString(policy)));
    Balancer balancer({}, kFeatures);
    const auto before = ServiceOf("192.0.2.80:any/tcp", policy, 1);
    auto after = ServiceOf("192.0.2.80:any/tcp", policy, 2);
    after.ring = std::make_shared<const model::Ring>(256, uint16_t{2});
    const model::VipKey& vip = before.vip.key;
    balancer.Serve({before});
    const auto old_flow = [&](uint16_t i, uint8_t flags) {
      return Frame(vip, {.source_port = static_cast<uint16_t>(1000 + i)}, flags);
    };
    for (uint16_t i = 0; i < 50; ++i) balancer.SendFast(old_flow(i, kSyn));
    balancer.Serve({after});
    const auto real_of = [&](const Bytes& frame) { return RealOf(balancer.SendFast(frame).out); };
    for (uint16_t i = 0; i < 50; ++i) {
      ASSERT_EQ(real_of(old_flow(i, kAck)), Real4(1)) << i;
      ASSERT_EQ(real_of(Frame(vip, {.source_port = static_cast<uint16_t>(5000 + i)})), Real6(2));
      ASSERT_EQ(real_of(old_flow(i, kAck)), Real4(1)) << i;
    }
    balancer.Restart({after});
    balancer.Pass(1000);
    balancer.Sweep();
    for (uint16_t i = 0; i < 50; ++i) {
      ASSERT_EQ(real_of(old_flow(i, kAck)), Real4(1)) << "after the window " << i;
      ASSERT_EQ(real_of(Frame(vip, {.source_port = static_cast<uint16_t>(5000 + i)}, kAck)),
                Real6(2));
    }
    balancer.Settle();
    EXPECT_EQ(real_of(old_flow(0, kAck)), Real6(2)) << "an entry is never forgotten";
  }
}

// The ring may grow meanwhile: what flows are called must not depend on its size.
TEST(HashPolicyTrackingTest, FlowsAreKnownWhenTheRingGrows) {
  Balancer balancer({}, kFeatures);
  const auto before = ServiceOf("192.0.2.80:80/tcp", HashPolicy::kSource, 2);
  auto after = before;
  after.vip.ring.bits = 14;
  model::Ring ring(1 << 14);
  for (size_t i = 0; i < ring.size(); ++i) ring[i] = static_cast<uint16_t>(1 + (i * 7 / 3) % 2);
  after.ring = std::make_shared<const model::Ring>(ring);
  balancer.Serve({before});
  std::map<uint32_t, IpAddress> reals;
  for (uint32_t i = 0; i < 100; ++i) {
    reals[i] = RealOf(balancer.SendFast(Frame(before.vip.key, {.client = i})).out);
  }
  balancer.Serve({after});
  for (int round = 0; round < 3; ++round) {
    for (uint32_t i = 0; i < 100; ++i) {
      ASSERT_EQ(RealOf(balancer.SendFast(Frame(before.vip.key, {.client = i}, kAck)).out),
                reals[i]);
    }
    balancer.Pass(600);
    balancer.Sweep();
  }
}

TEST(HashPolicyTest, ANewPolicyHoldsFromTheNextPacketOn) {
  Balancer balancer({}, kFeatures);
  const auto spread = ServiceOf("192.0.2.80:80/tcp", HashPolicy::kFiveTuple, 8);
  const auto sticky = ServiceOf("192.0.2.80:80/tcp", HashPolicy::kSource, 8);
  const auto count = [&] {
    std::set<IpAddress> reals;
    for (uint16_t i = 0; i < 100; ++i) {
      const Packet packet{.source_port = static_cast<uint16_t>(1000 + i)};
      reals.insert(RealOf(balancer.SendFast(Frame(spread.vip.key, packet)).out));
    }
    return reals.size();
  };
  for (int round = 0; round < 2; ++round) {
    balancer.Serve({spread});
    EXPECT_EQ(count(), 8u);
    balancer.Serve({sticky});
    EXPECT_EQ(count(), 1u);
  }
}

}  // namespace
}  // namespace lb::testing
