// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/validate.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/unit/model/config_testing.h"

namespace lb::model {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A configuration without problems that has one of everything.
Config Good() {
  Config config = ConfigOf({VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "2001:db8::1"}),
                            VipOf("[2001:db8::80]:any/udp", {"10.0.0.1"})});
  config.settings.interfaces = {"eth0", "eth1"};
  config.settings.next_hop_mac = MacAddress::Parse("02:00:5e:10:00:01").value();
  return config;
}

std::vector<std::string> Problems(const Config& config) {
  std::vector<std::string> lines;
  for (const Problem& problem : Validate(config)) lines.push_back(problem.ToString());
  return lines;
}

std::vector<std::string> After(const std::function<void(Config&)>& spoil) {
  Config config = Good();
  spoil(config);
  return Problems(config);
}

std::vector<Real> ManyReals(size_t count) {
  std::vector<Real> reals(count);
  for (size_t i = 0; i < count; ++i) {
    reals[i].address = Ip(fmt::format("10.{}.{}.{}", 1 + i / 62500, i / 250 % 250, 1 + i % 250));
  }
  return reals;
}

TEST(ValidateTest, FindsNothingInAGoodConfiguration) {
  EXPECT_THAT(Problems(Good()), IsEmpty());
  EXPECT_THAT(Problems(Config()), IsEmpty());
}

// Settings and other VIPs were good before: those that are spoilt here are not looked at.
TEST(ValidateTest, OfChangedVipsOnlyTheseAreLookedAtAndWhatTheyAreTogether) {
  Config config = Good();
  config.settings.outer_source_v6 = IpPrefix::Parse("10.0.0.0/8").value();
  config.vips[0].reals[1].weight = kMaxWeight + 1;
  config.vips[1].slow_start = 1'000'000;
  config.vips.push_back(VipOf("192.0.2.1:80/tcp", {"10.0.0.1"}));
  const auto problems = [&](const std::set<VipKey>& changed) {
    std::vector<std::string> lines;
    for (const Problem& problem : ValidateChanged(config, changed)) {
      lines.push_back(problem.ToString());
    }
    return lines;
  };
  const std::string twice = "vips[2]: 192.0.2.1:80/tcp is already vips[0]";
  EXPECT_THAT(problems({}), ElementsAre(twice));
  EXPECT_THAT(problems({config.vips[1].key}),
              ElementsAre(testing::StartsWith("vips[1].slow_start"), twice));
  EXPECT_THAT(problems({config.vips[0].key}),
              ElementsAre("vips[0].reals[1].weight: must be 0..1000000, got 1000001", twice));
  EXPECT_EQ(Problems(config).size(), 4u);
}

TEST(ValidateTest, TunnelsEndAtUnicastAddressesThatAreNoVips) {
  EXPECT_THAT(
      After([](Config& c) {
        c.settings.decap = {.addresses = {Ip("192.0.2.9"), Ip("2001:db8::9")}, .gue_port = 6080};
      }),
      IsEmpty());
  EXPECT_THAT(
      After([](Config& c) {
        c.settings.decap.addresses = {Ip("224.0.0.1"), Ip("192.0.2.1"), Ip("192.0.2.1")};
      }),
      ElementsAre("decap.addresses[0]: must be a unicast address of this host, got 224.0.0.1",
                  "decap.addresses[2]: 192.0.2.1 is already decap.addresses[1]",
                  "vips[0].address: 192.0.2.1 is in decap.addresses; a VIP cannot end tunnels"));
  EXPECT_THAT(After([](Config& c) { c.settings.decap.gue_port = 6080; }),
              ElementsAre("decap.gue_port: needs decap.addresses, where tunnels end"));
  EXPECT_THAT(After([](Config& c) {
                for (int i = 1; i <= 17; ++i) {
                  c.settings.decap.addresses.push_back(Ip(fmt::format("10.9.0.{}", i)));
                }
              }),
              ElementsAre("decap.addresses: at most 16 addresses, got 17"));
}

