// SPDX-License-Identifier: Apache-2.0
// Connections and changes through the loaded program: one test per row of the state machine.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "lb/flow_table.h"
#include "lbd/model/ring_builder.h"
#include "tests/bpf/balancer.h"
#include "tests/bpf/reference_hash.h"

namespace lb::testing {
namespace {

using dataplane::Service;
using model::RealState;
using model::Tracking;

constexpr uint8_t kSyn = 0x02, kAck = 0x10, kSynAck = 0x12, kFinAck = 0x11, kRst = 0x04;
constexpr uint32_t kFlows = 200;
// Until a window of 900 s is over by a clock of whole seconds: the first was already under way.
constexpr uint32_t kWindow = 900 + 1;
constexpr int kSweep = 5;

const IpAddress kA = Real4(1), kB = Real6(2), kC = Real4(3), kD = Real6(4);

// VIPs of each family and protocol: what holds for one holds for all.
class TrackingTest : public ::testing::TestWithParam<const char*> {
 protected:
  explicit TrackingTest(const model::Settings& settings = {}) : balancer_(settings) {}

  const model::VipKey vip_ = Key(GetParam());

  // All slots lead to `owner`.
  Service AllTo(const std::vector<IpAddress>& reals, const IpAddress& owner, int bits = 8) const {
    const auto at = std::ranges::find(reals, owner);
    return MakeService(vip_, reals,
                       model::Ring(size_t{1} << bits,
                                   static_cast<uint16_t>(1 + std::distance(reals.begin(), at))));
  }
  void Serve(const Service& service) { balancer_.Serve({service}); }

  // The real of one packet; empty: dropped for want of a real.
  std::optional<IpAddress> Send(uint32_t flow, uint8_t tcp_flags) {
    const ProgRun run = balancer_.SendFast(Flow(flow, vip_, tcp_flags));
    if (run.action == XDP_DROP) return std::nullopt;
    EXPECT_EQ(run.action, XDP_TX);
    return RealOf(run.out);
  }
  std::set<std::optional<IpAddress>> SendAll(uint32_t first, uint8_t tcp_flags) {
    std::set<std::optional<IpAddress>> reals;
    for (uint32_t flow = first; flow < first + kFlows; ++flow) reals.insert(Send(flow, tcp_flags));
    return reals;
  }
  static std::set<std::optional<IpAddress>> Only(const IpAddress& real) { return {real}; }

  dataplane::TrackingStats Stats() {
    return balancer_.forwarder().ReadVipCounters().at(0).tracking;
  }
  std::vector<dataplane::TrackedFlow> Flows() {
    return balancer_.forwarder().ListFlows(vip_, 1 << 20);
  }
  void PassAndSweep(uint32_t seconds, int sweeps = 1) {
    balancer_.Pass(seconds);
    for (int i = 0; i < sweeps; ++i) {
      if (i > 0) balancer_.Pass(kSweep);
      balancer_.Sweep();
    }
  }
  // Every bucket is full of other flows, which are as old as they are to be.
  void FillTable(uint32_t age_ticks = 0) {
    for (lb_flow_bucket& bucket : balancer_.flow_table()) {
      for (__u64& entry : bucket.entries) {
        if (entry == 0) entry = lb_flow_entry(0x12345, Tick() - age_ticks, 1);
      }
    }
  }
  void EmptyTable() {
    for (lb_flow_bucket& bucket : balancer_.flow_table()) bucket = {};
  }
  static uint32_t Tick() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<uint32_t>(
        (uint64_t(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec)) >>
        LB_FLOW_TICK_SHIFT);
  }

