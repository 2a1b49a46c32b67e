// SPDX-License-Identifier: Apache-2.0
// Forwarder::Update: whatever came before, the state in force is the one that was asked for.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <set>
#include <string_view>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

const model::VipKey kWeb4 = {kVip4, 80, model::Protocol::kTcp};
const model::VipKey kWeb6 = {kVip6, 80, model::Protocol::kTcp};

constexpr uint32_t kFlows = 300;

std::set<IpAddress> RealsInUse(Balancer& balancer, const model::VipKey& vip) {
  std::set<IpAddress> reals;
  for (uint32_t flow = 0; flow < kFlows; ++flow) {
    reals.insert(RealOf(balancer.SendFast(Flow(flow, vip)).out));
  }
  return reals;
}

// Everything that comes out for a set of flows.
std::vector<Bytes> Decisions(Balancer& balancer, const std::vector<model::VipKey>& vips) {
  std::vector<Bytes> decisions;
  for (const model::VipKey& vip : vips) {
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
      const ProgRun run = balancer.SendFast(Flow(flow, vip));
      decisions.push_back(run.out);
      decisions.back().push_back(static_cast<uint8_t>(run.action));
    }
  }
  return decisions;
}

// The numbers that the ring of the only VIP names, for new connections or for unknown flows.
std::set<uint16_t> NumbersInRing(Balancer& balancer) {
  std::set<uint16_t> numbers;
  for (const lb_vip& vip : balancer.Table<lb_vip>("lb_vips")) {
    if (vip.flags != LB_VIP_USED) continue;
    const auto ring = balancer.Table<uint16_t>("lb_ring");
    const auto next = balancer.Table<uint16_t>("lb_ring_next");
    const size_t slots = size_t{1} << (vip.place >> LB_PLACE_BITS_SHIFT);
    for (size_t slot = static_cast<uint32_t>(vip.place), end = slot + slots; slot < end; ++slot) {
      numbers.insert(ring[slot] & LB_RING_REAL_MASK);
      if ((ring[slot] & LB_RING_TRACK) != 0) numbers.insert(next[slot]);
    }
  }
  return numbers;
}

TEST(UpdateTest, RealsComeGoAndAreReplaced) {
  Balancer balancer;
  const std::vector<std::vector<IpAddress>> steps = {
      {Real4(1)},
      {Real4(1), Real4(2)},
      {Real4(1), Real4(2), Real6(3), Real6(4)},
      {Real6(4), Real4(2)},
      {Real4(5), Real6(6)},            // all of them
      {Real6(6), Real4(5), Real4(1)},  // one comes back
      {Real4(1)},
  };
  for (const std::vector<IpAddress>& reals : steps) {
    balancer.Serve({MakeService(kWeb4, reals)});
    EXPECT_EQ(RealsInUse(balancer, kWeb4), std::set(reals.begin(), reals.end()));
  }
}

// The peers' mistake: removing the last real left the old ring in force.
TEST(UpdateTest, WithoutItsLastRealAVipHasNoRealAtOnce) {
  Balancer balancer;
  for (const auto& reals : {std::vector<IpAddress>{}, {Real4(1), Real6(2)}}) {
    balancer.Serve({MakeService(kWeb4, {Real4(1), Real6(2)}), MakeService(kWeb6, {Real4(1)})});
    EXPECT_EQ(balancer.Send(Flow(0, kWeb4)).verdict, LB_FORWARD);
    // Update alone: whoever returned has it in force. Removed, or without a slot.
    const Services empty = {MakeService(kWeb4, reals, model::Ring(256, 0)),
                            MakeService(kWeb6, {Real4(1)})};
    ASSERT_TRUE(balancer.forwarder().Update(empty).ok());
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
      ASSERT_EQ(balancer.Send(Flow(flow, kWeb4)).verdict, LB_NO_REAL);
    }
    EXPECT_EQ(balancer.Send(Flow(0, kWeb6)).verdict, LB_FORWARD);
  }
}