TEST(ValidateTest, FragmentsByAddressNeedAVipOfEveryPort) {
  const auto by_address = [](Config& c) {
    c.vips = {VipOf("192.0.2.1:any/tcp"), VipOf("192.0.2.1:any/udp")};
    for (Vip& vip : c.vips) vip.fragments = Fragments::kByAddress;
  };
  EXPECT_THAT(After(by_address), IsEmpty());
  EXPECT_THAT(
      After([&](Config& c) {
        by_address(c);
        c.vips[1].key.port = 53;
      }),
      ElementsAre("vips[1].fragments: by_address needs any_port: later fragments have no port"));
  EXPECT_THAT(After([&](Config& c) {
                by_address(c);
                c.vips.resize(1);
                c.settings.limits.fragments = 0;
              }),
              ElementsAre("vips[0].fragments: needs limits.fragments above 0"));
}

TEST(ValidateTest, RangesOfFragmentsAndMessagesAreChecked) {
  EXPECT_THAT(After([](Config& c) { c.settings.limits.fragments = 255; }),
              ElementsAre("limits.fragments: must be 256..1048576, got 255"));
  EXPECT_THAT(After([](Config& c) { c.settings.icmp.too_big_per_second = 1'000'001; }),
              ElementsAre("icmp.too_big_per_second: must be 0..1000000, got 1000001"));
}

TEST(ValidateTest, AChainFitsItsInterfaces) {
  const auto chained = [](Config& c) {
    c.settings.attach = AttachMode::kChained;
    c.settings.chain = {.map = "/sys/fs/bpf/root_{interface}/programs", .position = 7};
  };
  EXPECT_THAT(After(chained), IsEmpty());
  EXPECT_THAT(After([&](Config& c) {
                chained(c);
                c.settings.attach = AttachMode::kDirect;
              }),
              ElementsAre("chain: belongs to attach: chained, and attach is direct"));
  EXPECT_THAT(After([&](Config& c) {
                chained(c);
                c.settings.chain = {.map = "root_{interface}", .position = 1024};
              }),
              ElementsAre("chain.map: must be the absolute path of a pinned program array, such as "
                          "/sys/fs/bpf/root_{interface}, got \"root_{interface}\"",
                          "chain.position: must be 0..1023, got 1024"));
  EXPECT_THAT(After([&](Config& c) {
                chained(c);
                c.settings.chain.map = "/sys/fs/bpf/root";
              }),
              ElementsAre("chain.map: must contain {interface}, as each of the 2 interfaces has a "
                          "root program of its own"));
  EXPECT_EQ(Chain{.map = "/a/{interface}/b"}.PathFor("eth0"), "/a/eth0/b");
}

TEST(ValidateTest, APriorityIsForTheDispatcher) {
  EXPECT_THAT(After([](Config& c) {
                c.settings.attach = AttachMode::kDispatcher;
                c.settings.priority = 0;
              }),
              IsEmpty());
  EXPECT_THAT(After([](Config& c) { c.settings.priority = 10; }),
              ElementsAre("dispatcher: belongs to attach: dispatcher, and attach is direct"));
  EXPECT_THAT(After([](Config& c) {
                c.settings.attach = AttachMode::kDispatcher;
                c.settings.priority = 65536;
              }),
              ElementsAre("dispatcher.priority: must be 0..65535, got 65536"));
}

TEST(ValidateTest, InterfacesAreNotTooMany) {
  EXPECT_THAT(After([](Config& c) {
                c.settings.interfaces.clear();
                for (int i = 0; i < 65; ++i) c.settings.interfaces.push_back(fmt::format("e{}", i));
              }),
              ElementsAre("interfaces: at most 64, got 65"));
}

TEST(ValidateTest, InterfaceNamesFitTheKernel) {
  EXPECT_THAT(After([](Config& c) { c.settings.interfaces = {std::string(15, 'e')}; }), IsEmpty());
  EXPECT_THAT(After([](Config& c) {
                c.settings.interfaces = {"eth0", std::string(16, 'e')};
              }),
              ElementsAre("interfaces[1]: must be an interface name of 1..15 characters, got "
                          "\"eeeeeeeeeeeeeeee\""));
  EXPECT_THAT(
      After([](Config& c) { c.settings.interfaces = {""}; }),
      ElementsAre("interfaces[0]: must be an interface name of 1..15 characters, got \"\""));
}

