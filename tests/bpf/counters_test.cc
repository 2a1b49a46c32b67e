// SPDX-License-Identifier: Apache-2.0
// Counters are exact, and outlive whatever changes around them.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <atomic>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

const model::VipKey kWeb4 = {kVip4, 80, model::Protocol::kTcp};
const model::VipKey kWeb6 = {kVip6, 80, model::Protocol::kTcp};
const model::VipKey kEmpty = {kVip4, 81, model::Protocol::kTcp};
const model::VipKey kUnreachable = {kVip4, 82, model::Protocol::kTcp};

std::vector<IpAddress> RealsUpTo(int count) {
  std::vector<IpAddress> reals;
  for (int i = 1; i <= count; ++i) reals.push_back(i % 2 == 0 ? Real6(i) : Real4(i));
  return reals;
}

void SendFlows(Balancer& balancer, const model::VipKey& vip, uint32_t count) {
  for (uint32_t flow = 0; flow < count; ++flow) balancer.SendFast(Flow(flow, vip));
}

std::map<IpAddress, dataplane::Counter> CountersOf(Balancer& balancer, const model::VipKey& vip) {
  std::map<IpAddress, dataplane::Counter> result;
  for (const auto& counters : balancer.forwarder().ReadVipCounters()) {
    if (counters.key != vip) continue;
    for (const auto& real : counters.reals) result[real.address] = real.counter;
  }
  return result;
}

dataplane::Counter SumOf(const std::map<IpAddress, dataplane::Counter>& counters) {
  dataplane::Counter sum;
  for (const auto& [address, counter] : counters) sum += counter;
  return sum;
}

// By VIP.
std::map<model::VipKey, uint64_t> DroppedOf(Balancer& balancer) {
  std::map<model::VipKey, uint64_t> dropped;
  for (const auto& vip : balancer.forwarder().ReadVipCounters()) {
    if (vip.total.dropped > 0) dropped[vip.key] = vip.total.dropped;
  }
  return dropped;
}

uint64_t ForwardedOf(Balancer& balancer) { return balancer.forwarder().ReadVerdicts()[LB_FORWARD]; }

IpHeader ToVip() { return {.source = kClient4, .destination = kVip4}; }

