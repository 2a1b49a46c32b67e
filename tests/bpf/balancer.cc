// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/balancer.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <ctime>
#include <set>
#include <utility>

#include "lb/flow_hash.h"
#include "lbd/dataplane/encode.h"

std::string_view NameOf(lb_verdict verdict) {
  switch (verdict) {
#define LB_VERDICT_NAME(NAME, name, action, text) \
  case LB_##NAME:                                 \
    return #name;
    LB_VERDICTS(LB_VERDICT_NAME)
#undef LB_VERDICT_NAME
    default:
      return "none";
  }
}

void PrintTo(lb_verdict verdict, std::ostream* out) { *out << NameOf(verdict); }

namespace lb::testing {
namespace {

uint32_t ActionOf(lb_verdict verdict) {
  switch (verdict) {
#define LB_VERDICT_ACTION(NAME, name, action, text) \
  case LB_##NAME:                                   \
    return XDP_##action;
    LB_VERDICTS(LB_VERDICT_ACTION)
#undef LB_VERDICT_ACTION
    default:
      return XDP_ABORTED;
  }
}

constexpr size_t kEthernetLength = 14;

// Of the clock that the program reads.
uint64_t Tick() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  const uint64_t nanos = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
  return nanos >> LB_FLOW_TICK_SHIFT;
}

bool IsIpv4(const Bytes& frame) { return frame.at(12) == 0x08 && frame.at(13) == 0x00; }

IpAddress AddressAt(const Bytes& frame, size_t at, size_t length) {
  const Bytes bytes(frame.begin() + static_cast<ptrdiff_t>(at),
                    frame.begin() + static_cast<ptrdiff_t>(at + length));
  return IpAddress::FromBytes(bytes).value();
}

}  // namespace

model::VipKey Key(std::string_view text) { return model::VipKey::Parse(text).value(); }

dataplane::Service MakeService(const model::VipKey& key, const std::vector<IpAddress>& reals,
                               model::Ring ring) {
  model::Vip vip{.key = key, .name = {}, .ring = {}, .reals = {}};
  for (const IpAddress& real : reals) vip.reals.push_back({.address = real});
  return {vip, std::make_shared<const model::Ring>(std::move(ring))};
}

dataplane::Service MakeService(const model::VipKey& key, const std::vector<IpAddress>& reals,
                               int ring_bits) {
  model::Ring ring(size_t{1} << ring_bits, 0);
  for (size_t i = 0; i < ring.size() && !reals.empty(); ++i) {
    ring[i] = static_cast<uint16_t>(1 + i % reals.size());
  }
  return MakeService(key, reals, std::move(ring));
}

dataplane::NextHop Gateway(uint32_t mtu) {
  return {.destination = kGatewayMac,
          .source = kBalancerMac,
          .ifindex = kIngressInterface,
          .interface = "lo",
          .mtu = mtu,
          .via = {}};
}

Balancer::Balancer(const model::Settings& settings, uint32_t features)
    : tick_(Tick()),
      forwarder_(dataplane::Forwarder::Create(settings, features, 0, clock()).value()) {}

NextHops Balancer::HopsOf(const Services& services) const {
  NextHops hops;
  for (const dataplane::Service& service : services) {
    for (const model::Real& real : service.vip.reals) hops[real.address] = Gateway();
  }
  return hops;
}

void Balancer::Serve(const Services& services) {
  const Status status = forwarder_->Update(services);
  ASSERT_TRUE(status.ok()) << Message(status);
  forwarder_->SetNextHops(HopsOf(services));
}

void Balancer::Age(uint64_t ticks) {
  const uint64_t tick = Tick();
  ticks -= tick - std::exchange(tick_, tick);
  if (ticks != 0) AgeFlows(flow_table(), ticks);
}

void Balancer::Pass(uint32_t seconds) {
  *now_ += seconds;
  nanos_ += uint64_t{seconds} * 1'000'000'000;
  const uint64_t ticks = nanos_ >> LB_FLOW_TICK_SHIFT;
  nanos_ -= ticks << LB_FLOW_TICK_SHIFT;
  Age(ticks);
}

void Balancer::Sweep() {
  Age(0);
  forwarder_->Sweep();
}

void Balancer::Settle() {
  for (int i = 0; i < 16; ++i) {
    Pass(600);
    Sweep();
  }
  EXPECT_FALSE(HasFlows()) << "a flow is never forgotten";
}

bool Balancer::HasFlows() {
  return std::ranges::any_of(flow_table(), [](const lb_flow_bucket& bucket) {
    return std::ranges::any_of(bucket.entries, [](uint64_t entry) { return entry != 0; });
  });
}

void Balancer::Restart(const Services& services, const std::function<void()>& meanwhile) {
  auto image = dataplane::Image::Open(forwarder_->program().id());
  ASSERT_TRUE(image.ok()) << Message(image.status());
  image->Freeze();
  auto fresh = dataplane::Forwarder::Create(settings(), forwarder_->features(), 1, clock()).value();
  fresh->SetNextHops(HopsOf(services));
  fresh->Adopt(*image, services);
  if (meanwhile) meanwhile();
  const Status status = fresh->Update(services);
  ASSERT_TRUE(status.ok()) << Message(status);
  if (meanwhile) meanwhile();
  fresh->CatchUp(*image);
  fresh->ContinueCounters(*forwarder_);
  image->Thaw();
  forwarder_ = std::move(fresh);
}