TEST(ValidateTest, InterfacesAreDistinct) {
  EXPECT_THAT(After([](Config& c) {
                c.settings.interfaces = {"a", "b", "a"};
              }),
              ElementsAre("interfaces[2]: \"a\" is already interfaces[0]"));
}

TEST(ValidateTest, TheGatewayHasAUnicastMac) {
  for (const std::string_view mac :
       {"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"}) {
    EXPECT_THAT(After([&](Config& c) { c.settings.next_hop_mac = MacAddress::Parse(mac).value(); }),
                ElementsAre("next_hop.mac: must be the unicast address of a gateway, got " +
                            std::string(mac)));
  }
  EXPECT_THAT(After([](Config& c) { c.settings.next_hop_mac.reset(); }), IsEmpty());
}

TEST(ValidateTest, OuterSourcesAreOfTheirFamilies) {
  EXPECT_THAT(After([](Config& c) { c.settings.outer_source_v4 = *IpPrefix::Parse("100::/64"); }),
              ElementsAre("encap.source_v4: must be an IPv4 prefix, got 100::/64"));
  EXPECT_THAT(After([](Config& c) { c.settings.outer_source_v6 = *IpPrefix::Parse("10.0.0.0/8"); }),
              ElementsAre("encap.source_v6: must be an IPv6 prefix, got 10.0.0.0/8"));
}

TEST(ValidateTest, LimitsAreInRange) {
  struct Row {
    uint32_t Limits::*field;
    std::string_view name;
    uint32_t min, max;
  };
  constexpr Row kRows[] = {
      {&Limits::vips, "limits.vips", 1, 65536},
      {&Limits::reals, "limits.reals", 64, 1048576},
      {&Limits::ring_slots, "limits.ring_slots", 16384, 134217728},
  };
  for (const Row& row : kRows) {
    for (const uint32_t value : {row.min, row.max}) {
      Config config;
      config.settings.limits.*row.field = value;
      EXPECT_THAT(Problems(config), IsEmpty()) << row.name << value;
    }
    for (const uint32_t value : {0u, row.min - 1, row.max + 1, UINT32_MAX}) {
      Config config;
      config.settings.limits.*row.field = value;
      EXPECT_THAT(Problems(config), ElementsAre(fmt::format("{}: must be {}..{}, got {}", row.name,
                                                            row.min, row.max, value)));
    }
  }
}

constexpr std::string_view kNotUnicast[] = {
    "0.0.0.0", "127.0.0.1", "224.0.0.1", "::", "255.255.255.255", "::1", "ff02::1"};

TEST(ValidateTest, VipsAreUnicast) {
  for (const std::string_view address : kNotUnicast) {
    EXPECT_THAT(
        After([&](Config& c) { c.vips[1].key.address = Ip(address); }),
        ElementsAre(fmt::format(
            "vips[1].address: must be a unicast address that clients can reach, got {}", address)));
  }
}

TEST(ValidateTest, RealsAreUnicast) {
  for (const std::string_view address : kNotUnicast) {
    EXPECT_THAT(
        After([&](Config& c) { c.vips[0].reals[1].address = Ip(address); }),
        ElementsAre(fmt::format(
            "vips[0].reals[1].address: must be the unicast address of a real server, got {}",
            address)));
  }
}

TEST(ValidateTest, EveryPortAndAnyPortMayBeBalanced) {
  for (const uint16_t port : {0, 1, 80, 65535}) {
    EXPECT_THAT(After([&](Config& c) { c.vips[0].key.port = port; }), IsEmpty());
  }
}