TEST(CountersTest, EveryVerdictIsCountedOncePerPacket) {
  model::Settings settings;
  settings.decap.addresses = {kHost4};
  Balancer balancer(settings, LB_FEATURES);
  dataplane::Service closed = MakeService({kVip4, 8001, model::Protocol::kTcp}, {Real4(1)});
  closed.vip.sources.deny = {IpPrefix::Parse("0.0.0.0/0").value()};
  dataplane::Service near = MakeService({kVip4, 8002, model::Protocol::kTcp}, {Real4(3)});
  near.vip.reals[0].encap = model::Encap::kL2;
  balancer.Serve({MakeService(kWeb4, {Real4(1)}), MakeService(kEmpty, {}),
                  MakeService(kUnreachable, {Real4(2)}), MakeService(kWeb6, {}), closed, near});
  dataplane::NextHop neighbour = Gateway();
  neighbour.via = Real4(3);
  balancer.SetNextHops({{Real4(1), Gateway()}, {Real4(3), neighbour}});
  const Bytes web = Ethernet({}, Ip(ToVip(), Tcp({})));
  std::map<lb_verdict, Bytes> frames;
  frames[LB_FORWARD] = web;
  frames[LB_ECHO_REPLY] = Ethernet({}, Ip(ToVip(), Icmp({})));
  frames[LB_NOT_IP] = Ethernet({.type = 0x0806}, Opaque(0, "who has"));
  frames[LB_NOT_VIP] = Ethernet({}, Ip({.source = kClient4, .destination = kHost4}, Tcp({})));
  frames[LB_TRUNCATED] = Ethernet({}, Ip(ToVip(), Opaque(6, "short")));
  IpHeader header = ToVip();
  header.version = 5;
  frames[LB_BAD_HEADER] = Ethernet({}, Ip(header, Tcp({})));
  frames[LB_BAD_LENGTH] = Truncated(web, web.size() - 1);
  frames[LB_EXTENSIONS] = Ethernet(
      {}, Ip({.source = kClient6, .destination = kVip6}, Extension(kHopByHop, Tcp({}), 256)));
  header = ToVip();
  header.fragment = 0x0001;
  frames[LB_FRAGMENT] = Ethernet({}, Ip(header, Tcp({})));
  frames[LB_NO_REAL] = Ethernet({}, Ip(ToVip(), Tcp({.destination = kEmpty.port})));
  frames[LB_NO_NEXT_HOP] = Ethernet({}, Ip(ToVip(), Tcp({.destination = kUnreachable.port})));
  const Segment long_packet = Tcp({}, std::string(1441, 'x'));
  frames[LB_TOO_BIG_REPLY] = Ethernet({}, Ip(ToVip(), long_packet));
  header = ToVip();
  header.source = Address("0.0.0.0");
  frames[LB_TOO_BIG] = Ethernet({}, Ip(header, long_packet));
  frames[LB_TTL_EXPIRED] =
      Ethernet({}, Ip({.source = kClient4, .destination = kHost4, .ttl = 1}, Ip(ToVip(), Tcp({}))));
  frames[LB_ENCAP_FAILED] = web;  // and no headroom
  frames[LB_SOURCE_DENIED] = Ethernet({}, Ip(ToVip(), Tcp({.destination = 8001})));
  frames[LB_L2_LOOP] = Ethernet({.source = kGatewayMac}, Ip(ToVip(), Tcp({.destination = 8002})));
  // Those of rates depend on time: see guard_test; answers to probes need sockets: see probe_test.
  ASSERT_EQ(frames.size(), LB_VERDICT_COUNT - 3) << "a verdict is missing here";

  Verdicts expected{};
  uint64_t sent = 0;
  for (const auto& [verdict, frame] : frames) {
    for (uint64_t i = 0; i < 3u + verdict; ++i, ++sent, ++expected[verdict]) {
      const uint32_t metadata = verdict == LB_ENCAP_FAILED ? 200 : 0;
      EXPECT_EQ(balancer.Send(frame, {.metadata = metadata}).verdict, verdict);
    }
  }
  const Verdicts counted = balancer.forwarder().ReadVerdicts();
  EXPECT_EQ(counted, expected);
  EXPECT_EQ(std::accumulate(counted.begin(), counted.end(), uint64_t{0}), sent);

  // Those that got as far as a VIP count there, too, and at the real if they had one.
  const uint64_t at_real = counted[LB_ENCAP_FAILED] + counted[LB_TOO_BIG];
  const std::map<model::VipKey, uint64_t> dropped = {{kWeb4, at_real},
                                                     {kEmpty, counted[LB_NO_REAL]},
                                                     {kUnreachable, counted[LB_NO_NEXT_HOP]},
                                                     {closed.vip.key, counted[LB_SOURCE_DENIED]},
                                                     {near.vip.key, counted[LB_L2_LOOP]}};
  EXPECT_EQ(DroppedOf(balancer), dropped);
  EXPECT_EQ(balancer.CounterOf(kWeb4, Real4(1)).dropped, at_real);
  EXPECT_EQ(balancer.CounterOf(kUnreachable, Real4(2)).dropped, counted[LB_NO_NEXT_HOP]);
  EXPECT_EQ(balancer.CounterOf(closed.vip.key, Real4(1)), dataplane::Counter{});
}

TEST(CountersTest, WhatIsTooBigIsDroppedAtItsRealWithoutIcmp) {
  model::Settings settings;
  settings.icmp.too_big_per_second = 0;
  Balancer balancer(settings);
  balancer.Serve({MakeService(kWeb4, {Real4(1)})});
  const Bytes frame = Ethernet({}, Ip(ToVip(), Tcp({}, std::string(1441, 'x'))));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(balancer.Send(frame).verdict, LB_TOO_BIG);
  EXPECT_EQ(balancer.CounterOf(kWeb4, Real4(1)), (dataplane::Counter{.dropped = 3}));
}

