// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "lbd/model/ring_builder.h"

namespace lb::bench {
namespace {

constexpr int kReals = 100;
constexpr size_t kMinFrame = 64;
constexpr size_t kEthernetLength = 14;
constexpr char kPayload = 'A';

constexpr Case kCases[] = {
    {.name = "tcp4_1"},
    {.name = "tcp4_1k", .flows = 1'000},
    {.name = "tcp4_100k", .flows = 100'000},
    {.name = "tcp4_1m", .flows = 1'000'000},
    {.name = "tcp4_8m", .flows = 8'000'000},
    {.name = "tcp4_1m_32vips", .flows = 1'000'000, .vips = 32},
    {.name = "tcp6_100k", .flows = 100'000, .v6 = true},
    {.name = "udp4_100k", .flows = 100'000, .protocol = model::Protocol::kUdp},
    {.name = "quic_id_100k",
     .flows = 100'000,
     .protocol = model::Protocol::kUdp,
     .server_ids = true},
    {.name = "synflood", .flows = kRandomSources, .tcp_flags = 0x02},
    {.name = "always_1k", .flows = 1'000, .tracking = model::Tracking::kAlways},
    {.name = "always_1m", .flows = 1'000'000, .tracking = model::Tracking::kAlways},
    {.name = "pass", .flows = 100'000, .verdict = LB_NOT_VIP},
};

// Room for the tracked flows of a case: a quarter of it is used, as README.md advises.
uint32_t FlowEntries(const Case& c) { return std::bit_ceil(3 * c.flows); }

// VIP `number`, 0..63; the generator adds it to the last byte.
model::VipKey VipOf(const Case& c, uint32_t number) {
  const std::string address =
      c.v6 ? fmt::format("2001:db8:5::{:x}", number) : fmt::format("192.0.2.{}", number);
  return {.address = testing::Address(address), .port = 443, .protocol = c.protocol};
}

IpAddress Destination(const Case& c) {
  if (c.verdict == LB_FORWARD) return VipOf(c, 0).address;
  return testing::Address(c.v6 ? "2001:db8:5::c8" : "192.0.2.200");
}

}  // namespace

std::span<const Case> Cases() { return kCases; }

const Case* FindCase(std::string_view name) {
  const auto found = std::ranges::find(kCases, name, &Case::name);
  return found == std::end(kCases) ? nullptr : &*found;
}

model::Settings SettingsOf(const Case& c) {
  model::Settings settings;
  if (c.tracking == model::Tracking::kAlways) settings.limits.flows = FlowEntries(c);
  return settings;
}

uint32_t FeaturesOf(const Case& c) { return c.server_ids ? LB_FEATURE_QUIC_IDS : 0; }

std::vector<dataplane::Service> ServicesOf(const Case& c) {
  std::vector<dataplane::Service> services;
  for (uint32_t i = 0; i < c.vips; ++i) {
    model::Vip vip{.key = VipOf(c, i), .tracking = c.tracking};
    if (c.tracking == model::Tracking::kAlways) vip.flows.entries = FlowEntries(c);
    if (c.server_ids) vip.route_by_id.quic_lb[kPayload >> 5] = 2;
    std::vector<model::RingMember> members;
    for (int real = 1; real <= kReals; ++real) {
      const IpAddress address = c.v6 ? testing::Real6(real) : testing::Real4(real);
      vip.reals.push_back({.address = address, .server_id = real});
      members.push_back({.address = address, .weight = 100});
    }
    model::Ring ring =
        model::GetRingBuilder(vip.ring.scheme).BuildPrimary(members, model::RingBits(vip));
    services.push_back({vip, std::make_shared<const model::Ring>(std::move(ring))});
  }
  return services;
}

testing::Bytes FrameOf(const Case& c) {
  const testing::IpHeader ip{.source = testing::Address(c.v6 ? "2001:db8:c::" : "198.18.0.0"),
                             .destination = Destination(c)};
  const uint16_t port = VipOf(c, 0).port;
  const auto build = [&](std::string_view payload) {
    const testing::Segment l4 =
        c.protocol == model::Protocol::kUdp
            ? testing::Udp({.destination = port}, payload)
            : testing::Tcp({.destination = port, .flags = c.tcp_flags}, payload);
    return testing::Ethernet({}, testing::Ip(ip, l4));
  };
  const size_t headers = build({}).size();
  // A QUIC packet with a short header, and a connection id of config id 2.
  return build(std::string(kMinFrame - std::min(kMinFrame, headers), kPayload));
}

bench_traffic TrafficOf(const Case& c) {
  const testing::Bytes frame = FrameOf(c);
  bench_traffic traffic{};
  traffic.length = static_cast<uint32_t>(frame.size());
  traffic.v6 = c.v6;
  traffic.flows = c.flows;
  traffic.vips = c.vips;
  traffic.server_ids = c.server_ids ? kReals : 0;
  std::memcpy(traffic.ethernet, frame.data(), kEthernetLength);
  std::memcpy(traffic.words, frame.data() + kEthernetLength, sizeof(traffic.words));
  // Version to protocol; addresses and checksum are the generator's.
  for (int i = 0; i < 3; ++i) {
    traffic.checksum += traffic.words[i] & 0xffff;
    if (i < 2) traffic.checksum += traffic.words[i] >> 16;
  }
  return traffic;
}

}  // namespace lb::bench