TEST(ValidateTest, VipsAreDistinct) {
  EXPECT_THAT(After([](Config& c) { c.vips.push_back(c.vips[0]); }),
              ElementsAre("vips[2]: 192.0.2.1:80/tcp is already vips[0]"));
  EXPECT_THAT(After([](Config& c) { c.vips.push_back(c.vips[1]); }),
              ElementsAre("vips[2]: [2001:db8::80]:any/udp is already vips[1]"));
}

TEST(ValidateTest, VipsMayShareTheirAddress) {
  EXPECT_THAT(After([](Config& c) {
                c.vips.push_back(VipOf("192.0.2.1:81/tcp"));
                c.vips.push_back(VipOf("192.0.2.1:80/udp"));
                c.vips.push_back(VipOf("192.0.2.1:any/tcp"));
              }),
              IsEmpty());
}

TEST(ValidateTest, VipsMayBePartsOfOthers) {
  EXPECT_THAT(After([](Config& c) {
                c.vips.push_back(VipOf("192.0.2.1:80-90/tcp"));
                c.vips.push_back(VipOf("192.0.2.1:92-94/tcp"));
                c.vips.push_back(VipOf("192.0.2.1:any/tcp_udp"));
                c.vips.push_back(VipOf("192.0.2.0/24:80/tcp"));
                c.vips.push_back(VipOf("192.0.2.0/28:80/tcp"));
                c.vips.push_back(VipOf("192.0.0.0/16:any/tcp_udp"));
              }),
              IsEmpty());
}

TEST(ValidateTest, NoTwoVipsHaveThePortsOfOneAddress) {
  constexpr std::string_view kRows[][2] = {
      {"192.0.2.1:80/tcp", "192.0.2.1:80/tcp_udp"},
      {"192.0.2.1:80-90/tcp", "192.0.2.1:90-99/tcp"},
      {"192.0.2.1:80-90/udp", "192.0.2.1:70-80/tcp_udp"},
      {"192.0.2.1:80-90/tcp", "192.0.2.1:82-83/tcp"},
      {"192.0.2.1:82-83/tcp", "192.0.2.1:80-90/tcp"},
      {"192.0.2.0/24:any/udp", "192.0.2.0/24:any/tcp_udp"},
      {"[2001:db8::/64]:1-9/udp", "[2001:db8::/64]:9-10/udp"},
  };
  for (const auto& [first, second] : kRows) {
    EXPECT_THAT(
        Problems(ConfigOf({VipOf(first), VipOf("203.0.113.1:80/tcp"), VipOf(second)})),
        ElementsAre(fmt::format("vips[2]: {} overlaps {}, which is vips[0]; give each port and "
                                "protocol of an address to one of them",
                                second, first)));
  }
}

TEST(ValidateTest, PrefixesAreUnicastAndNotTheWholeInternet) {
  const auto problems = [](std::string_view vip) { return Problems(ConfigOf({VipOf(vip)})); };
  EXPECT_THAT(problems("10.0.0.0/8:80/tcp"), IsEmpty());
  EXPECT_THAT(problems("[2001::/16]:80/tcp"), IsEmpty());
  EXPECT_THAT(problems("8.0.0.0/7:80/tcp"),
              ElementsAre("vips[0].address: the prefix length must be 8 or more for IPv4, got 7"));
  EXPECT_THAT(
      problems("[2000::/15]:80/tcp"),
      ElementsAre("vips[0].address: the prefix length must be 16 or more for IPv6, got 15"));
  for (const std::string_view prefix : {"127.0.0.0/8", "224.0.0.0/8", "255.255.255.254/31"}) {
    EXPECT_THAT(
        problems(fmt::format("{}:80/tcp", prefix)),
        ElementsAre(fmt::format(
            "vips[0].address: must be unicast addresses that clients can reach, got {}", prefix)));
  }
}

TEST(ValidateTest, ARealIsNoAddressOfItsVip) {
  EXPECT_THAT(Problems(ConfigOf({VipOf("10.0.0.0/24:80/tcp", {"10.0.1.1", "10.0.0.9"})})),
              ElementsAre("vips[0].reals[1].address: 10.0.0.9 is an address of the VIP; a real "
                          "needs one of its own"));
}