TEST(CountersTest, PacketsAndBytesPerVipAndRealAreExact) {
  Balancer balancer;
  const std::vector<IpAddress> reals = {Real4(1), Real6(2), Real4(3)};
  balancer.Serve({MakeService(kWeb4, reals), MakeService(kWeb6, reals)});  // shared reals
  std::map<model::VipKey, std::map<IpAddress, dataplane::Counter>> expected;
  for (uint32_t flow = 0; flow < 500; ++flow) {
    const model::VipKey& vip = flow % 3 == 0 ? kWeb6 : kWeb4;
    const bool opens = flow % 5 != 0;
    Bytes frame = Flow(flow, vip, opens ? 0x02 : 0x10);
    const uint64_t ip_length = frame.size() - 14;
    if (flow % 4 == 0) frame.resize(frame.size() + 6);  // padding does not count
    const IpAddress real = RealOf(balancer.SendFast(frame).out);
    expected[vip][real] += {1, ip_length, opens ? 1u : 0u};
  }
  EXPECT_EQ(CountersOf(balancer, kWeb4), expected[kWeb4]);
  EXPECT_EQ(CountersOf(balancer, kWeb6), expected[kWeb6]);
}

// Each step moves the VIP to other regions, or changes it in place.
TEST(CountersTest, CountersSurviveEveryMove) {
  Balancer balancer;
  const std::vector<Services> steps = {
      {MakeService(kWeb4, RealsUpTo(3))},
      {MakeService(kWeb4, RealsUpTo(4))},                                        // in place
      {MakeService(kWeb4, RealsUpTo(40))},                                       // beyond capacity
      {MakeService(kWeb4, RealsUpTo(40), 12)},                                   // larger ring
      {MakeService(kWeb4, RealsUpTo(40), 8), MakeService(kWeb6, RealsUpTo(9))},  // smaller ring
      {MakeService(kWeb6, RealsUpTo(300)), MakeService(kWeb4, RealsUpTo(200), 10)},
      {MakeService(kWeb4, RealsUpTo(201), 10)},
  };
  std::map<IpAddress, dataplane::Counter> before;
  for (const Services& services : steps) {
    balancer.Serve(services);
    const auto after = CountersOf(balancer, kWeb4);
    for (const auto& [address, counter] : after) {
      EXPECT_EQ(counter, before[address]) << address.ToString();
    }
    const uint64_t sum = SumOf(after).packets;
    SendFlows(balancer, kWeb4, 777);
    before = CountersOf(balancer, kWeb4);
    EXPECT_EQ(SumOf(before).packets, sum + 777);
  }
}

TEST(CountersTest, DropsSurviveEveryMove) {
  Balancer balancer;
  const dataplane::Service other = MakeService(kWeb6, RealsUpTo(3));
  balancer.Serve({other, MakeService(kWeb4, {})});
  SendFlows(balancer, kWeb4, 10);  // no real
  balancer.Serve({other, MakeService(kWeb4, {Real4(1)})});
  balancer.SetNextHops({});
  SendFlows(balancer, kWeb4, 5);                                   // no next hop
  balancer.Serve({other, MakeService(kWeb4, RealsUpTo(40), 12)});  // beyond capacity
  EXPECT_EQ(balancer.CounterOf(kWeb4, Real4(1)).dropped, 5u);
  EXPECT_EQ(DroppedOf(balancer)[kWeb4], 15u);
  balancer.Serve({other, MakeService(kWeb4, {})});  // without the real that has some
  SendFlows(balancer, kWeb4, 2);
  EXPECT_EQ(DroppedOf(balancer)[kWeb4], 17u);

  Balancer next;
  next.Serve({MakeService(kWeb4, RealsUpTo(2))});
  next.forwarder().ContinueCounters(balancer.forwarder());
  EXPECT_EQ(DroppedOf(next)[kWeb4], 17u);

  balancer.Serve({other});
  balancer.Serve({MakeService(kEmpty, {}), other, MakeService(kWeb4, {})});  // in freed regions
  EXPECT_EQ(DroppedOf(balancer), (std::map<model::VipKey, uint64_t>{}));
}