  Balancer balancer_;
};

class TcpTrackingTest : public TrackingTest {};
INSTANTIATE_TEST_SUITE_P(Vips, TcpTrackingTest,
                         ::testing::Values("192.0.2.80:80/tcp", "[2001:db8:5::80]:80/tcp",
                                           "192.0.2.80:any/tcp"));

TEST_P(TcpTrackingTest, StableSlotsNeedNoTable) {
  Serve(AllTo({kA, kB}, kA));
  for (const uint8_t flags : {kSyn, kAck, kFinAck, kRst}) EXPECT_EQ(SendAll(0, flags), Only(kA));
  EXPECT_FALSE(balancer_.HasFlows());
  EXPECT_EQ(Stats().flow_capacity, 0u);
  EXPECT_FALSE(balancer_.forwarder().needs_sweep());
}

TEST_P(TcpTrackingTest, SynFloodTakesNoEntryOnStableSlots) {
  constexpr uint32_t kFlood = 20'000;
  const auto flood = [&](uint32_t first) {
    for (uint32_t flow = first; flow < first + kFlood; ++flow) Send(flow, kSyn);
  };
  Serve(AllTo({kA, kB}, kA));
  flood(0);
  EXPECT_FALSE(balancer_.HasFlows());
  Service change = AllTo({kA, kB}, kA);
  model::Ring ring = *change.ring;
  std::fill_n(ring.begin(), 3, uint16_t{2});  // 3 of 256 slots
  change.ring = std::make_shared<const model::Ring>(ring);
  Serve(change);
  flood(kFlood);
  const auto flows = Flows();
  EXPECT_GT(flows.size(), kFlood * 2 / 256);
  EXPECT_LT(flows.size(), kFlood * 4 / 256);
  for (const dataplane::TrackedFlow& flow : flows) EXPECT_LT(flow.slot, 3u);
}

TEST_P(TcpTrackingTest, ChangingSlotsKeepConnectionsAndGiveNewOnesToTheNextOwner) {
  Serve(AllTo({kA, kB}, kA));
  EXPECT_EQ(SendAll(0, kSyn), Only(kA));
  Serve(AllTo({kA, kB}, kB));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(1000, kSyn), Only(kB));
  EXPECT_EQ(SendAll(1000, kAck), Only(kB));
  EXPECT_EQ(SendAll(2000, kSynAck), Only(kA));  // opens nothing
  EXPECT_EQ(Flows().size(), 3 * kFlows);
  const dataplane::TrackingStats stats = Stats();
  EXPECT_EQ(stats.changing_slots, stats.slots);
  EXPECT_GT(stats.flow_capacity, 3 * kFlows);
}

TEST_P(TcpTrackingTest, AfterTheWindowUnknownFlowsFollowAndKnownOnesStay) {
  Serve(AllTo({kA, kB}, kA));
  Serve(AllTo({kA, kB}, kB));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  PassAndSweep(kWindow - 1);
  EXPECT_EQ(SendAll(1000, kAck), Only(kA));
  PassAndSweep(1);
  EXPECT_EQ(SendAll(2000, kAck), Only(kB));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(1000, kAck), Only(kA));
  EXPECT_EQ(SendAll(3000, kSyn), Only(kB));
  EXPECT_EQ(Flows().size(), 2 * kFlows);  // settling slots record nothing
  EXPECT_EQ(Stats().settling_slots, Stats().slots);
}

TEST_P(TcpTrackingTest, IdleFlowsAreForgottenAndSlotsBecomeStable) {
  Serve(AllTo({kA, kB}, kA));
  Serve(AllTo({kA, kB}, kB));
  SendAll(0, kAck);
  PassAndSweep(kWindow);
  PassAndSweep(2400);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  PassAndSweep(3550, 5);
  EXPECT_EQ(Flows().size(), kFlows);
  PassAndSweep(100);
  EXPECT_EQ(Flows().size(), 0u);
  EXPECT_GT(Stats().settling_slots, 0u);
  PassAndSweep(kSweep);
  EXPECT_EQ(Stats().settling_slots, 0u);
  EXPECT_EQ(Stats().flow_capacity, 0u);
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
  EXPECT_FALSE(balancer_.forwarder().needs_sweep());
}

TEST_P(TcpTrackingTest, EndedFlowsAreForgottenSoonButNotAtOnce) {
  for (const uint8_t end : {kFinAck, kRst}) {
    Serve(AllTo({kA, kB}, kA));
    Serve(AllTo({kA, kB}, kB));
    SendAll(0, kAck);
    EXPECT_EQ(SendAll(0, end), Only(kA));
    EXPECT_EQ(SendAll(1000, end), Only(kA));  // also where nothing was known
    for (const auto& flow : Flows()) EXPECT_TRUE(flow.ended);
    PassAndSweep(kWindow);
    EXPECT_EQ(Flows().size(), 0u);
    Serve(AllTo({kA, kB}, kA));
    SendAll(0, kSyn);
    SendAll(0, kAck);
    SendAll(0, end);
    PassAndSweep(30);
    EXPECT_EQ(SendAll(0, kAck), Only(kA));  // the last words
    PassAndSweep(60);
    EXPECT_EQ(Flows().size(), 0u);
    balancer_.Settle();
  }
}

