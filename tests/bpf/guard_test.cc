// SPDX-License-Identifier: Apache-2.0
// Whom a VIP serves: lists of sources, rates of new connections.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "lb/rate.h"
#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kAck = 0x10;
const model::VipKey kWeb4 = {kVip4, 80, model::Protocol::kTcp};
const model::VipKey kWeb6 = {kVip6, 80, model::Protocol::kTcp};

model::SourcePolicy Lists(const std::vector<std::string>& allow,
                          const std::vector<std::string>& deny) {
  model::SourcePolicy policy;
  for (const std::string& text : allow) policy.allow.push_back(IpPrefix::Parse(text).value());
  for (const std::string& text : deny) policy.deny.push_back(IpPrefix::Parse(text).value());
  return policy;
}

dataplane::Service ServiceOf(const model::VipKey& vip, const model::SourcePolicy& sources) {
  dataplane::Service service = MakeService(vip, {Real4(1)});
  service.vip.sources = sources;
  return service;
}

Bytes From(const IpAddress& source, const model::VipKey& vip, uint8_t flags = kSyn,
           uint16_t port = kClientPort) {
  return Ethernet({}, Ip({.source = source, .destination = vip.address},
                         Tcp({.source = port, .flags = flags})));
}

// Of two servers that share a machine, the one that is asked to wait may wait for long: how many
// tokens a bucket may have given since `start`, and must have.
class Clock {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

struct Row {
  const char* source;
  bool served;
};

TEST(SourceListTest, TheLongestPrefixDecides) {
  Balancer balancer({}, LB_FEATURE_SOURCES);
  const auto check = [&](const model::SourcePolicy& policy, const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      const IpAddress source = Address(row.source);
      const model::VipKey& vip = source.is_v4() ? kWeb4 : kWeb6;
      balancer.Serve({ServiceOf(vip, policy)});
      for (const uint8_t flags : {kSyn, kAck}) {
        EXPECT_EQ(balancer.Send(From(source, vip, flags)).verdict,
                  row.served ? LB_FORWARD : LB_SOURCE_DENIED)
            << row.source;
      }
    }
  };
  check({}, {{"198.51.100.7", true}, {"2001:db8::7", true}});
  check(Lists({}, {"198.51.100.0/24"}), {{"198.51.100.0", false},
                                         {"198.51.100.255", false},
                                         {"198.51.99.255", true},
                                         {"198.51.101.0", true}});
  check(Lists({"198.51.100.0/24"}, {}), {{"198.51.100.7", true}, {"198.51.101.7", false}});
  check(Lists({"198.51.100.7/32"}, {"198.51.100.0/24"}),
        {{"198.51.100.7", true}, {"198.51.100.8", false}, {"192.0.2.1", false}});
  check(Lists({"198.51.0.0/16"}, {"198.51.100.0/24", "198.51.100.9/32"}),
        {{"198.51.1.1", true}, {"198.51.100.9", false}, {"203.0.113.1", false}});
  check(Lists({}, {"0.0.0.0/0"}), {{"198.51.100.7", false}});
  check(Lists({"0.0.0.0/0"}, {"10.0.0.0/8"}), {{"198.51.100.7", true}, {"10.9.9.9", false}});
  check(Lists({"2001:db8::/32"}, {"2001:db8:bad::/48"}),
        {{"2001:db8::1", true}, {"2001:db8:bad::1", false}, {"2001:db9::1", false}});
}

TEST(SourceListTest, EachVipHasItsOwn) {
  Balancer balancer({}, LB_FEATURE_SOURCES);
  const model::VipKey other = {kVip4, 443, model::Protocol::kTcp};
  balancer.Serve({ServiceOf(kWeb4, Lists({}, {"198.51.100.0/24"})), ServiceOf(other, {}),
                  ServiceOf(kWeb6, Lists({"2001:db8::/32"}, {}))});
  EXPECT_EQ(balancer.Send(From(kClient4, kWeb4)).verdict, LB_SOURCE_DENIED);
  EXPECT_EQ(balancer
                .Send(Ethernet(
                    {}, Ip({.source = kClient4, .destination = kVip4}, Tcp({.destination = 443}))))
                .verdict,
            LB_FORWARD);
  EXPECT_EQ(balancer.Send(From(kClient6, kWeb6)).verdict, LB_FORWARD);
}