TEST(CountersTest, ForwardedPacketsOfWhatIsGoneStayInTheSum) {
  Balancer balancer;
  balancer.Serve({MakeService(kWeb4, RealsUpTo(4)), MakeService(kWeb6, RealsUpTo(4))});
  SendFlows(balancer, kWeb4, 100);
  SendFlows(balancer, kWeb6, 100);
  EXPECT_EQ(ForwardedOf(balancer), 200u);
  balancer.Serve({MakeService(kWeb4, RealsUpTo(2)), MakeService(kWeb6, RealsUpTo(4))});  // reals
  EXPECT_EQ(ForwardedOf(balancer), 200u);
  balancer.Serve({MakeService(kWeb4, RealsUpTo(2))});  // a VIP
  EXPECT_EQ(ForwardedOf(balancer), 200u);
  balancer.Serve({MakeService(kWeb4, {Real4(9)}, 12)});  // all reals, with a move
  EXPECT_EQ(ForwardedOf(balancer), 200u);
  balancer.Serve({});
  EXPECT_EQ(ForwardedOf(balancer), 200u);
}

TEST(CountersTest, EveryPacketIsThatOfOneCpuAndEveryRecordedFlowIsCountedOnce) {
  Balancer balancer;
  balancer.Serve({MakeService(kWeb4, {Real4(1)})});
  SendFlows(balancer, kWeb4, 40);
  balancer.Send(Ethernet({.type = 0x0806}, Opaque(0, "who has")));
  const auto packets = balancer.forwarder().ReadCpuPackets();
  EXPECT_EQ(std::accumulate(packets.begin(), packets.end(), uint64_t{0}), 41u);
  EXPECT_EQ(balancer.forwarder().ReadFlowTableStats().inserted, 0u);  // on stable slots

  balancer.Serve({MakeService(kWeb4, {Real4(1), Real4(2)}, model::Ring(256, 2))});
  for (int again = 0; again < 2; ++again) SendFlows(balancer, kWeb4, 40);
  const dataplane::FlowTableStats stats = balancer.forwarder().ReadFlowTableStats();
  EXPECT_EQ(stats.inserted, 40u);
  EXPECT_EQ(stats.evicted + stats.refused, 0u);
}

TEST(CountersTest, ATotalHasWhatWentToRealsThatAreGone) {
  Balancer balancer;
  balancer.Serve({MakeService(kWeb4, RealsUpTo(4))});
  SendFlows(balancer, kWeb4, 100);
  balancer.Serve({MakeService(kWeb4, {Real4(9)}, 12)});
  SendFlows(balancer, kWeb4, 10);
  const auto vips = balancer.forwarder().ReadVipCounters();
  ASSERT_EQ(vips.size(), 1u);
  EXPECT_EQ(vips[0].total.packets, 110u);
  EXPECT_EQ(vips[0].total.connections, 110u);
}

// The peers' mistake: numbers were recycled while counters still named them.
TEST(CountersTest, NewRealStartsAtZeroWhereverItIsPut) {
  Balancer balancer;
  for (int round = 0; round < 5; ++round) {
    const std::vector<IpAddress> reals = {Real4(100 + 2 * round), Real6(101 + 2 * round)};
    balancer.Serve({MakeService(kWeb4, reals)});
    EXPECT_EQ(SumOf(CountersOf(balancer, kWeb4)), dataplane::Counter{}) << round;
    SendFlows(balancer, kWeb4, 100);
    EXPECT_EQ(SumOf(CountersOf(balancer, kWeb4)).packets, 100u) << round;
  }
  balancer.Serve({});
  balancer.Serve({MakeService(kWeb6, RealsUpTo(2))});  // in the regions that the other VIP left
  EXPECT_EQ(SumOf(CountersOf(balancer, kWeb6)), dataplane::Counter{});
}

