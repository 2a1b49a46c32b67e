// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/encode.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/model/config_testing.h"

namespace lb::dataplane {
namespace {

using model::Ip;
using model::Key;

// The bytes of a struct as hex digits.
template <typename T>
std::string Hex(const T& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  std::string text;
  for (size_t i = 0; i < sizeof(value); ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

IpPrefix Prefix(std::string_view text) { return IpPrefix::Parse(text).value(); }

model::Settings SettingsWith(std::string_view source_v4, std::string_view source_v6 = "100::/64") {
  model::Settings settings;
  settings.outer_source_v4 = Prefix(source_v4);
  settings.outer_source_v6 = Prefix(source_v6);
  return settings;
}

constexpr HashKey kSecret{.k0 = 0x0706050403020100, .k1 = 0x0f0e0d0c0b0a0908};

TEST(EncodeVipTest, BytesAreThoseOfTheAbi) {
  const lb_vip entry = EncodeVip(Key("192.0.2.0/24:80-443/tcp_udp"), model::Protocol::kUdp,
                                 {.secret = kSecret,
                                  .options = LB_HASH_NO_SOURCE_PORT,
                                  .place = 0x0123456789abcdef,
                                  .flows = 0x0300000000000011});
  const HashKey flow_key = FlowKey(kSecret, Key("192.0.2.0/24:80-443/tcp_udp"));
  EXPECT_EQ(Hex(entry),
            "00000000000000000000ffffc0000200"  // ::ffff:192.0.2.0
            "0050"                              // port 80, network order
            "11"                                // UDP
            "01"                                // LB_VIP_USED
            "0200"                              // options
            "0000"                              // policy
            "efcdab8967452301"                  // place
                + Hex(flow_key.k0) + Hex(flow_key.k1) +
                "1100000000000003"  // its part of the flow table
                "01bb"              // last port 443, network order
                "08"                // host bits of a /24
                "01"                // has an entry for TCP, too
                "00000000");
}

TEST(EncodeVipTest, AnyPortIsPortZero) {
  const lb_vip entry = EncodeVip(Key("[2001:db8::1]:any/tcp"), model::Protocol::kTcp, {});
  EXPECT_EQ(Hex(entry).substr(0, 40), "20010db800000000000000000000000100000601");
}

TEST(EncodeVipTest, AnAddressHasAnEntryOfItsOwn) {
  const lb_vip entry = EncodeVipAddress(Ip("192.0.2.1"));
  EXPECT_EQ(Hex(entry).substr(0, 40), "00000000000000000000ffffc000020100000003");
  EXPECT_NE(AddressKey(Ip("192.0.2.1")),
            EncodeKey(Key("192.0.2.1:any/tcp"), model::Protocol::kTcp));
}

TEST(EncodePolicyTest, RatesBecomeIntervals) {
  const lb_policy entry = EncodePolicy({.allow = {Prefix("10.0.0.0/8")},
                                        .new_flows = {.per_second = 1000, .burst = 11},
                                        .new_flows_per_source = {.per_second = 1}});
  EXPECT_EQ(entry.flags, uint32_t{LB_POLICY_LISTS | LB_POLICY_ALLOW_ONLY});
  EXPECT_EQ(entry.interval, 1'000'000u);
  EXPECT_EQ(entry.tolerance, 10'000'000u);
  EXPECT_EQ(entry.source_interval, 1'000'000'000u / 64);
  EXPECT_EQ(entry.source_tolerance, 0u);
  EXPECT_EQ(EncodePolicy({.deny = {Prefix("10.0.0.0/8")}}).flags, uint32_t{LB_POLICY_LISTS});
}

TEST(EncodeHashPolicyTest, OptionsAreTheFieldsThatAreLeftOut) {
  using enum model::HashPolicy;
  const auto options = [](std::string_view key, model::HashPolicy policy) {
    return EncodeHashPolicy({.key = Key(key), .hash = policy});
  };
  EXPECT_EQ(options("192.0.2.1:80/tcp", kFiveTuple), 0);
  EXPECT_EQ(options("192.0.2.0/24:80/tcp", kFiveTuple), LB_HASH_DESTINATION);
  EXPECT_EQ(options("192.0.2.1:80/tcp", kSource),
            LB_HASH_NO_SOURCE_PORT | LB_HASH_NO_DESTINATION_PORT);
  EXPECT_EQ(options("192.0.2.1:80/tcp", kSourceDestinationPort), LB_HASH_NO_SOURCE_PORT);
  EXPECT_EQ(options("192.0.2.1:any/tcp", kDestinationPort),
            LB_HASH_NO_SOURCE | LB_HASH_NO_SOURCE_PORT);
}

TEST(FeaturesTest, AreThoseThatAVipNeeds) {
  const auto features = [](std::string_view key, model::HashPolicy policy = {}) {
    return FeaturesOf({.key = Key(key), .hash = policy});
  };
  EXPECT_EQ(features("192.0.2.1:80/tcp"), 0u);
  EXPECT_EQ(features("192.0.2.1:any/tcp_udp"), 0u);
  EXPECT_EQ(features("192.0.2.1:80-81/tcp"), uint32_t{LB_FEATURE_WIDE_VIPS});
  EXPECT_EQ(features("192.0.2.0/24:80/tcp"), LB_FEATURE_WIDE_VIPS | LB_FEATURE_HASH_FIELDS);
  const auto with = [](model::Encap encap) {
    return FeaturesOf(
        {.key = Key("192.0.2.1:80/tcp"), .reals = {{.address = Ip("10.0.0.1"), .encap = encap}}});
  };
  EXPECT_EQ(with(model::Encap::kIpIp), 0u);
  EXPECT_EQ(with(model::Encap::kGue), uint32_t{LB_FEATURE_GUE});
  EXPECT_EQ(with(model::Encap::kGre), uint32_t{LB_FEATURE_GRE});
  EXPECT_EQ(with(model::Encap::kL2), uint32_t{LB_FEATURE_L2});
  EXPECT_EQ(features("192.0.2.1:80/tcp", model::HashPolicy::kSource),
            uint32_t{LB_FEATURE_HASH_FIELDS});
}

TEST(EncodePlaceTest, EachPartIsAtItsBits) {
  EXPECT_EQ(EncodePlace({.ring_start = 0xdeadbeef}), 0xdeadbeefu);
  EXPECT_EQ(EncodePlace({.real_start = 1}), uint64_t{1} << 32);
  EXPECT_EQ(EncodePlace({.real_start = LB_PLACE_REAL_MASK}), uint64_t{0x3ffffff} << 32);
  EXPECT_EQ(EncodePlace({.ring_bits = 20}), uint64_t{20} << 58);
}

TEST(EncodePlaceTest, ComesBackAsTheProgramReadsIt) {
  const Place place{.ring_start = (1u << 27) - 32, .real_start = 4194303, .ring_bits = 20};
  const uint64_t word = EncodePlace(place);
  EXPECT_EQ(static_cast<uint32_t>(word), place.ring_start);
  EXPECT_EQ(word >> LB_PLACE_REAL_SHIFT & LB_PLACE_REAL_MASK, place.real_start);
  EXPECT_EQ(word >> LB_PLACE_BITS_SHIFT, 20u);
}

TEST(EncodePlaceTest, DecodesToWhatItWas) {
  const Place place{.ring_start = 77 * 32, .real_start = 4000, .ring_bits = 17};
  EXPECT_EQ(DecodePlace(EncodePlace(place)), place);
}

TEST(EncodeFlowPlaceTest, EachPartIsAtItsBits) {
  EXPECT_EQ(EncodeFlowPlace({}), 0u);
  EXPECT_EQ(EncodeFlowPlace({.start = 8, .bits = 3}), LB_FLOWS_USED | uint64_t{3} << 32 | 8);
  EXPECT_EQ(EncodeFlowPlace({.start = 0, .bits = 0, .always = true}),
            LB_FLOWS_USED | LB_FLOWS_ALWAYS);
}

TEST(EncodeFlowPlaceTest, DecodesToWhatItWas) {
  for (const FlowPlace& place : {FlowPlace{}, FlowPlace{.start = 1 << 21, .bits = 22},
                                 FlowPlace{.start = 64, .bits = 6, .always = true}}) {
    EXPECT_EQ(DecodeFlowPlace(EncodeFlowPlace(place)), place);
  }
}

TEST(DecodeKeyTest, OnlyVipsHaveAKey) {
  for (const char* text : {"192.0.2.1:443/udp", "[2001:db8::1]:any/tcp", "192.0.2.1:443-444/tcp",
                           "[2001:db8::/64]:any/udp", "10.0.0.0/8:80/tcp_udp"}) {
    for (const model::Protocol protocol : {model::Protocol::kTcp, model::Protocol::kUdp}) {
      if (!Key(text).Serves(protocol)) continue;
      EXPECT_EQ(DecodeKey(EncodeVip(Key(text), protocol, {})), Key(text));
    }
  }
  EXPECT_EQ(DecodeKey(EncodeVipAddress(Ip("192.0.2.1"))), std::nullopt);
  EXPECT_EQ(DecodeKey(lb_vip{}), std::nullopt);
}

TEST(EncodeRealTest, BytesOfAnIpv6RealAreThoseOfTheAbi) {
  EXPECT_EQ(Hex(EncodeReal({.address = Ip("2001:db8::1")}, true, model::Settings())),
            "20010db8000000000000000000000001"
            "00000000"  // no checksum
            "0000"      // no next hop yet
            "0100"      // LB_REAL_V6
            "0000000000000000");
}

TEST(EncodeRealTest, BytesOfAnIpv4RealAreThoseOfTheAbi) {
  // As they stand in memory, the words of 45 00 .. .. | .. .. 40 00 | 40 04 .. .. | ac 10 00 00 |
  // 0a 00 00 01: 0x0045 + 0x0040 + 0x0440 + 0x10ac + 0x000a + 0x0100 = 0x167b.
  EXPECT_EQ(Hex(EncodeReal({.address = Ip("10.0.0.1")}, true, model::Settings())),
            "00000000000000000000ffff0a000001"
            "7b160000"
            "0000"
            "0000"
            "0000000000000000");
}

// The outer header of RFC 791 with the checksum of RFC 1071, byte by byte.
uint16_t ChecksumOfOuterHeader(const IpAddress& source, const IpAddress& destination,
                               uint8_t protocol, uint8_t tos, uint16_t length) {
  std::vector<uint8_t> header = {0x45,
                                 tos,
                                 static_cast<uint8_t>(length >> 8),
                                 static_cast<uint8_t>(length),
                                 0,
                                 0,
                                 0x40,
                                 0,  // identification 0, do not fragment
                                 64,
                                 protocol,
                                 0,
                                 0};
  header.insert(header.end(), source.bytes().begin(), source.bytes().end());
  header.insert(header.end(), destination.bytes().begin(), destination.bytes().end());
  uint32_t sum = 0;
  for (size_t i = 0; i < header.size(); i += 2) sum += header[i] << 8 | header[i + 1];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

TEST(EncodeRealTest, EncapIsInTheFlagsAndTheProtocolInTheSum) {
  const auto encode = [](model::Encap encap, std::string_view address = "10.0.0.1") {
    return EncodeReal({.address = Ip(address), .encap = encap}, true, model::Settings());
  };
  using enum model::Encap;
  for (const model::Encap encap : {kIpIp, kGue, kGre, kL2}) {
    EXPECT_EQ(DecodeEncap(encode(encap)), encap);
    EXPECT_EQ(DecodeEncap(encode(encap, "2001:db8::1")), encap);
    EXPECT_EQ(encode(encap, "2001:db8::1").flags & LB_REAL_V6, LB_REAL_V6);
    EXPECT_EQ(encode(encap).flags & LB_REAL_V6, 0);
  }
  // Words as they stand in memory: protocol 4 is 0x0400.
  EXPECT_EQ(encode(kGue).checksum, encode(kIpIp).checksum + ((17 - 4) << 8));
  EXPECT_EQ(encode(kGre).checksum, encode(kIpIp).checksum + ((47 - 4) << 8));
}

TEST(EncodeRealTest, TheConstantSumGivesTheChecksumOfTheOuterHeader) {
  for (const bool vip_is_v4 : {true, false}) {
    for (const std::string_view real : {"10.0.0.1", "255.255.255.254", "192.0.2.77"}) {
      for (const std::string_view prefix : {"172.16.0.0/16", "192.0.2.9/32", "255.255.0.0/20"}) {
        const lb_real entry = EncodeReal({.address = Ip(real)}, vip_is_v4, SettingsWith(prefix));
        // What the program adds, in words as they stand in memory: TOS, length, hash bits.
        constexpr uint8_t kTos = 0xb8;
        constexpr uint16_t kLength = 1400;
        const uint32_t hash_bits = prefix.ends_with("/32") ? 0 : 0x5a0b;
        IpAddress::Bytes source = Prefix(prefix).address().mapped();
        source[14] |= hash_bits >> 8 & 0xf;
        source[15] |= hash_bits & 0xff;
        uint64_t sum = entry.checksum;
        sum += uint32_t{kTos} << 8;
        sum += (kLength & 0xff) << 8 | kLength >> 8;
        sum += (source[15] << 8 | source[14]) -
               (Prefix(prefix).address().mapped()[15] << 8 | Prefix(prefix).address().mapped()[14]);
        while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
        const auto folded = static_cast<uint16_t>(~sum);
        const auto in_memory = static_cast<uint16_t>(folded << 8 | folded >> 8);
        EXPECT_EQ(in_memory, ChecksumOfOuterHeader(IpAddress(source), Ip(real), vip_is_v4 ? 4 : 41,
                                                   kTos, kLength))
            << real << " " << prefix;
      }
    }
  }
}

TEST(EncodeNextHopTest, BytesAreThoseOfTheAbi) {
  const NextHop hop{.destination = MacAddress({2, 0, 0, 0, 0, 1}),
                    .source = MacAddress({2, 0, 0, 0, 0, 2}),
                    .ifindex = 0x01020304,
                    .interface = "eth0",
                    .mtu = 1500,
                    .via = Ip("10.0.0.1")};
  EXPECT_EQ(Hex(EncodeNextHop(hop)),
            "020000000001"
            "020000000002"
            "04030201"
            "dc050000"
            "000000000000000000000000");
}

TEST(EncodeConfigTest, MasksAreOneBelowTheSizes) {
  const MapSizes sizes{
      .vips = 4096, .reals = 16384, .ring_slots = 1 << 21, .next_hops = 8192, .cpus = 4};
  const lb_config config = EncodeConfig(model::Settings(), sizes, 0x1122334455667788);
  EXPECT_EQ(config.vip_mask, 4095u);
  EXPECT_EQ(config.real_mask, 16383u);
  EXPECT_EQ(config.ring_mask, (1u << 21) - 1);
  EXPECT_EQ(config.next_hop_mask, 8191u);
  EXPECT_EQ(config.counter_mask, 4 * 16384u - 1);
  EXPECT_EQ(config.verdict_mask, 4 * 64u - 1);
  EXPECT_EQ(config.cpu_mask, 3u);
  EXPECT_EQ(config.real_bits, 14u);
  EXPECT_EQ(config.vip_hash_key, 0x1122334455667788u);
}

TEST(EncodeConfigTest, OuterSourcesAreInNetworkOrderWithTheBitsThatTheHashFills) {
  struct Row {
    std::string_view v4, v4_bytes, v4_mask, v6, v6_bytes, v6_mask;
  };
  constexpr Row kRows[] = {
      {"172.16.0.0/16", "ac100000", "0000ffff", "100::/64", "01000000000000000000000000000000",
       "ffffffff"},
      {"10.0.0.0/8", "0a000000", "00ffffff", "2001:db8::/32", "20010db8000000000000000000000000",
       "ffffffff"},
      {"192.0.2.1/32", "c0000201", "00000000", "2001:db8::1/128",
       "20010db8000000000000000000000001", "00000000"},
      {"192.0.2.128/25", "c0000280", "0000007f", "fd00::a00:0/103",
       "fd00000000000000000000000a000000", "01ffffff"},
      {"0.0.0.0/0", "00000000", "ffffffff", "fd00::/96", "fd000000000000000000000000000000",
       "ffffffff"},
  };
  const MapSizes sizes{.vips = 1, .reals = 1, .ring_slots = 1, .next_hops = 1, .cpus = 1};
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.v4);
    const lb_config config = EncodeConfig(SettingsWith(row.v4, row.v6), sizes, 0);
    EXPECT_EQ(Hex(config.source_v4), row.v4_bytes);
    EXPECT_EQ(Hex(config.source_v4_hash_mask), row.v4_mask);
    EXPECT_EQ(Hex(config.source_v6), row.v6_bytes);
    EXPECT_EQ(Hex(config.source_v6_hash_mask), row.v6_mask);
  }
}

TEST(MapSizesTest, ArePowersOfTwoThatHoldWhatTheLimitsAllow) {
  const model::Limits kLimits[] = {{},
                                   {.vips = 1, .reals = 64, .ring_slots = 1 << 14},
                                   {.vips = 3, .reals = 65, .ring_slots = 20000},
                                   {.vips = 65536, .reals = 1 << 20, .ring_slots = 1 << 27}};
  for (const model::Limits& limits : kLimits) {
    for (const uint32_t cpus : {1u, 3u, 128u}) {
      const MapSizes sizes = MapSizes::For(limits, cpus);
      for (const uint32_t size :
           {sizes.vips, sizes.reals, sizes.ring_slots, sizes.next_hops, sizes.cpus}) {
        EXPECT_TRUE(std::has_single_bit(size)) << size;
      }
      EXPECT_GE(sizes.vips, 4 * 2 * limits.vips);  // an address each; a quarter full
      EXPECT_GE(sizes.reals, limits.reals + limits.vips);
      EXPECT_LE(sizes.reals, LB_PLACE_REAL_MASK + 1u);
      EXPECT_GE(sizes.ring_slots, limits.ring_slots);
      EXPECT_GE(sizes.next_hops, std::min(limits.reals + 1, 65536u));
      EXPECT_LE(sizes.next_hops, 65536u);  // lb_real.next_hop has 16 bits
      EXPECT_GE(sizes.cpus, cpus);
    }
  }
}

// From lb/abi.h computed over again in Python.
TEST(VipSlotTest, BothChoicesAreThoseOfTheAbi) {
  constexpr uint64_t kHashKey = 0x1122334455667788;
  const VipTableKey v4 = EncodeKey(Key("192.0.2.1:80/tcp"), model::Protocol::kTcp);
  EXPECT_EQ(VipSlot(kHashKey, v4, 0), 0x21a15f64u);
  EXPECT_EQ(VipSlot(kHashKey, v4, 1), 0xbc7cf2u);
  const VipTableKey v6 = EncodeKey(Key("[2001:db8::1]:443/udp"), model::Protocol::kUdp);
  EXPECT_EQ(VipSlot(kHashKey, v6, 0), 0xba817dbeu);
  EXPECT_EQ(VipSlot(kHashKey, v6, 1), 0x3a214bu);
}

// SipHash-2-4 of address, port, protocol and 0 or 1 under the secret, computed by OpenSSL 3.0. All
// load balancers of a fleet must agree on these for ever.
TEST(FlowKeyTest, StaysAsItWas) {
  EXPECT_EQ(FlowKey(kSecret, Key("192.0.2.1:80/tcp")),
            (HashKey{0xbac63fbb7d43332e, 0xe7683f64a30d05ee}));
  EXPECT_EQ(FlowKey(kSecret, Key("[2001:db8::1]:443/udp")),
            (HashKey{0xde2ef2239a557761, 0x43b9a7ceab6f3a7d}));
  EXPECT_EQ(FlowKey(kSecret, Key("192.0.2.1:any/tcp")),
            (HashKey{0xe0503f451f9d9729, 0x5c067ac06fb187a8}));
}

TEST(FlowKeyTest, EveryVipHasItsOwn) {
  std::set<uint64_t> keys;
  const auto texts = {"192.0.2.0:80/tcp",    "192.0.2.0:80/udp",      "192.0.2.0:80/tcp_udp",
                      "192.0.2.0:80-81/tcp", "192.0.2.0:80-82/tcp",   "192.0.2.0/24:80/tcp",
                      "192.0.2.0/25:80/tcp", "192.0.2.0/24:80-81/tcp"};
  for (const char* text : texts) keys.insert(FlowKey(kSecret, Key(text)).k0);
  EXPECT_EQ(keys.size(), texts.size());
}

TEST(FlowKeyTest, ProtocolsOfOneVipShareItOnlyWhereAClientStaysWithOneReal) {
  const model::VipKey key = Key("192.0.2.1:443/tcp_udp");
  const auto of = [&](model::Protocol protocol, uint16_t options) {
    return FlowKey(kSecret, key, protocol, options);
  };
  using enum model::Protocol;
  EXPECT_NE(of(kTcp, 0), of(kUdp, 0));
  EXPECT_EQ(of(kTcp, LB_HASH_NO_SOURCE_PORT), of(kUdp, LB_HASH_NO_SOURCE_PORT));
  EXPECT_EQ(of(kTcp, 0), FlowKey(kSecret, key));
}

}  // namespace
}  // namespace lb::dataplane