TEST(SourceListTest, ChangesHoldFromTheNextPacketOnAndCountersGoOn) {
  Balancer balancer({}, LB_FEATURE_SOURCES);
  const auto denied = [&] { return balancer.forwarder().ReadVipCounters().at(0).sources.denied; };
  for (int round = 0; round < 5; ++round) {
    balancer.Serve({ServiceOf(kWeb4, Lists({}, {"198.51.100.0/24"}))});
    EXPECT_EQ(balancer.Send(From(kClient4, kWeb4)).verdict, LB_SOURCE_DENIED);
    balancer.Serve({ServiceOf(kWeb4, {})});
    EXPECT_EQ(balancer.Send(From(kClient4, kWeb4)).verdict, LB_FORWARD);
    EXPECT_EQ(denied(), static_cast<uint64_t>(round) + 1);
  }
  balancer.Serve({ServiceOf(kWeb4, Lists({}, {"198.51.100.0/24"}))});
  balancer.Restart({ServiceOf(kWeb4, Lists({}, {"198.51.100.0/24"}))});
  EXPECT_EQ(balancer.Send(From(kClient4, kWeb4)).verdict, LB_SOURCE_DENIED);
  EXPECT_EQ(denied(), 6u);
}

TEST(SourceListTest, MoreThanThereIsRoomForIsRefusedAndNothingChanges) {
  model::Settings settings;
  settings.limits.source_prefixes = 4;
  Balancer balancer(settings, LB_FEATURE_SOURCES);
  balancer.Serve({ServiceOf(kWeb4, Lists({}, {"198.51.100.0/24"}))});
  std::vector<std::string> many;
  for (int i = 0; i < 20; ++i) many.push_back("10.0." + std::to_string(i) + ".0/24");
  EXPECT_EQ(balancer.forwarder().Update({ServiceOf(kWeb4, Lists(many, {}))}).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(balancer.Send(From(kClient4, kWeb4)).verdict, LB_SOURCE_DENIED);
  balancer.Serve({ServiceOf(kWeb4, Lists({"198.51.100.0/24", "10.0.0.0/8"}, {}))});
  EXPECT_EQ(balancer.Send(From(kClient4, kWeb4)).verdict, LB_FORWARD);
}

TEST(RateTest, AVipTakesItsBurstThenItsRate) {
  Balancer balancer({}, LB_FEATURE_SOURCES);
  balancer.Serve({ServiceOf(kWeb4, {.new_flows = {.per_second = 1, .burst = 20}})});
  const Clock clock;
  int served = 0;
  for (uint16_t i = 0; i < 60; ++i) {
    served += balancer.Send(From(kClient4, kWeb4, kSyn, 1000 + i)).verdict == LB_FORWARD;
  }
  EXPECT_GE(served, 20);
  EXPECT_LE(served, 21 + std::ceil(clock.seconds()));
  EXPECT_EQ(balancer.forwarder().ReadVipCounters().at(0).sources.limited, 60u - served);
  // Open connections are none of its business.
  EXPECT_EQ(balancer.Send(From(kClient4, kWeb4, kAck)).verdict, LB_FORWARD);
}

// Katran's LRU_BYPASS VIPs counted as new connections of all: here, limits are per VIP.
TEST(RateTest, AFloodOnOneVipTakesNothingFromAnother) {
  Balancer balancer({}, LB_FEATURE_SOURCES);
  const model::SourcePolicy slow = {.new_flows = {.per_second = 1, .burst = 5}};
  balancer.Serve({ServiceOf(kWeb4, slow), ServiceOf(kWeb6, slow)});
  for (uint16_t i = 0; i < 100; ++i) balancer.SendFast(From(kClient4, kWeb4, kSyn, 1000 + i));
  EXPECT_EQ(balancer.Send(From(kClient6, kWeb6)).verdict, LB_FORWARD);
  EXPECT_EQ(balancer.Send(From(kClient6, kWeb6)).verdict, LB_FORWARD);
}

TEST(RateTest, ASourceBeyondItsRateTakesNothingFromTheOthers) {
  for (const model::VipKey& vip : {kWeb4, kWeb6}) {
    Balancer balancer({}, LB_FEATURE_SOURCES);
    balancer.Serve({ServiceOf(vip, {.new_flows = {.per_second = 1, .burst = 100},
                                    .new_flows_per_source = {.per_second = 1, .burst = 5}})});
    const IpAddress loud = FlowSource(0, vip);
    const Clock clock;
    int served = 0;
    for (uint16_t i = 0; i < 200; ++i) {
      served += balancer.Send(From(loud, vip, kSyn, 1000 + i)).verdict == LB_FORWARD;
    }
    EXPECT_GE(served, 5);
    EXPECT_LE(served, 6 + std::ceil(clock.seconds()));
    EXPECT_EQ(balancer.forwarder().ReadVipCounters().at(0).sources.source_limited, 200u - served);
    const IpAddress other =
        vip.address.is_v4() ? Address("203.0.113.77") : Address("2001:db8:99::1");
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(balancer.Send(From(other, vip)).verdict, LB_FORWARD) << i;
    }
  }
}