TEST_P(TcpTrackingTest, NewConnectionWithTheAddressesOfAnOldOneGoesToTheNextOwner) {
  Serve(AllTo({kA, kB}, kA));
  Serve(AllTo({kA, kB}, kB));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(0, kSyn), Only(kB));
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
  PassAndSweep(kWindow);
  SendAll(1000, kAck);
  Serve(AllTo({kA, kB}, kA));  // B, then A
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
  EXPECT_EQ(SendAll(0, kSyn), Only(kA));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
}

TEST_P(TcpTrackingTest, TargetThatComesBackLosesNobody) {
  Serve(AllTo({kA, kB}, kA));
  Serve(AllTo({kA, kB}, kB));
  SendAll(0, kSyn);
  Serve(AllTo({kA, kB}, kA));
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
  EXPECT_EQ(SendAll(1000, kAck), Only(kA));
  EXPECT_EQ(SendAll(2000, kSyn), Only(kA));
  EXPECT_EQ(Flows().size(), kFlows);
  PassAndSweep(kWindow);
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
}

TEST_P(TcpTrackingTest, ChangeDuringAChangeKeepsAllThreeGenerations) {
  Serve(AllTo({kA, kB, kC}, kA));
  Serve(AllTo({kA, kB, kC}, kB));
  EXPECT_EQ(SendAll(1000, kSyn), Only(kB));
  PassAndSweep(600);
  Serve(AllTo({kA, kB, kC}, kC));
  EXPECT_EQ(SendAll(2000, kSyn), Only(kC));
  PassAndSweep(600);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(1000, kAck), Only(kB));
  PassAndSweep(kWindow - 600);
  EXPECT_EQ(SendAll(3000, kAck), Only(kC));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(1000, kAck), Only(kB));
  EXPECT_EQ(SendAll(2000, kAck), Only(kC));
}

TEST_P(TcpTrackingTest, RefusedConnectionStaysWithTheOldOwner) {
  Serve(AllTo({kA, kB}, kA));
  Serve(AllTo({kA, kB}, kB));
  FillTable();
  EXPECT_EQ(SendAll(0, kSyn), Only(kA));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  // And its slot waits until it had its chance.
  PassAndSweep(kWindow);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EmptyTable();
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  PassAndSweep(kWindow);
  PassAndSweep(kWindow);
  EXPECT_EQ(SendAll(1000, kAck), Only(kB));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
}

TEST_P(TcpTrackingTest, VipWithoutRoomInTheTableKeepsItsConnectionsUntilThereIsSome) {
  // The largest part goes to another VIP.
  const model::VipKey greedy = {kVip4, 443, model::Protocol::kTcp};
  Service other = MakeService(greedy, {kC});
  other.vip.tracking = Tracking::kAlways;
  other.vip.flows.entries = 1 << 20;
  balancer_.Serve({other});
  ASSERT_EQ(Stats().flow_capacity, 1u << 20);
  balancer_.Serve({other, AllTo({kA, kB}, kA)});
  balancer_.Serve({other, AllTo({kA, kB}, kB)});
  EXPECT_EQ(SendAll(0, kSyn), Only(kA));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  PassAndSweep(kWindow, 3);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  balancer_.Serve({AllTo({kA, kB}, kB)});
  PassAndSweep(kSweep);
  EXPECT_EQ(SendAll(2000, kSyn), Only(kB));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  PassAndSweep(kWindow);
  PassAndSweep(kWindow);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(2000, kAck), Only(kB));
  EXPECT_EQ(SendAll(3000, kAck), Only(kB));
}

