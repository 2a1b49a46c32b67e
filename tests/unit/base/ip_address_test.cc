// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/ip_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb {
namespace {

using testing::ElementsAre;
using namespace std::string_view_literals;

IpAddress Ip(std::string_view text) { return IpAddress::Parse(text).value(); }

TEST(IpAddressTest, WritesTheTextOfRfc5952) {
  constexpr std::string_view kTexts[][2] = {
      {"192.0.2.1", "192.0.2.1"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"2001:0DB8:0:0:0:0:0:01", "2001:db8::1"},         // lower case, no leading zeros
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // one zero group is not shortened
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // the longest run is
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // of equal ones the first
      {"fe80::", "fe80::"},
      {"::ffff:192.0.2.1", "192.0.2.1"},
      {"::ffff:c000:0201", "192.0.2.1"},
  };
  for (const auto& [in, out] : kTexts) {
    EXPECT_EQ(Ip(in).ToString(), out);
    EXPECT_EQ(Ip(out), Ip(in));
  }
}

TEST(IpAddressTest, RefusesWhatIsNoAddressAndQuotesIt) {
  for (const std::string_view text : {""sv,
                                      "1"sv,
                                      "1.2.3"sv,
                                      "1.2.3.4.5"sv,
                                      "1.2.3.256"sv,
                                      "01.2.3.4"sv,
                                      " 1.2.3.4"sv,
                                      "1.2.3.4 "sv,
                                      "1.2.3.4/32"sv,
                                      "0x1.2.3.4"sv,
                                      "::1%eth0"sv,
                                      "[::1]"sv,
                                      ":::"sv,
                                      "1::2::3"sv,
                                      "1:2:3:4:5:6:7"sv,
                                      "1:2:3:4:5:6:7:8:9"sv,
                                      "12345::"sv,
                                      "g::"sv,
                                      "host"sv,
                                      "1.2.3.4\0"sv,
                                      "1.2.3.4\0.5"sv,
                                      "::1\0x"sv}) {
    const auto address = IpAddress::Parse(text);
    ASSERT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(Message(address.status()),
              "\"" + std::string(text) + "\" is not an IPv4 or IPv6 address");
  }
}

TEST(IpAddressTest, HoldsIpv4AsMappedIpv6InNetworkOrder) {
  EXPECT_THAT(Ip("192.0.2.1").mapped(),
              ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1));
  EXPECT_THAT(Ip("192.0.2.1").bytes(), ElementsAre(192, 0, 2, 1));
  EXPECT_THAT(Ip("2001:db8::1").bytes(),
              ElementsAre(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
}

TEST(IpAddressTest, ComesBackFromItsBytes) {
  for (const std::string_view text : {"192.0.2.1", "0.0.0.0", "2001:db8::1", "::", "::1"}) {
    EXPECT_EQ(IpAddress::FromBytes(Ip(text).bytes()).value(), Ip(text));
    EXPECT_EQ(IpAddress::FromBytes(Ip(text).mapped()).value(), Ip(text));
  }
}

TEST(IpAddressTest, HasFourOrSixteenBytes) {
  const std::array<uint8_t, 17> bytes{};
  for (const size_t size : {0, 1, 3, 5, 6, 15, 17}) {
    const auto address = IpAddress::FromBytes(std::span(bytes).first(size));
    ASSERT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument) << size;
    EXPECT_EQ(Message(address.status()),
              "an address has 4 or 16 bytes, got " + std::to_string(size));
  }
}

TEST(IpAddressTest, DefaultIsTheUnspecifiedIpv6Address) { EXPECT_EQ(IpAddress(), Ip("::")); }

TEST(IpAddressTest, KnowsTheSpecialAddressesOfBothFamilies) {
  struct Row {
    std::string_view text;
    bool v4, unspecified, multicast, loopback, broadcast;
  };
  constexpr Row kRows[] = {
      {"192.0.2.1", true, false, false, false, false},
      {"0.0.0.0", true, true, false, false, false},
      {"0.0.0.1", true, false, false, false, false},
      {"223.255.255.255", true, false, false, false, false},
      {"224.0.0.0", true, false, true, false, false},
      {"239.255.255.255", true, false, true, false, false},
      {"240.0.0.1", true, false, false, false, false},
      {"126.255.255.255", true, false, false, false, false},
      {"127.0.0.1", true, false, false, true, false},
      {"127.255.0.1", true, false, false, true, false},
      {"128.0.0.1", true, false, false, false, false},
      {"255.255.255.254", true, false, false, false, false},
      {"255.255.255.255", true, false, false, false, true},
      {"2001:db8::1", false, false, false, false, false},
      {"::", false, true, false, false, false},
      {"::1", false, false, false, true, false},
      {"::2", false, false, false, false, false},
      {"1::1", false, false, false, false, false},
      {"fe80::1", false, false, false, false, false},
      {"feff::1", false, false, false, false, false},
      {"ff02::1", false, false, true, false, false},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false, true, false, false},
  };
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(Ip(row.text).is_v4(), row.v4);
    EXPECT_EQ(Ip(row.text).is_unspecified(), row.unspecified);
    EXPECT_EQ(Ip(row.text).is_multicast(), row.multicast);
    EXPECT_EQ(Ip(row.text).is_loopback(), row.loopback);
    EXPECT_EQ(Ip(row.text).is_broadcast(), row.broadcast);
  }
}

TEST(IpAddressTest, IsOrderedByItsBytes) {
  EXPECT_LT(Ip("9.0.0.0"), Ip("10.0.0.0"));
  EXPECT_LT(Ip("10.0.0.1"), Ip("10.0.1.0"));
  EXPECT_LT(Ip("255.255.255.255"), Ip("2001:db8::"));
  EXPECT_LT(Ip("::1"), Ip("0.0.0.0"));
}

}  // namespace
}  // namespace lb