TEST(RateTest, AnIpv6SourceIsItsPrefix) {
  Balancer balancer({}, LB_FEATURE_SOURCES);
  balancer.Serve({ServiceOf(kWeb6, {.new_flows_per_source = {.per_second = 1, .burst = 3}})});
  const Clock clock;
  int served = 0;
  for (int i = 0; i < 50; ++i) {
    served +=
        balancer.Send(From(Address("2001:db8:77::" + std::to_string(i + 1)), kWeb6)).verdict ==
        LB_FORWARD;
  }
  EXPECT_GE(served, 3);
  EXPECT_LE(served, 4 + std::ceil(clock.seconds()));
}

// A change of anything else of the VIP must not fill the bucket.
TEST(RateTest, TokensThatAreSpentStaySpent) {
  Balancer balancer({}, LB_FEATURE_SOURCES);
  model::SourcePolicy policy = {.new_flows = {.per_second = 1, .burst = 30}};
  balancer.Serve({ServiceOf(kWeb4, policy)});
  const Clock clock;
  int served = 0;
  for (uint16_t i = 0; i < 120; ++i) {
    if (i == 60) {
      policy.deny = {IpPrefix::Parse("203.0.113.0/24").value()};
      balancer.Serve({ServiceOf(kWeb4, policy)});
    }
    served += balancer.Send(From(kClient4, kWeb4, kSyn, 1000 + i)).verdict == LB_FORWARD;
  }
  EXPECT_LE(served, 31 + std::ceil(clock.seconds()));
}

// The algorithm, with time as a number.
TEST(TokenBucketTest, GivesTheRateAndNoMoreThanTheBurst) {
  __u64 due = 0;
  __u64 now = 1'000'000;
  const auto take = [&](int tries) {
    int taken = 0;
    for (int i = 0; i < tries; ++i) taken += lb_rate_take(&due, now, 100, 900);
    return taken;
  };
  EXPECT_EQ(take(50), 10);
  now += 99;
  EXPECT_EQ(take(50), 0);
  now += 1;
  EXPECT_EQ(take(50), 1);
  now += 350;
  EXPECT_EQ(take(50), 3);
  now += 1'000'000;
  EXPECT_EQ(take(50), 10);
}

TEST(TokenBucketTest, SourcesOfOneCacheLineAreToldApart) {
  lb_source_bucket bucket{};
  __u64 now = LB_RATE_DUE_MASK - 50;  // the clock begins anew in between
  const auto take = [&](uint64_t source, int tries) {
    int taken = 0;
    for (int i = 0; i < tries; ++i) {
      taken += lb_rate_take_of(&bucket, (source + 1) << LB_RATE_DUE_BITS, now, 100, 400);
    }
    return taken;
  };
  for (int round = 0; round < 3; ++round) {
    for (uint64_t source = 0; source < LB_RATE_WAYS; ++source) EXPECT_EQ(take(source, 20), 5);
    for (uint64_t source = 0; source < LB_RATE_WAYS; ++source) EXPECT_EQ(take(source, 20), 0);
    now += 100;
    for (uint64_t source = 0; source < LB_RATE_WAYS; ++source) EXPECT_EQ(take(source, 20), 1);
    // One more: it has all its tokens, whoever made room.
    EXPECT_EQ(take(100 + round, 20), 5);
    now += 100'000;
  }
}

}  // namespace
}  // namespace lb::testing