TEST_P(TcpTrackingTest, DrainingRealKeepsItsConnections) {
  Serve(AllTo({kA, kB}, kA));
  SendAll(0, kSyn);
  Service drained = AllTo({kA, kB}, kB);
  drained.vip.reals[0].state = RealState::kDraining;
  Serve(drained);
  EXPECT_EQ(SendAll(1000, kSyn), Only(kB));
  for (int i = 0; i < 10; ++i) {
    PassAndSweep(800);
    ASSERT_EQ(SendAll(0, kAck), Only(kA)) << i;
  }
  balancer_.Sweep();
  EXPECT_EQ(balancer_.forwarder().ReadVipCounters().at(0).reals.at(0).flows, kFlows);
}

TEST_P(TcpTrackingTest, RealThatFailsItsCheckKeepsItsConnectionsThroughTheWindow) {
  Serve(AllTo({kA, kB}, kA));
  Service down = AllTo({kA, kB}, kB);
  down.vip.reals[0].state = RealState::kDown;
  Serve(down);
  EXPECT_EQ(SendAll(1000, kSyn), Only(kB));
  PassAndSweep(kWindow - 1);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  PassAndSweep(1);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(2000, kAck), Only(kB));
  Serve(AllTo({kA, kB}, kA));  // back
  EXPECT_EQ(SendAll(3000, kSyn), Only(kA));
  for (const uint32_t first : {1000, 2000}) EXPECT_EQ(SendAll(first, kAck), Only(kB));
}

TEST_P(TcpTrackingTest, DownRealDoesNotWaitWhileConnectionsAreRefused) {
  Serve(AllTo({kA, kB}, kA));
  Service down = AllTo({kA, kB}, kB);
  down.vip.reals[0].state = RealState::kDown;
  Serve(down);
  FillTable();
  EXPECT_EQ(SendAll(0, kSyn), Only(kA));
  PassAndSweep(kSweep);
  EXPECT_EQ(SendAll(0, kSyn), Only(kB));
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
}

TEST_P(TcpTrackingTest, RemovedRealGetsNothingAtOnce) {
  Serve(AllTo({kA, kB, kC}, kA));
  Serve(AllTo({kA, kB, kC}, kB));
  SendAll(0, kAck);
  SendAll(1000, kSyn);
  Serve(AllTo({kB, kC}, kB));  // A goes: old owner and entries
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
  EXPECT_EQ(SendAll(1000, kAck), Only(kB));
  EXPECT_EQ(SendAll(2000, kAck), Only(kB));
  Serve(AllTo({kC}, kC));  // B goes without a drain
  for (const uint32_t first : {0, 1000, 2000}) EXPECT_EQ(SendAll(first, kAck), Only(kC));
}

// The peers' mistake: numbers are recycled while flow entries still name them.
TEST_P(TcpTrackingTest, NumberOfARemovedRealRestsForTwoSweeps) {
  const auto number = [&] { return balancer_.Table<uint16_t>("lb_ring_next")[0]; };
  for (const int sweeps : {0, 1, 2}) {
    Balancer fresh;
    std::swap(balancer_, fresh);
    Serve(AllTo({kA, kB}, kB));
    ASSERT_EQ(number(), 2);
    Serve(AllTo({kA}, kA));
    PassAndSweep(kSweep, sweeps);
    Serve(AllTo({kA, kC}, kC));
    EXPECT_EQ(number(), sweeps < 2 ? 3 : 2) << sweeps;
  }
}

TEST_P(TcpTrackingTest, EntryOfARemovedRealThatWasOnItsWayIsRemovedToo) {
  Serve(AllTo({kA, kB}, kB));
  Serve(AllTo({kA, kB}, kA));
  SendAll(0, kAck);
  const std::vector<lb_flow_bucket> before(balancer_.flow_table().begin(),
                                           balancer_.flow_table().end());
  Serve(AllTo({kA}, kA));
  EXPECT_FALSE(balancer_.HasFlows());
  std::ranges::copy(before, balancer_.flow_table().begin());
  balancer_.Sweep();
  EXPECT_FALSE(balancer_.HasFlows());
}

TEST_P(TcpTrackingTest, NoneBreaksConnectionsAndRecordsNothing) {
  Service before = AllTo({kA, kB}, kA), after = AllTo({kA, kB}, kB);
  before.vip.tracking = after.vip.tracking = Tracking::kNone;
  Serve(before);
  EXPECT_EQ(SendAll(0, kSyn), Only(kA));
  Serve(after);
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
  EXPECT_FALSE(balancer_.HasFlows());
}