TEST(ValidateTest, AVipOfBothProtocolsCountsTwice) {
  Config config = ConfigOf({VipOf("192.0.2.1:80/tcp_udp"), VipOf("192.0.2.1:81/tcp")});
  config.settings.limits.vips = 3;
  EXPECT_THAT(Problems(config), IsEmpty());
  config.settings.limits.vips = 2;
  EXPECT_THAT(Problems(config), ElementsAre("vips: 3 VIPs, but limits.vips is 2; raise it"));
}

TEST(ValidateTest, L2NeedsTheMacOfARealOfTheSameFamily) {
  Config config = ConfigOf({VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "2001:db8::1"})});
  config.vips[0].reals[0].encap = Encap::kL2;
  EXPECT_THAT(Problems(config), IsEmpty());
  config.vips[0].reals[1].encap = Encap::kL2;
  EXPECT_THAT(Problems(config),
              ElementsAre("vips[0].reals[1].encap: l2 does not change the packet: the address of "
                          "the real must be IPv4, as the VIP is"));
  config.vips[0].reals.pop_back();
  config.settings.next_hop_mac = MacAddress::Parse("02:00:5e:10:00:01").value();
  EXPECT_THAT(Problems(config),
              ElementsAre("vips[0].reals[0].encap: l2 needs the MAC address of the real, so "
                          "next_hop.mac must not be set"));
}

TEST(ValidateTest, TheGuePortIsAPort) {
  EXPECT_THAT(After([](Config& c) { c.settings.gue_port = 0; }),
              ElementsAre("encap.gue_port: must be 1..65535, got 0"));
}

TEST(ValidateTest, SourcesAreOfTheFamilyOfTheVipAndNamedOnce) {
  const auto prefix = [](std::string_view text) { return IpPrefix::Parse(text).value(); };
  EXPECT_THAT(After([&](Config& c) {
                c.vips[0].sources.allow = {prefix("10.0.0.0/8")};
                c.vips[0].sources.deny = {prefix("10.0.0.0/16"), prefix("0.0.0.0/0")};
                c.vips[1].sources.deny = {prefix("2001:db8::/32")};
              }),
              IsEmpty());
  EXPECT_THAT(After([&](Config& c) {
                c.vips[0].sources.allow = {prefix("10.0.0.0/8"), prefix("2001:db8::/32")};
                c.vips[0].sources.deny = {prefix("10.0.0.0/8")};
              }),
              ElementsAre("vips[0].sources.allow[1]: must be an IPv4 prefix, as the VIP is, got "
                          "2001:db8::/32",
                          "vips[0].sources.deny[0]: 10.0.0.0/8 is already allow[0]"));
  EXPECT_THAT(After([&](Config& c) {
                c.settings.limits.source_prefixes = 1;
                c.vips[0].sources.allow = {prefix("10.0.0.0/8"), prefix("11.0.0.0/8")};
              }),
              ElementsAre("vips: 2 prefixes on the lists of sources of all VIPs together, but "
                          "limits.source_prefixes is 1; raise it"));
}

TEST(ValidateTest, SourceRoutesAreToldApartByNameAndPrefix) {
  const auto prefix = [](std::string_view text) { return IpPrefix::Parse(text).value(); };
  const auto route = [&](std::string name, std::string_view source, std::string_view real) {
    return SourceRoute{
        .name = std::move(name), .sources = {prefix(source)}, .reals = {{.address = Ip(real)}}};
  };
  EXPECT_THAT(After([&](Config& c) {
                c.vips[0].source_routes = {route("a", "198.51.100.0/24", "10.0.0.7"),
                                           route("b", "198.51.100.0/25", "10.0.0.7")};
              }),
              IsEmpty());
  EXPECT_THAT(
      After([&](Config& c) {
        c.vips[0].source_routes = {route("a", "198.51.100.0/24", "192.0.2.1"),
                                   route("a", "198.51.100.0/24", "10.0.0.7"),
                                   route("", "2001:db8::/32", "10.0.0.7"),
                                   {.name = "d"}};
      }),
      ElementsAre(
          "vips[0].source_routes[0].reals[0].address: is the VIP itself; a real needs an address "
          "of its own",
          "vips[0].source_routes[1].name: \"a\" cannot be told from \"a\", source_routes[0]; "
          "choose "
          "another",
          "vips[0].source_routes[1].sources[0]: 198.51.100.0/24 is already in source_routes[0]",
          "vips[0].source_routes[2].name: must have 1..63 characters, got 0",
          "vips[0].source_routes[2].sources[0]: must be an IPv4 prefix, as the VIP is, got "
          "2001:db8::/32",
          "vips[0].source_routes[3].sources: is required: prefixes of clients"));
}