Outcome Balancer::Send(const Bytes& frame, const ProgRunOptions& options) {
  const Verdicts before = forwarder_->ReadVerdicts();
  const StatusOr<ProgRun> run = RunProgram(*forwarder_, frame, options);
  if (!run.ok()) {
    ADD_FAILURE() << Message(run.status());
    return {};
  }
  const Verdicts after = forwarder_->ReadVerdicts();
  Outcome outcome{.verdict = LB_VERDICT_COUNT, .action = run->action, .out = run->out};
  uint64_t counted = 0;
  for (size_t i = 0; i < after.size(); ++i) {
    if (after[i] == before[i]) continue;
    counted += after[i] - before[i];
    outcome.verdict = static_cast<lb_verdict>(i);
  }
  EXPECT_EQ(counted, 1u) << "a packet has exactly one verdict";
  if (outcome.verdict != LB_FORWARD || run->action != XDP_REDIRECT) {
    EXPECT_EQ(run->action, ActionOf(outcome.verdict)) << NameOf(outcome.verdict);
  }
  if (run->action == XDP_PASS || run->action == XDP_DROP) {
    EXPECT_TRUE(SameBytes(frame, run->out)) << "changed, though it does not go out";
  }
  return outcome;
}

ProgRun Balancer::SendFast(const Bytes& frame) {
  const StatusOr<ProgRun> run = RunProgram(*forwarder_, frame);
  if (run.ok()) return *run;
  ADD_FAILURE() << Message(run.status());
  return {};
}

dataplane::Counter Balancer::CounterOf(const model::VipKey& vip, const IpAddress& real) const {
  for (const dataplane::VipCounters& counters : forwarder_->ReadVipCounters()) {
    if (counters.key != vip) continue;
    for (const dataplane::RealCounter& counter : counters.reals) {
      if (counter.address == real) return counter.counter;
    }
  }
  ADD_FAILURE() << vip.ToString() << " has no counter for " << real.ToString();
  return {};
}

IpAddress RealOf(const Bytes& frame) {
  return IsIpv4(frame) ? AddressAt(frame, kEthernetLength + 16, 4)
                       : AddressAt(frame, kEthernetLength + 24, 16);
}

IpAddress OuterSourceOf(const Bytes& frame) {
  return IsIpv4(frame) ? AddressAt(frame, kEthernetLength + 12, 4)
                       : AddressAt(frame, kEthernetLength + 8, 16);
}

IpAddress FlowSource(uint32_t number, const model::VipKey& vip) {
  const uint32_t host = number / 1000;
  return vip.address.is_v4() ? Address(fmt::format("198.18.{}.{}", host / 256 % 256, host % 256))
                             : Address(fmt::format("2001:db8:c::{:x}", host));
}

uint16_t FlowPort(uint32_t number) { return static_cast<uint16_t>(20000 + number % 1000); }

void AgeFlows(std::span<lb_flow_bucket> buckets, uint64_t ticks) {
  for (lb_flow_bucket& bucket : buckets) {
    for (__u64& place : bucket.entries) {
      std::atomic_ref<__u64> entry(place);
      __u64 before = entry.load();
      __u64 after = 0;
      do {
        if (before == 0) break;
        const uint64_t since = (before >> LB_FLOW_AGE_SHIFT) - ticks;
        after = (before & ~(uint64_t{0xff} << LB_FLOW_AGE_SHIFT)) | (since & 0xff)
                                                                        << LB_FLOW_AGE_SHIFT;
      } while (!entry.compare_exchange_weak(before, after));
    }
  }
}

uint64_t FlowHash(const HashKey& secret, uint32_t number, const model::VipKey& vip) {
  const HashKey key = dataplane::FlowKey(secret, vip);
  const IpAddress source = FlowSource(number, vip);
  __u32 address[4];
  std::memcpy(address, source.mapped().data(), sizeof(address));
  const uint16_t port = vip.port == 0 ? 9999 : vip.port;
  const uint32_t ports =
      static_cast<uint32_t>(htons(FlowPort(number))) | static_cast<uint32_t>(htons(port)) << 16;
  return lb_flow_hash(key.k0, key.k1, address, ports, !source.is_v4());
}

Bytes Flow(uint32_t number, const model::VipKey& vip, uint8_t tcp_flags) {
  const uint16_t port = vip.port == 0 ? 9999 : vip.port;
  const IpHeader header{.source = FlowSource(number, vip), .destination = vip.address};
  if (vip.protocol == model::Protocol::kUdp) {
    return Ethernet({}, Ip(header, Udp({.source = FlowPort(number), .destination = port})));
  }
  return Ethernet(
      {}, Ip(header, Tcp({.source = FlowPort(number), .destination = port, .flags = tcp_flags})));
}

}  // namespace lb::testing