TEST_P(TcpTrackingTest, AlwaysRecordsEveryFlowOfEverySlot) {
  Service before = AllTo({kA, kB}, kA), after = AllTo({kA, kB}, kB);
  before.vip.tracking = after.vip.tracking = Tracking::kAlways;
  Serve(before);
  EXPECT_EQ(SendAll(0, kSyn), Only(kA));
  EXPECT_EQ(SendAll(1000, kAck), Only(kA));
  EXPECT_EQ(Flows().size(), 2 * kFlows);
  PassAndSweep(kSweep, 4);
  EXPECT_EQ(Flows().size(), 2 * kFlows);
  Serve(after);
  PassAndSweep(3000);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(2000, kSyn), Only(kB));
}

TEST_P(TcpTrackingTest, AlwaysMakesRoomByTheOldest) {
  Service service = AllTo({kA, kB}, kA);
  service.vip.tracking = Tracking::kAlways;
  Serve(service);
  FillTable(9);
  EXPECT_EQ(SendAll(0, kSyn), Only(kA));
  const auto flows = Flows();
  EXPECT_GE(std::ranges::count_if(flows, [](const auto& f) { return f.fingerprint != 0x12345; }),
            ptrdiff_t{kFlows - 5});
}

// The rings of which health decides, as the daemon builds them.
Service WithHealth(const model::VipKey& key, const std::vector<RealState>& states) {
  Service service{.vip = {.key = key}, .ring = nullptr};
  std::vector<model::RingMember> members;
  for (size_t i = 0; i < states.size(); ++i) {
    service.vip.reals.push_back({.address = Real4(static_cast<int>(i + 1)), .state = states[i]});
    members.push_back({.address = service.vip.reals.back().address,
                       .weight = 100,
                       .usable = states[i] == RealState::kActive});
  }
  const auto& builder = model::GetRingBuilder(model::RingScheme::kRendezvous);
  service.ring = std::make_shared<const model::Ring>(
      model::OverlayHealth(builder.BuildPrimary(members, 10), members));
  return service;
}

TEST_P(TcpTrackingTest, DecisionsDoNotDependOnTheHistoryOfFlaps) {
  std::mt19937 random(7);
  std::vector<RealState> states(8, RealState::kActive);
  for (int flap = 0; flap < 40; ++flap) {
    states[random() % states.size()] = random() % 2 == 0 ? RealState::kDown : RealState::kActive;
    Serve(WithHealth(vip_, states));
    if (flap % 3 == 0) PassAndSweep(random() % (2 * kWindow));
  }
  states.back() = RealState::kActive;
  Serve(WithHealth(vip_, states));
  Balancer newcomer;
  newcomer.Serve({WithHealth(vip_, states)});
  const auto of_newcomer = [&](uint32_t flow, uint8_t flags) {
    return RealOf(newcomer.SendFast(Flow(flow, vip_, flags)).out);
  };
  // New connections at once, the rest when all windows are over.
  for (uint32_t flow = 0; flow < 2000; ++flow) {
    ASSERT_EQ(Send(flow, kSyn), of_newcomer(flow, kSyn)) << flow;
  }
  balancer_.Settle();
  for (uint32_t flow = 0; flow < 2000; ++flow) {
    ASSERT_EQ(Send(flow, kAck), of_newcomer(flow, kAck)) << flow;
  }
}

TEST_P(TcpTrackingTest, MaglevImpliesAlways) {
  Service service = AllTo({kA, kB}, kA);
  service.vip.ring.scheme = model::RingScheme::kMaglev;
  Serve(service);
  SendAll(0, kSyn);
  EXPECT_EQ(Flows().size(), kFlows);
}

TEST_P(TcpTrackingTest, FromAlwaysToAutoAndBackNoConnectionMoves) {
  Service always = AllTo({kA, kB}, kA);
  always.vip.tracking = Tracking::kAlways;
  Serve(AllTo({kA, kB}, kA));
  SendAll(0, kSyn);
  Serve(always);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(Flows().size(), kFlows);
  Serve(AllTo({kA, kB}, kA));
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  PassAndSweep(kSweep, 3);
  EXPECT_FALSE(balancer_.HasFlows());
  EXPECT_EQ(Stats().flow_capacity, 0u);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
}

