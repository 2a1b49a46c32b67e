// SPDX-License-Identifier: Apache-2.0
// Flow -> slot -> real: the kernel, lb/flow_hash.h in user space and the description agree.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <cstring>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "lb/flow_hash.h"
#include "lbd/dataplane/encode.h"
#include "tests/bpf/balancer.h"
#include "tests/bpf/reference_hash.h"

namespace lb::testing {
namespace {

const std::vector<IpAddress>& Reals() {
  static const auto& reals = *new std::vector<IpAddress>([] {
    std::vector<IpAddress> all;
    for (int i = 1; i <= 16; ++i) all.push_back(i % 2 == 0 ? Real4(i) : Real6(i));
    return all;
  }());
  return reals;
}

// Every slot one of Reals() by chance.
model::Ring RandomRing(int bits, uint32_t seed) {
  std::mt19937 random(seed);
  model::Ring ring(size_t{1} << bits);
  for (uint16_t& slot : ring) slot = static_cast<uint16_t>(1 + random() % Reals().size());
  return ring;
}

// What the daemon would say: lb/flow_hash.h compiled for user space.
uint64_t UserSpaceHash(const HashKey& secret, const model::VipKey& vip, const IpAddress& source,
                       uint16_t source_port, uint16_t destination_port) {
  const HashKey key = dataplane::FlowKey(secret, vip);
  __u32 address[4];
  std::memcpy(address, source.mapped().data(), sizeof(address));
  const uint32_t ports = static_cast<uint32_t>(__builtin_bswap16(source_port)) |
                         static_cast<uint32_t>(__builtin_bswap16(destination_port)) << 16;
  return lb_flow_hash(key.k0, key.k1, address, ports, !source.is_v4());
}

TEST(ReferenceSipHashTest, IsSipHash) {
  // The test vector of the paper, appendix A.
  Bytes message;
  for (uint8_t i = 0; i < 15; ++i) message.push_back(i);
  EXPECT_EQ(ReferenceSipHash(2, 4, 0x0706050403020100, 0x0f0e0d0c0b0a0908, message),
            0xa129ca6149be45e5);
}

class RingTest : public ::testing::TestWithParam<const char*> {};

TEST_P(RingTest, SlotIsTheOneThatUserSpaceAndTheDescriptionSay) {
  const model::VipKey vip = Key(GetParam());
  const uint16_t port = vip.port == 0 ? 9999 : vip.port;
  model::Settings settings;
  settings.hash_key = {0x0123456789abcdef, 0xfedcba9876543210};
  Balancer balancer(settings);
  for (const int bits : {8, 14, 20}) {
    const dataplane::Service service = MakeService(vip, Reals(), RandomRing(bits, bits));
    balancer.Serve({service});
    balancer.Settle();
    for (uint32_t flow = 0; flow < 3000; ++flow) {
      const uint64_t hash =
          ReferenceFlowHash(settings.hash_key, vip, FlowSource(flow, vip), FlowPort(flow), port);
      ASSERT_EQ(hash,
                UserSpaceHash(settings.hash_key, vip, FlowSource(flow, vip), FlowPort(flow), port));
      const IpAddress& real = Reals().at((*service.ring)[ReferenceSlot(hash, bits)] - 1);
      const ProgRun run = balancer.SendFast(Flow(flow, vip));
      ASSERT_EQ(run.action, XDP_TX);
      ASSERT_EQ(RealOf(run.out).ToString(), real.ToString()) << flow;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Vips, RingTest,
                         ::testing::Values("192.0.2.80:80/tcp", "192.0.2.80:80/udp",
                                           "192.0.2.80:any/tcp", "[2001:db8:5::80]:80/tcp",
                                           "[2001:db8:5::80]:80/udp", "[2001:db8:5::80]:any/udp"));

TEST(RingSpreadTest, FlowsSpreadEvenlyOverSlots) {
  for (const char* text : {"192.0.2.80:80/tcp", "[2001:db8:5::80]:80/udp"}) {
    const model::VipKey vip = Key(text);
    Balancer balancer;
    balancer.Serve({MakeService(vip, Reals())});
    constexpr uint32_t kFlows = 16000;
    std::map<IpAddress, double> flows;
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
      flows[RealOf(balancer.SendFast(Flow(flow, vip)).out)] += 1;
    }
    const double mean = static_cast<double>(kFlows) / static_cast<double>(Reals().size());
    double chi_square = 0;
    for (const IpAddress& real : Reals()) {
      chi_square += (flows[real] - mean) * (flows[real] - mean) / mean;
    }
    EXPECT_LT(chi_square, 37.7) << text;  // 15 degrees of freedom, p = 0.001; the flows are fixed
  }
}

TEST(RingFlowTest, EveryPacketOfAFlowGoesToOneReal) {
  Balancer balancer;
  for (const char* text : {"192.0.2.80:80/tcp", "[2001:db8:5::80]:80/tcp"}) {
    const model::VipKey vip = Key(text);
    const bool v4 = vip.address.is_v4();
    balancer.Serve({MakeService(vip, Reals(), RandomRing(14, 7))});
    for (uint32_t flow = 0; flow < 50; ++flow) {
      std::set<IpAddress> reals;
      for (const uint8_t flags : {0x02, 0x10, 0x18, 0x11, 0x04}) {
        for (const std::string_view payload : {"", "x", "a longer payload"}) {
          for (const uint8_t tos : {0x00, 0x03, 0xb8}) {
            const IpHeader header = {.source = FlowSource(flow, vip),
                                     .destination = vip.address,
                                     .tos = tos,
                                     .ttl = static_cast<uint8_t>(1 + flags),
                                     .id = static_cast<uint16_t>(flags * 7),
                                     .options = v4 ? Bytes(tos == 3 ? 8 : 0, 1) : Bytes{},
                                     .flow_label = v4 ? 0u : flags};
            const Segment tcp =
                Tcp({.source = FlowPort(flow), .destination = vip.port, .flags = flags}, payload);
            reals.insert(RealOf(balancer.SendFast(Ethernet({}, Ip(header, tcp))).out));
          }
        }
      }
      EXPECT_EQ(reals.size(), 1u) << flow;
    }
  }
}

TEST(RingFlowTest, TwoLoadBalancersWithOneConfigurationDecideAlike) {
  const model::VipKey vip = Key("192.0.2.80:80/tcp");
  const auto other = MakeService(Key("192.0.2.81:80/tcp"), Reals(), RandomRing(12, 1));
  const auto service = MakeService(vip, Reals(), RandomRing(14, 7));
  Balancer first, second;
  first.Serve({service});
  second.Serve({other});  // another history
  second.Serve({other, service});
  for (uint32_t flow = 0; flow < 1000; ++flow) {
    ASSERT_TRUE(
        SameBytes(first.SendFast(Flow(flow, vip)).out, second.SendFast(Flow(flow, vip)).out));
  }
}

TEST(RingFlowTest, AnotherSecretGivesOtherSlots) {
  const model::VipKey vip = Key("192.0.2.80:80/tcp");
  const auto service = MakeService(vip, Reals(), RandomRing(14, 7));
  model::Settings secret;
  secret.hash_key = {1, 2};
  Balancer open, keyed(secret);
  open.Serve({service});
  keyed.Serve({service});
  int same = 0;
  for (uint32_t flow = 0; flow < 1000; ++flow) {
    same +=
        RealOf(open.SendFast(Flow(flow, vip)).out) == RealOf(keyed.SendFast(Flow(flow, vip)).out);
  }
  EXPECT_LT(same, 150);  // 1 of 16 by chance
}

TEST(RingFlowTest, EmptyRingIsNoReal) {
  Balancer balancer;
  for (const char* text : {"192.0.2.80:80/tcp", "[2001:db8:5::80]:any/udp"}) {
    const model::VipKey vip = Key(text);
    balancer.Serve({MakeService(vip, {})});
    EXPECT_EQ(balancer.Send(Flow(0, vip)).verdict, LB_NO_REAL);
    // Reals that own no slot: all weight 0 or down.
    balancer.Serve({MakeService(vip, Reals(), model::Ring(256, 0))});
    EXPECT_EQ(balancer.Send(Flow(0, vip)).verdict, LB_NO_REAL);
  }
}

TEST(RingFlowTest, SlotWithoutARealDropsOnlyItsOwnFlows) {
  const model::VipKey vip = Key("192.0.2.80:80/tcp");
  model::Ring ring(256, 1);
  for (size_t i = 0; i < 128; ++i) ring[i] = 0;
  Balancer balancer;
  balancer.Serve({MakeService(vip, {Real4(1)}, ring)});
  for (uint32_t flow = 0; flow < 500; ++flow) {
    const uint64_t hash = ReferenceFlowHash(balancer.settings().hash_key, vip,
                                            FlowSource(flow, vip), FlowPort(flow), vip.port);
    ASSERT_EQ(balancer.Send(Flow(flow, vip)).verdict,
              ReferenceSlot(hash, 8) < 128 ? LB_NO_REAL : LB_FORWARD);
  }
}

}  // namespace
}  // namespace lb::testing
