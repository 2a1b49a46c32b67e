// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/port_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>

#include "tests/unit/model/config_testing.h"

namespace lb::dataplane {
namespace {

using model::Key;
using model::Protocol;
using model::VipKey;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// "192.0.2.0/24 tcp: 80-80 192.0.2.0/24:80/tcp, ..."
std::vector<std::string> Texts(const std::set<VipKey>& vips) {
  std::vector<std::string> texts;
  for (const Scope& scope : MakeScopes(vips)) {
    std::string text = scope.prefix.ToString() + (scope.protocol == 6    ? " tcp"
                                                  : scope.protocol == 17 ? " udp"
                                                                         : " address");
    for (const PortRule& rule : scope.rules) {
      text += " | " + std::to_string(rule.first) + "-" + std::to_string(rule.last) + " " +
              rule.vip.ToString();
    }
    texts.push_back(text);
  }
  return texts;
}

TEST(PortRulesTest, VipsOfOneAddressWithOnePortOrAllNeedNone) {
  EXPECT_THAT(MakeScopes({Key("192.0.2.1:80/tcp"), Key("192.0.2.1:any/tcp_udp")}), IsEmpty());
}

TEST(PortRulesTest, RangesOfAnAddressAreInOrder) {
  EXPECT_THAT(Texts({Key("192.0.2.1:90-99/tcp"), Key("192.0.2.1:10-20/tcp"),
                     Key("192.0.2.1:15/tcp"), Key("192.0.2.1:any/tcp")}),
              ElementsAre("192.0.2.1/32 tcp | 10-20 192.0.2.1:10-20/tcp | 90-99 "
                          "192.0.2.1:90-99/tcp"));
}

TEST(PortRulesTest, OfOnePrefixTheMoreExactPortsCutTheOthers) {
  EXPECT_THAT(
      Texts({Key("10.0.0.0/8:any/udp"), Key("10.0.0.0/8:100-200/udp"), Key("10.0.0.0/8:150/udp")}),
      ElementsAre("10.0.0.0/8 address",
                  "10.0.0.0/8 udp | 0-99 10.0.0.0/8:any/udp | 100-149 "
                  "10.0.0.0/8:100-200/udp | 150-150 10.0.0.0/8:150/udp | 151-200 "
                  "10.0.0.0/8:100-200/udp | 201-65535 10.0.0.0/8:any/udp"));
}

TEST(PortRulesTest, AShorterPrefixGetsWhatTheLongerOneLeaves) {
  EXPECT_THAT(Texts({Key("10.0.0.0/8:any/tcp"), Key("10.1.0.0/16:80/tcp")}),
              ElementsAre("10.0.0.0/8 address", "10.1.0.0/16 address",
                          "10.0.0.0/8 tcp | 0-65535 10.0.0.0/8:any/tcp",
                          "10.1.0.0/16 tcp | 0-79 10.0.0.0/8:any/tcp | 80-80 10.1.0.0/16:80/tcp | "
                          "81-65535 10.0.0.0/8:any/tcp"));
}

TEST(PortRulesTest, AVipOfEveryPortShieldsItsAddress) {
  EXPECT_THAT(Texts({Key("10.0.0.0/8:80/tcp"), Key("10.0.0.1:any/tcp"), Key("10.0.0.2:any/udp")}),
              ElementsAre("10.0.0.0/8 address", "10.0.0.0/8 tcp | 80-80 10.0.0.0/8:80/tcp",
                          "10.0.0.1/32 tcp"));
}

// The rules against the sentence that they come from.
std::optional<VipKey> Brute(const std::set<VipKey>& vips, const IpAddress& address,
                            Protocol protocol, uint16_t port) {
  std::optional<VipKey> best;
  const auto rank = [](const VipKey& key) {
    return std::pair(key.host_bits, key.port == 0 ? 2 : key.is_range() ? 1 : 0);
  };
  for (const VipKey& vip : vips) {
    if (!vip.Serves(protocol) || !vip.prefix().Contains(address)) continue;
    if (port < vip.ports().first || port > vip.ports().second) continue;
    if (!best || rank(vip) < rank(*best)) best = vip;
  }
  return best;
}

// As the program searches.
std::optional<VipKey> Search(const std::vector<Scope>& scopes, const std::set<VipKey>& vips,
                             const IpAddress& address, Protocol protocol, uint16_t port) {
  const auto exact = [&](uint16_t its_port) -> std::optional<VipKey> {
    for (const Protocol own : {protocol, Protocol::kTcpUdp}) {
      const VipKey key{.address = address, .port = its_port, .protocol = own};
      if (vips.contains(key)) return key;
    }
    return std::nullopt;
  };
  if (port != 0) {
    if (const auto found = exact(port)) return found;
  }
  const Scope* longest = nullptr;
  for (const Scope& scope : scopes) {
    if (scope.protocol != static_cast<uint8_t>(protocol) || !scope.prefix.Contains(address))
      continue;
    if (longest == nullptr || scope.prefix.length() > longest->prefix.length()) longest = &scope;
  }
  if (longest != nullptr) {
    for (const PortRule& rule : longest->rules) {
      if (rule.first <= port && port <= rule.last) return rule.vip;
    }
  }
  return exact(0);
}

TEST(PortRulesTest, FindWhomTheOrderSays) {
  std::mt19937 random(7);
  const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  const auto address = [&] {
    IpAddress::Bytes bytes = model::Ip("10.0.0.0").mapped();
    bytes[15] = static_cast<uint8_t>(below(16));
    return IpAddress(bytes);
  };
  for (int round = 0; round < 300; ++round) {
    std::set<VipKey> vips;
    std::set<std::tuple<IpPrefix, int, uint16_t>> taken;
    for (int i = 0; i < 12; ++i) {
      VipKey vip{.protocol = below(3) == 0 ? Protocol::kTcpUdp : Protocol::kTcp};
      vip.SetPrefix(IpPrefix(address(), static_cast<int>(28 + below(5))));
      vip.port = static_cast<uint16_t>(below(3) == 0 ? 0 : 1 + below(3) * 4);
      if (vip.port != 0 && below(2) == 0)
        vip.last_port = static_cast<uint16_t>(vip.port + 1 + below(3));
      const int kind = vip.port == 0 ? 0 : vip.is_range() ? 1 : 2;
      if (taken.insert({vip.prefix(), kind, vip.port}).second) vips.insert(vip);
    }
    const std::vector<Scope> scopes = MakeScopes(vips);
    for (int i = 0; i < 200; ++i) {
      const IpAddress to = address();
      const auto port = static_cast<uint16_t>(below(16));
      for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
        ASSERT_EQ(Search(scopes, vips, to, protocol, port), Brute(vips, to, protocol, port))
            << to.ToString() << " " << port << " round " << round;
      }
    }
  }
}

}  // namespace
}  // namespace lb::dataplane