TEST_P(TcpTrackingTest, LargerRingKeepsFlows) {
  Serve(AllTo({kA, kB}, kA, 14));
  Serve(AllTo({kA, kB}, kB, 14));
  SendAll(0, kAck);
  SendAll(1000, kSyn);
  PassAndSweep(600);
  Serve(AllTo({kA, kB, kC}, kC, 16));
  EXPECT_EQ(Stats().slots, 1u << 16);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(1000, kAck), Only(kB));
  EXPECT_EQ(SendAll(2000, kAck), Only(kA));
  EXPECT_EQ(SendAll(3000, kSyn), Only(kC));
  PassAndSweep(kWindow);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(1000, kAck), Only(kB));
  EXPECT_EQ(SendAll(2000, kAck), Only(kA));
  EXPECT_EQ(SendAll(3000, kAck), Only(kC));
  EXPECT_EQ(SendAll(4000, kAck), Only(kC));
}

TEST_P(TcpTrackingTest, SmallerRingComesWhenAllIsStable) {
  Serve(AllTo({kA, kB}, kA, 16));
  Serve(AllTo({kA, kB}, kB, 14));
  EXPECT_EQ(Stats().slots, 1u << 16);
  SendAll(0, kAck);
  SendAll(1000, kSyn);
  PassAndSweep(kWindow, 4);
  EXPECT_EQ(Stats().slots, 1u << 16);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  balancer_.Settle();
  EXPECT_EQ(Stats().slots, 1u << 14);
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
  EXPECT_FALSE(balancer_.forwarder().needs_sweep());
}

TEST_P(TcpTrackingTest, RingsThatGrowAndShrinkLeakNothing) {
  model::Settings small;
  small.limits = {.vips = 2, .reals = 64, .ring_slots = 1 << 14, .flows = 1 << 10};
  Balancer fresh(small);
  std::swap(balancer_, fresh);
  for (int i = 0; i < 60 && !HasFailure(); ++i) {
    Serve(AllTo({kA, kB, kC}, i % 3 == 0 ? kA : kB, i % 2 == 0 ? 11 : 12));
    balancer_.Settle();
    EXPECT_EQ(Stats().slots, i % 2 == 0 ? 1u << 11 : 1u << 12);
  }
}

TEST_P(TcpTrackingTest, PurgeEndsTheFlowsOfOneReal) {
  Serve(AllTo({kA, kB, kC}, kA));
  Serve(AllTo({kA, kB, kC}, kB));
  SendAll(0, kAck);
  SendAll(1000, kSyn);
  EXPECT_EQ(balancer_.forwarder().PurgeFlows(vip_, kD), 0u);
  EXPECT_EQ(balancer_.forwarder().PurgeFlows(vip_, kA), kFlows);
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
  EXPECT_EQ(SendAll(1000, kAck), Only(kB));
  EXPECT_EQ(SendAll(2000, kAck), Only(kB));
}

TEST_P(TcpTrackingTest, PurgeOfAVipEndsAllWindows) {
  Serve(AllTo({kA, kB, kC}, kA));
  Serve(AllTo({kA, kB, kC}, kB));
  SendAll(0, kAck);
  SendAll(1000, kSyn);
  EXPECT_EQ(balancer_.forwarder().PurgeFlows(vip_, {}), 2 * kFlows);
  EXPECT_EQ(balancer_.forwarder().PurgeFlows({kVip6, 1, model::Protocol::kUdp}, {}), 0u);
  for (const uint32_t first : {0, 1000, 2000}) EXPECT_EQ(SendAll(first, kAck), Only(kB));
  PassAndSweep(kSweep, 3);
  EXPECT_EQ(Stats().settling_slots, 0u);
}