// The peers' mistake: numbers were recycled while rings still named them.
TEST(UpdateTest, NumberOfARemovedRealIsNotReusedInTheSameUpdate) {
  Balancer balancer;
  balancer.Serve({MakeService(kWeb4, {Real4(1), Real4(2), Real4(3)})});
  const std::set<uint16_t> before = NumbersInRing(balancer);
  ASSERT_EQ(before.size(), 3u);
  balancer.Serve({MakeService(kWeb4, {Real4(2), Real4(3), Real4(4)})});
  const std::set<uint16_t> after = NumbersInRing(balancer);
  ASSERT_EQ(after.size(), 3u);
  std::set<uint16_t> given;
  std::ranges::set_difference(after, before, std::inserter(given, given.end()));
  EXPECT_EQ(given.size(), 1u) << "the new real has a number that a packet under way may still use";
}

TEST(UpdateTest, ReusedNumberBringsNoCountersAlong) {
  Balancer balancer;
  balancer.Serve({MakeService(kWeb4, {Real4(1), Real4(2)})});
  const std::set<uint16_t> before = NumbersInRing(balancer);
  RealsInUse(balancer, kWeb4);  // traffic
  balancer.Serve({MakeService(kWeb4, {Real4(1)})});
  balancer.Settle();
  balancer.Serve({MakeService(kWeb4, {Real4(1), Real4(3)})});
  ASSERT_EQ(NumbersInRing(balancer), before) << "the number was to be reused here";
  EXPECT_EQ(balancer.CounterOf(kWeb4, Real4(3)), dataplane::Counter{});
  RealsInUse(balancer, kWeb4);
  EXPECT_EQ(
      balancer.CounterOf(kWeb4, Real4(1)).packets + balancer.CounterOf(kWeb4, Real4(3)).packets,
      balancer.forwarder().ReadVerdicts()[LB_FORWARD] -
          (kFlows - balancer.CounterOf(kWeb4, Real4(1)).packets / 2));
}

// Random configurations of up to four VIPs of up to 40 reals, with holes in their rings.
Services RandomServices(std::mt19937& random, const std::vector<model::VipKey>& vips) {
  Services services;
  for (const model::VipKey& vip : vips) {
    if (random() % 4 == 0) continue;
    const int pool = random() % 3 == 0 ? 40 : 6;
    std::vector<IpAddress> reals;
    for (int i = 1; i <= pool; ++i) {
      if (random() % 2 == 0) reals.push_back(random() % 2 == 0 ? Real4(i) : Real6(i));
    }
    std::ranges::shuffle(reals, random);
    model::Ring ring(size_t{256} << random() % 2, 0);
    for (uint16_t& slot : ring) slot = static_cast<uint16_t>(random() % (reals.size() + 1));
    services.push_back(MakeService(vip, reals, std::move(ring)));
  }
  return services;
}

TEST(UpdateTest, AnyHistoryOfUpdatesForwardsAsAFreshForwarderDoesInTheEnd) {
  const std::vector<model::VipKey> vips = {
      kWeb4, {kVip4, 0, model::Protocol::kTcp}, {kVip4, 80, model::Protocol::kUdp}, kWeb6};
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    std::mt19937 random(seed);
    Balancer old;
    for (int step = 0; step < 12; ++step) {
      const Services services = RandomServices(random, vips);
      old.Serve(services);
      if (step % 3 != 2) continue;
      Balancer fresh;
      fresh.Serve(services);
      old.Settle();
      const std::vector<Bytes> expected = Decisions(fresh, vips);
      const std::vector<Bytes> actual = Decisions(old, vips);
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_TRUE(SameBytes(expected[i], actual[i])) << "seed " << seed << " step " << step;
      }
    }
  }
}

class ExhaustionTest : public ::testing::Test {
 protected:
  static model::Settings Small() {
    model::Settings settings;
    settings.limits = {.vips = 2, .reals = 64, .ring_slots = 1 << 14};
    return settings;
  }

  // `update` must fail for want of room and change nothing: neither what is forwarded nor counters.
  void ExpectExhausted(const Services& update, const std::vector<model::VipKey>& vips) {
    const std::vector<Bytes> before = Decisions(balancer_, vips);
    const uint64_t forwarded = balancer_.forwarder().ReadVerdicts()[LB_FORWARD];
    const Status status = balancer_.forwarder().Update(update);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << Message(status);
    EXPECT_EQ(balancer_.forwarder().ReadVerdicts()[LB_FORWARD], forwarded);
    EXPECT_EQ(Decisions(balancer_, vips), before);
  }