TEST(ValidateTest, RatesAreInRangeAndOfTcp) {
  EXPECT_THAT(After([](Config& c) {
                c.vips[0].sources.new_flows = {.per_second = 1000000, .burst = 3000000000};
                c.vips[0].sources.new_flows_per_source = {.per_second = 1};
              }),
              IsEmpty());
  EXPECT_THAT(
      After([](Config& c) {
        c.vips[0].sources.new_flows = {.per_second = 1000001};
        c.vips[0].sources.new_flows_per_source = {.per_second = 1, .burst = 3601};
        c.vips[1].sources.new_flows = {.per_second = 1};
        c.vips[1].sources.new_flows_per_source = {.burst = 5};
      }),
      ElementsAre(
          "vips[0].sources.new_flows.per_second: must be 0..1000000, got 1000001",
          "vips[0].sources.new_flows_per_source.burst: must be 0..3600, got 3601",
          "vips[1].sources.new_flows: needs TCP: no packet of UDP opens a flow",
          "vips[1].sources.new_flows_per_source.burst: belongs to per_second, which is not set"));
}

TEST(ValidateTest, NamesAreShort) {
  EXPECT_THAT(After([](Config& c) { c.vips[1].name = std::string(63, 'n'); }), IsEmpty());
  EXPECT_THAT(After([](Config& c) { c.vips[1].name = std::string(64, 'n'); }),
              ElementsAre("vips[1].name: at most 63 characters, got 64"));
}

TEST(ValidateTest, RingBitsAreInRange) {
  for (const int bits : {0, 8, 20}) {
    EXPECT_THAT(After([&](Config& c) { c.vips[0].ring.bits = bits; }), IsEmpty()) << bits;
  }
  for (const int bits : {-1, 1, 7, 21, 63, 64, 100, INT32_MAX, INT32_MIN}) {
    EXPECT_THAT(After([&](Config& c) { c.vips[0].ring.bits = bits; }),
                ElementsAre(fmt::format("vips[0].ring.bits: must be 8..20, got {}", bits)));
  }
}

TEST(ValidateTest, TheRingHasASlotForEachReal) {
  const auto with_reals = [](size_t count) {
    return After([&](Config& c) {
      c.vips[0].ring.bits = 8;
      c.vips[0].reals = ManyReals(count);
    });
  };
  EXPECT_THAT(with_reals(256), IsEmpty());
  EXPECT_THAT(with_reals(257),
              ElementsAre("vips[0].ring.bits: 2^8 slots are fewer than the 257 reals"));
}

TEST(ValidateTest, AVipHasAtMost8192Reals) {
  const auto with_reals = [](size_t count) {
    return After([&](Config& c) {
      c.settings.limits.reals = 100000;
      c.vips[0].reals = ManyReals(count);
    });
  };
  EXPECT_THAT(with_reals(8192), IsEmpty());
  EXPECT_THAT(with_reals(8193),
              ElementsAre("vips[0].reals: at most 8192 reals in one VIP, got 8193"));
}

TEST(ValidateTest, RealsOfAVipAreDistinct) {
  EXPECT_THAT(After([](Config& c) { c.vips[0].reals.push_back({.address = Ip("10.0.0.1")}); }),
              ElementsAre("vips[0].reals[2].address: 10.0.0.1 is already reals[0] of this VIP"));
}