TEST(CountersTest, RealThatComesBackStartsAtZero) {
  Balancer balancer;
  balancer.Serve({MakeService(kWeb4, {Real4(1), Real4(2)})});
  SendFlows(balancer, kWeb4, 100);
  balancer.Serve({MakeService(kWeb4, {Real4(1)})});
  balancer.Serve({MakeService(kWeb4, {Real4(1), Real4(2)})});
  EXPECT_EQ(balancer.CounterOf(kWeb4, Real4(2)), dataplane::Counter{});
  EXPECT_EQ(ForwardedOf(balancer), 100u);
}

TEST(CountersTest, AnotherProgramGoesOnCountingWhereTheFirstStopped) {
  Balancer first;
  first.Serve({MakeService(kWeb4, RealsUpTo(3)), MakeService(kWeb6, RealsUpTo(3))});
  SendFlows(first, kWeb4, 300);
  SendFlows(first, kWeb6, 30);
  first.Send(Ethernet({.type = 0x0806}, Opaque(0, "who has")));
  const auto counted = CountersOf(first, kWeb4);

  // Another layout, one real and one VIP less, one real more.
  Balancer second;
  second.Serve({MakeService(kEmpty, {}), MakeService(kWeb4, {Real4(1), Real6(2), Real4(7)}, 10)});
  second.forwarder().ContinueCounters(first.forwarder());
  EXPECT_EQ(second.CounterOf(kWeb4, Real4(1)), counted.at(Real4(1)));
  EXPECT_EQ(second.CounterOf(kWeb4, Real6(2)), counted.at(Real6(2)));
  EXPECT_EQ(second.CounterOf(kWeb4, Real4(7)), dataplane::Counter{});
  EXPECT_EQ(second.forwarder().ReadVerdicts(), first.forwarder().ReadVerdicts());

  SendFlows(second, kWeb4, 50);
  second.Send(Ethernet({.type = 0x0806}, Opaque(0, "who has")));
  EXPECT_EQ(ForwardedOf(second), 380u);

  Balancer third;  // and once more
  third.Serve({MakeService(kWeb4, {Real4(1)})});
  third.forwarder().ContinueCounters(second.forwarder());
  EXPECT_EQ(third.CounterOf(kWeb4, Real4(1)), second.CounterOf(kWeb4, Real4(1)));
  EXPECT_EQ(third.forwarder().ReadVerdicts(), second.forwarder().ReadVerdicts());
  EXPECT_EQ(third.forwarder().ReadVerdicts()[LB_NOT_IP], 2u);
}

// Updates in the middle of traffic: every packet is forwarded to a real that was or is configured,
// and none is counted twice or lost.
TEST(CountersTest, NoPacketIsLostOrCountedTwiceWhileTheTablesChange) {
  Balancer balancer;
  const auto services = [](int step) -> Services {
    return {MakeService(kWeb4, RealsUpTo(3 + step * 7 % 20), 8 + step % 3),
            MakeService(kWeb6, RealsUpTo(1 + step % 5))};
  };
  NextHops hops;
  for (const IpAddress& real : RealsUpTo(40)) hops[real] = Gateway();
  balancer.Serve(services(0));
  balancer.SetNextHops(hops);
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> sent = 0, lost = 0;
  std::thread traffic([&] {
    for (uint32_t flow = 0; !stop; ++flow) {
      const StatusOr<ProgRun> run = RunProgram(balancer.forwarder(), Flow(flow % 5000, kWeb4));
      lost += !run.ok() || run->action != XDP_TX || !hops.contains(RealOf(run->out));
      ++sent;
    }
  });
  for (int step = 1; step <= 40; ++step) {
    const Status status = balancer.forwarder().Update(services(step));
    EXPECT_TRUE(status.ok()) << Message(status);
  }
  stop = true;
  traffic.join();
  EXPECT_EQ(lost, 0u);
  EXPECT_GT(sent, 1000u);
  EXPECT_EQ(ForwardedOf(balancer), sent);
}

}  // namespace
}  // namespace lb::testing