TEST_P(TcpTrackingTest, ListShowsWhatIsKnown) {
  Serve(AllTo({kA, kB}, kA));
  Serve(AllTo({kA, kB}, kB));
  Send(7, kAck);
  balancer_.Pass(100);
  Send(8, kSyn);
  Send(8, kRst);
  const uint64_t hash7 = FlowHash(balancer_.settings().hash_key, 7, vip_);
  const uint64_t hash8 = FlowHash(balancer_.settings().hash_key, 8, vip_);
  auto flows = Flows();
  ASSERT_EQ(flows.size(), 2u);
  if (flows[0].fingerprint != hash7 >> 24) std::swap(flows[0], flows[1]);
  EXPECT_EQ(flows[0].fingerprint, hash7 >> 24);
  EXPECT_EQ(flows[0].slot, hash7 >> 56);
  EXPECT_EQ(flows[0].real, kA);
  EXPECT_NEAR(flows[0].idle_seconds, 94, 17);
  EXPECT_FALSE(flows[0].ended);
  EXPECT_EQ(flows[1].fingerprint, hash8 >> 24);
  EXPECT_EQ(flows[1].real, kB);
  EXPECT_LE(flows[1].idle_seconds, 17u);
  EXPECT_TRUE(flows[1].ended);
  EXPECT_EQ(balancer_.forwarder().ListFlows(vip_, 1).size(), 1u);
}

TEST_P(TcpTrackingTest, NextProcessGoesOnWhereTheFirstStopped) {
  Serve(AllTo({kA, kB, kC}, kA, 10));
  Serve(AllTo({kA, kB, kC}, kB, 10));
  SendAll(0, kAck);
  SendAll(1000, kSyn);
  PassAndSweep(kWindow);
  Serve(AllTo({kA, kB, kC}, kC, 10));
  SendAll(2000, kSyn);
  balancer_.Restart({AllTo({kA, kB, kC}, kC, 10)});
  EXPECT_EQ(Flows().size(), 3 * kFlows);
  EXPECT_EQ(Stats().changing_slots, Stats().slots);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(1000, kAck), Only(kB));
  EXPECT_EQ(SendAll(2000, kAck), Only(kC));
  EXPECT_EQ(SendAll(3000, kAck), Only(kB));
  EXPECT_EQ(SendAll(4000, kSyn), Only(kC));
  PassAndSweep(kWindow - 1);
  EXPECT_EQ(SendAll(5000, kAck), Only(kB));
  PassAndSweep(1);
  EXPECT_EQ(SendAll(6000, kAck), Only(kC));
  EXPECT_EQ(SendAll(3000, kAck), Only(kB));
}

TEST_P(TcpTrackingTest, NextProcessKnowsWhatWasRecordedWhileItTookOver) {
  Serve(AllTo({kA, kB}, kA));
  Serve(AllTo({kA, kB}, kB));
  SendAll(0, kAck);
  SendAll(500, kSyn);
  std::map<uint32_t, std::optional<IpAddress>> reals;
  uint32_t flow = 1000;
  balancer_.Restart({AllTo({kA, kB}, kB)}, [&] {
    for (uint32_t i = 0; i < kFlows; ++i, ++flow) {
      reals[flow] = Send(flow, kSyn);
      reals[flow + 10'000] = Send(flow + 10'000, kAck);
      reals[flow % 1000 % kFlows] = Send(flow % 1000 % kFlows, kSyn);  // addresses used again
      reals[500 + flow % 1000 % kFlows] = Send(500 + flow % 1000 % kFlows, kAck);
    }
  });
  ASSERT_EQ(reals.size(), 6 * kFlows);
  for (const auto& [number, real] : reals) ASSERT_EQ(Send(number, kAck), real) << number;
}

// Settings that differ in nothing but what the image says: the target is compared all the same.
TEST_P(TcpTrackingTest, NextProcessBringsSlotsBackToARealThatWasDown) {
  const Service up = AllTo({kA, kB}, kA);
  Service down = AllTo({kA, kB}, kB);
  down.vip.reals[0].state = RealState::kDown;
  Serve(up);
  Serve(down);
  PassAndSweep(kWindow, 4);
  EXPECT_EQ(SendAll(0, kSyn), Only(kB));
  balancer_.Restart({up});
  EXPECT_EQ(SendAll(0, kAck), Only(kB));
  EXPECT_EQ(SendAll(1000, kSyn), Only(kA));
}