TEST(ValidateTest, AVipIsNotItsOwnReal) {
  EXPECT_THAT(
      After([](Config& c) { c.vips[0].reals[1].address = Ip("192.0.2.1"); }),
      ElementsAre(
          "vips[0].reals[1].address: is the VIP itself; a real needs an address of its own"));
}

TEST(ValidateTest, WeightsAreInRange) {
  for (const uint32_t weight : {0u, 1u, 1000000u}) {
    EXPECT_THAT(After([&](Config& c) { c.vips[1].reals[0].weight = weight; }), IsEmpty());
  }
  for (const uint32_t weight : {1000001u, UINT32_MAX}) {
    EXPECT_THAT(
        After([&](Config& c) { c.vips[1].reals[0].weight = weight; }),
        ElementsAre(fmt::format("vips[1].reals[0].weight: must be 0..1000000, got {}", weight)));
  }
}

Vip RoutedById(std::string_view key, const RouteById& route, std::vector<uint64_t> ids) {
  Vip vip = VipOf(key, {"10.0.0.1", "10.0.0.2"});
  vip.route_by_id = route;
  for (size_t i = 0; i < ids.size(); ++i) vip.reals[i].server_id = ids[i];
  return vip;
}

TEST(ValidateTest, ServerIdsAreRequiredAndDistinctWhereTheVipIsRoutedById) {
  const RouteById option{.tcp_option = true};
  EXPECT_THAT(Problems(ConfigOf({RoutedById("192.0.2.1:80/tcp", option, {1, 2})})), IsEmpty());
  EXPECT_THAT(Problems(ConfigOf({RoutedById("192.0.2.1:80/tcp", {}, {1, 1})})), IsEmpty());
  EXPECT_THAT(Problems(ConfigOf({RoutedById("192.0.2.1:80/tcp", option, {7})})),
              ElementsAre("vips[0].reals[1].server_id: is required where the VIP is routed by id"));
  EXPECT_THAT(Problems(ConfigOf({RoutedById("192.0.2.1:80/tcp", option, {7, 7})})),
              ElementsAre("vips[0].reals[1].server_id: 7 is already that of reals[0]"));
}

TEST(ValidateTest, ServerIdsFitWhereverTheyAreCarried) {
  const auto udp = [](const RouteById& route, uint64_t id) {
    return Problems(ConfigOf({RoutedById("192.0.2.1:443/udp", route, {1, id})}));
  };
  EXPECT_THAT(udp({.quic_lb = {0, 1, 2}}, 255), IsEmpty());
  EXPECT_THAT(udp({.quic_lb = {0, 1, 2}}, 256),
              ElementsAre("vips[0].reals[1].server_id: must be 0..255 for quic_lb (config_id 1), "
                          "got 256"));
  EXPECT_THAT(udp({.quic_lb = {6}}, (uint64_t{1} << 48) - 1), IsEmpty());
  EXPECT_THAT(udp({.quic_katran = true}, UINT32_MAX), IsEmpty());
  EXPECT_THAT(udp({.quic_katran = true}, uint64_t{UINT32_MAX} + 1),
              ElementsAre("vips[0].reals[1].server_id: must be 1..4294967295 for quic_katran, got "
                          "4294967296"));
  EXPECT_THAT(Problems(ConfigOf({RoutedById("192.0.2.1:80/tcp", {.tcp_option = true}, {0, 1})})),
              ElementsAre("vips[0].reals[0].server_id: must be 1..4294967295 for tcp_option, got "
                          "0"));
}