  Balancer balancer_{Small()};
};

TEST_F(ExhaustionTest, NoRoomForAnotherRingChangesNothing) {
  const model::VipKey third = {kVip4, 443, model::Protocol::kTcp};
  const Services full = {MakeService(kWeb4, {Real4(1), Real6(2)}, 13),
                         MakeService(kWeb6, {Real4(1), Real6(2)}, 13)};
  balancer_.Serve(full);
  // Changes in place and a removal in the same update must not happen either.
  ExpectExhausted({MakeService(kWeb4, {Real4(5)}, 13), MakeService(third, {Real4(3)}, 13)},
                  {kWeb4, kWeb6, third});
  EXPECT_EQ(RealsInUse(balancer_, kWeb4), (std::set{Real4(1), Real6(2)}));
  EXPECT_EQ(balancer_.Send(Flow(0, third)).verdict, LB_NOT_VIP);
  // Once there is room, it works.
  balancer_.Serve({full[0]});
  balancer_.Serve({full[0], MakeService(third, {Real4(3)}, 13)});
  EXPECT_EQ(RealsInUse(balancer_, third), std::set{Real4(3)});
}

TEST_F(ExhaustionTest, NoRoomForMoreRealsChangesNothing) {
  std::vector<IpAddress> many;
  for (int i = 1; i <= 200; ++i) many.push_back(Real4(i));
  balancer_.Serve({MakeService(kWeb4, {Real4(1), Real6(2)})});
  ExpectExhausted({MakeService(kWeb4, many), MakeService(kWeb6, many)}, {kWeb4, kWeb6});
}

TEST_F(ExhaustionTest, NoPlaceInTheVipTableChangesNothing) {
  balancer_.Serve({MakeService(kWeb4, {Real4(1), Real6(2)})});
  Services services = {MakeService(kWeb4, {Real4(3)})};
  std::vector<model::VipKey> vips = {kWeb4};
  for (uint16_t port = 1000; port < 1017; ++port) {  // the table has 16 places
    vips.push_back({kVip6, port, model::Protocol::kUdp});
    services.push_back(MakeService(vips.back(), {Real4(1)}));
  }
  ExpectExhausted(services, vips);
  for (size_t i = 1; i < vips.size(); ++i) {
    EXPECT_EQ(balancer_.Send(Flow(0, vips[i])).verdict, LB_NOT_VIP);
  }
}

TEST_F(ExhaustionTest, FreshForwarderTakesWhatTheOldOneHadNoRoomToMove) {
  balancer_.Serve({MakeService(kWeb4, {Real4(1)}, 13), MakeService(kWeb6, {Real4(1)}, 12)});
  const Services larger = {MakeService(kWeb4, {Real4(1)}, 13), MakeService(kWeb6, {Real4(2)}, 13)};
  ExpectExhausted(larger, {kWeb4, kWeb6});
  balancer_.Restart(larger);
  EXPECT_EQ(RealsInUse(balancer_, kWeb4), std::set{Real4(1)});
  EXPECT_EQ(RealsInUse(balancer_, kWeb6), std::set{Real4(2)});
}

TEST_F(ExhaustionTest, ManyUpdatesLeakNothing) {
  for (int i = 0; i < 60; ++i) {
    const Services services = {MakeService(kWeb4, {Real4(1 + i % 7)}, 11 + i % 2),
                               MakeService(kWeb6, {Real6(1 + i % 5)}, 10 + i % 2)};
    balancer_.Serve(i % 10 == 9 ? Services{} : services);
    if (HasFailure()) break;
  }
}

// Two entries per VIP and every limit used: room for any change of one VIP stays.
TEST_F(ExhaustionTest, AllRealsThatTheLimitsAllowCanBeReplacedAtOnce) {
  for (int round = 0; round < 4; ++round) {
    std::vector<IpAddress> reals;
    for (int i = 1; i <= 64; ++i) reals.push_back(Real4(1000 * round + i));
    balancer_.Serve({MakeService(kWeb4, reals)});
    EXPECT_EQ(RealsInUse(balancer_, kWeb4).size(), 64u) << round;
    balancer_.Settle();
  }
}

}  // namespace
}  // namespace lb::testing