TEST_P(TcpTrackingTest, NextProcessMayHaveOtherRealsAndAnotherRing) {
  Serve(AllTo({kA, kB, kC}, kA, 10));
  Serve(AllTo({kA, kB, kC}, kB, 10));
  SendAll(0, kAck);
  SendAll(1000, kSyn);
  balancer_.Restart({AllTo({kD, kA}, kD, 12)});
  EXPECT_EQ(Stats().slots, 1u << 12);
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(1000, kAck), Only(kA));  // B went, the old owner is A
  EXPECT_EQ(SendAll(2000, kSyn), Only(kD));
  balancer_.Settle();
  EXPECT_EQ(SendAll(0, kAck), Only(kD));
}

TEST_P(TcpTrackingTest, NextProcessWithoutTheVipForgetsIt) {
  Serve(AllTo({kA, kB}, kA));
  Serve(AllTo({kA, kB}, kB));
  SendAll(0, kAck);
  balancer_.Restart({});
  EXPECT_EQ(balancer_.Send(Flow(0, vip_)).verdict, LB_NOT_VIP);
  EXPECT_FALSE(balancer_.HasFlows());
}

TEST_P(TcpTrackingTest, ThawedProgramRecordsAgain) {
  Serve(AllTo({kA, kB}, kA));
  Serve(AllTo({kA, kB}, kB));
  SendAll(0, kAck);
  auto image = dataplane::Image::Open(balancer_.forwarder().program().id());
  ASSERT_TRUE(image.ok());
  image->Freeze();
  EXPECT_EQ(SendAll(0, kSyn), Only(kA));
  EXPECT_EQ(SendAll(1000, kSyn), Only(kA));
  EXPECT_EQ(Flows().size(), kFlows);
  image->Thaw();
  EXPECT_EQ(SendAll(0, kAck), Only(kA));
  EXPECT_EQ(SendAll(1000, kAck), Only(kA));
  EXPECT_EQ(SendAll(2000, kSyn), Only(kB));
  EXPECT_EQ(Flows().size(), 3 * kFlows);
}

class UdpTrackingTest : public TrackingTest {};
INSTANTIATE_TEST_SUITE_P(Vips, UdpTrackingTest,
                         ::testing::Values("192.0.2.80:53/udp", "[2001:db8:5::80]:53/udp"));

TEST_P(UdpTrackingTest, FlowsStayWithTheOldOwnerForAWindowOfAMinute) {
  Serve(AllTo({kA, kB}, kA));
  SendAll(0, 0);
  Serve(AllTo({kA, kB}, kB));
  EXPECT_EQ(SendAll(0, 0), Only(kA));
  EXPECT_EQ(SendAll(1000, 0), Only(kA));  // nobody can tell that it is new
  PassAndSweep(60 + 1);
  EXPECT_EQ(SendAll(0, 0), Only(kA));
  EXPECT_EQ(SendAll(2000, 0), Only(kB));
  PassAndSweep(90);
  EXPECT_EQ(SendAll(0, 0), Only(kA));
  PassAndSweep(160, 3);
  EXPECT_EQ(SendAll(0, 0), Only(kB));
  EXPECT_FALSE(balancer_.HasFlows());
}

TEST_P(UdpTrackingTest, DownRealLosesItsFlowsAtOnce) {
  Serve(AllTo({kA, kB}, kA));
  Serve(AllTo({kA, kB}, kB));
  SendAll(0, 0);
  Serve(AllTo({kA, kB}, kA));
  Service down = AllTo({kA, kB}, kB);
  down.vip.reals[0].state = RealState::kDown;
  Serve(down);
  EXPECT_EQ(SendAll(0, 0), Only(kB));
  EXPECT_EQ(SendAll(1000, 0), Only(kB));
}

TEST_P(UdpTrackingTest, DrainingRealKeepsItsFlows) {
  Serve(AllTo({kA, kB}, kA));
  Service drained = AllTo({kA, kB}, kB);
  drained.vip.reals[0].state = RealState::kDraining;
  Serve(drained);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(SendAll(0, 0), Only(kA));
    PassAndSweep(55);
  }
  EXPECT_EQ(SendAll(1000, 0), Only(kB));
}

}  // namespace
}  // namespace lb::testing