TEST(ValidateTest, PacketsOfTheVipCanCarryTheIds) {
  EXPECT_THAT(Problems(ConfigOf({RoutedById("192.0.2.1:443/udp", {.tcp_option = true}, {1, 2})})),
              ElementsAre("vips[0].route_by_id.tcp_option: is for TCP, and the VIP is not"));
  EXPECT_THAT(
      Problems(ConfigOf({RoutedById("192.0.2.1:443/tcp", {.quic_katran = true}, {1, 2})})),
      ElementsAre("vips[0].route_by_id: quic_lb and quic_katran are for UDP, and the VIP is not"));
  const RouteById both{.quic_lb = {2, 0, 2}, .quic_katran = true};
  EXPECT_THAT(Problems(ConfigOf({RoutedById("192.0.2.1:443/udp", both, {1, 2})})),
              ElementsAre("vips[0].route_by_id.quic_lb (config_id 2): begins as connection ids of "
                          "quic_katran do; use config_id 0 or 1"));
}

TEST(ValidateTest, AllVipsTogetherStayWithinTheLimits) {
  EXPECT_THAT(After([](Config& c) { c.settings.limits.vips = 2; }), IsEmpty());
  EXPECT_THAT(After([](Config& c) { c.settings.limits.vips = 1; }),
              ElementsAre("vips: 2 VIPs, but limits.vips is 1; raise it"));

  const auto with_reals = [](size_t count) {
    return After([&](Config& c) {
      c.settings.limits.reals = 64;
      c.vips[0].reals = ManyReals(count - 1);  // and one in the other VIP
    });
  };
  EXPECT_THAT(with_reals(64), IsEmpty());
  EXPECT_THAT(with_reals(65),
              ElementsAre("vips: 65 reals in all VIPs together, but limits.reals is 64; raise it"));

  EXPECT_THAT(After([](Config& c) { c.settings.limits.ring_slots = 2 << 14; }), IsEmpty());
  EXPECT_THAT(After([](Config& c) { c.settings.limits.ring_slots = (2 << 14) - 1; }),
              ElementsAre("vips: 32768 ring slots in all VIPs together, but limits.ring_slots is "
                          "32767; raise it"));
}

TEST(ValidateTest, ReportsAllProblemsAtOnce) {
  EXPECT_THAT(
      After([](Config& c) {
        c.settings.interfaces = {"a", "a"};
        c.settings.limits.reals = 1;
        c.vips[0].reals[0].weight = 2000000;
        c.vips[0].reals[1].address = Ip("::1");
        c.vips[1].key = c.vips[0].key;
        c.vips[1].ring.bits = 7;
      }),
      testing::UnorderedElementsAre(
          "interfaces[1]: \"a\" is already interfaces[0]",
          "limits.reals: must be 64..1048576, got 1",
          "vips[0].reals[0].weight: must be 0..1000000, got 2000000",
          "vips[0].reals[1].address: must be the unicast address of a real server, got ::1",
          "vips[1].ring.bits: must be 8..20, got 7", "vips[1]: 192.0.2.1:80/tcp is already vips[0]",
          "vips: 3 reals in all VIPs together, but limits.reals is 1; raise it"));
}

TEST(ProblemTest, AProblemOfTheWholeDocumentHasNoPath) {
  EXPECT_EQ((Problem{.path = "a.b", .message = "is wrong"}.ToString()), "a.b: is wrong");
  EXPECT_EQ((Problem{.path = "", .message = "is empty"}.ToString()), "is empty");
}

TEST(ProblemTest, NoProblemsAreSuccess) { EXPECT_TRUE(ToStatus({}).ok()); }

TEST(ProblemTest, ProblemsAreOneALine) {
  const Status status = ToStatus({{"a", "is wrong"}, {"b", "too"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(status), "a: is wrong\nb: too");
}

TEST(ProblemTest, FiftyProblemsAreShownAndTheRestCounted) {
  const auto message_of = [](size_t count) {
    return Message(ToStatus(std::vector<Problem>(count, {"a", "is wrong"})));
  };
  EXPECT_EQ(std::ranges::count(message_of(50), '\n'), 49);
  EXPECT_EQ(std::ranges::count(message_of(53), '\n'), 50);
  EXPECT_THAT(message_of(50), testing::EndsWith("is wrong"));
  EXPECT_THAT(message_of(53), testing::EndsWith("\nand 3 more problems"));
}

}  // namespace
}  // namespace lb::model
