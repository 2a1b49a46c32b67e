// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/ip_prefix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bitset>
#include <random>

namespace lb {
namespace {

using testing::HasSubstr;
using namespace std::string_view_literals;

IpAddress Ip(std::string_view text) { return IpAddress::Parse(text).value(); }
IpPrefix Prefix(std::string_view text) { return IpPrefix::Parse(text).value(); }

TEST(IpPrefixTest, ReadsAndWritesBothFamilies) {
  struct Row {
    std::string_view in, out;
    int length;
    bool v4;
  };
  constexpr Row kRows[] = {
      {"192.0.2.0/24", "192.0.2.0/24", 24, true},
      {"0.0.0.0/0", "0.0.0.0/0", 0, true},
      {"192.0.2.1/32", "192.0.2.1/32", 32, true},
      {"192.0.2.1", "192.0.2.1/32", 32, true},
      {"10.128.0.0/9", "10.128.0.0/9", 9, true},
      {"2001:DB8::/64", "2001:db8::/64", 64, false},
      {"::/0", "::/0", 0, false},
      {"2001:db8::1", "2001:db8::1/128", 128, false},
      {"2001:db8::8/125", "2001:db8::8/125", 125, false},
  };
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.in);
    EXPECT_EQ(Prefix(row.in).ToString(), row.out);
    EXPECT_EQ(Prefix(row.in).length(), row.length);
    EXPECT_EQ(Prefix(row.in).is_v4(), row.v4);
    EXPECT_EQ(Prefix(row.out), Prefix(row.in));
  }
}

TEST(IpPrefixTest, RefusesWhatIsNoAddress) {
  for (const std::string_view text : {"", "/24", "192.0.2/24", "net/24", " 10.0.0.0/8"}) {
    const auto prefix = IpPrefix::Parse(text);
    ASSERT_EQ(prefix.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(Message(prefix.status()),
              "\"" + std::string(text) + "\" is not an IPv4 or IPv6 prefix");
  }
}

TEST(IpPrefixTest, RefusesALengthOutsideOfTheFamilysAndNamesTheRange) {
  for (const std::string_view length : {"33"sv, "-1"sv, "-0"sv, "+8"sv, "4294967296"sv, ""sv, "x"sv,
                                        "8x"sv, " 8"sv, "8 "sv, "8/8"sv, "255.0.0.0"sv, "8\0"sv}) {
    const std::string text = "0.0.0.0/" + std::string(length);
    const auto prefix = IpPrefix::Parse(text);
    ASSERT_EQ(prefix.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(
        Message(prefix.status()),
        "\"" + text + "\": the prefix length must be 0..32, got \"" + std::string(length) + "\"");
  }
  EXPECT_THAT(Message(IpPrefix::Parse("::/129").status()), HasSubstr("0..128, got \"129\""));
}

TEST(IpPrefixTest, RefusesHostBitsAndSuggestsThePrefix) {
  EXPECT_EQ(Message(IpPrefix::Parse("192.0.2.1/24").status()),
            "\"192.0.2.1/24\" has bits set behind its prefix length; did you mean 192.0.2.0/24?");
  EXPECT_THAT(Message(IpPrefix::Parse("2001:db8::1/64").status()), HasSubstr("2001:db8::/64?"));
  EXPECT_THAT(Message(IpPrefix::Parse("10.0.0.128/24").status()), HasSubstr("10.0.0.0/24?"));
  EXPECT_FALSE(IpPrefix::Parse("128.0.0.0/0").ok());
}

TEST(IpPrefixTest, ContainsExactlyItsAddresses) {
  EXPECT_TRUE(Prefix("10.0.0.0/23").Contains(Ip("10.0.0.0")));
  EXPECT_TRUE(Prefix("10.0.0.0/23").Contains(Ip("10.0.1.255")));
  EXPECT_FALSE(Prefix("10.0.0.0/23").Contains(Ip("10.0.2.0")));
  EXPECT_FALSE(Prefix("10.0.0.0/23").Contains(Ip("9.255.255.255")));
  EXPECT_TRUE(Prefix("10.0.0.1").Contains(Ip("10.0.0.1")));
  EXPECT_FALSE(Prefix("10.0.0.1").Contains(Ip("10.0.0.0")));
  EXPECT_TRUE(Prefix("0.0.0.0/0").Contains(Ip("255.255.255.255")));
  EXPECT_TRUE(Prefix("2001:db8::/33").Contains(Ip("2001:db8:7fff::1")));
  EXPECT_FALSE(Prefix("2001:db8::/33").Contains(Ip("2001:db8:8000::")));
}

TEST(IpPrefixTest, ContainsNothingOfTheOtherFamily) {
  EXPECT_FALSE(Prefix("::/0").Contains(Ip("10.0.0.1")));
  EXPECT_FALSE(Prefix("0.0.0.0/0").Contains(Ip("::")));
  EXPECT_FALSE(Prefix("0.0.0.0/0").Contains(Ip("2001:db8::1")));
}

// Bit by bit against strings of 0 and 1.
TEST(IpPrefixTest, ContainsWhatSharesItsFirstBits) {
  const auto bits = [](const IpAddress& address) {
    std::string text;
    for (const uint8_t byte : address.bytes()) text += std::bitset<8>(byte).to_string();
    return text;
  };
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    IpAddress::Bytes bytes{};
    const bool v4 = round % 2 == 0;
    if (v4) bytes[10] = bytes[11] = 0xff;
    bytes[v4 ? 12 : 0] = 0x80;
    const IpAddress address(bytes);
    const int length = 1 + static_cast<int>(random() % (v4 ? 32 : 128));
    const IpPrefix prefix = Prefix(address.ToString() + "/" + std::to_string(length));
    // Flip one bit: inside the prefix it leaves it, behind it stays.
    const int flipped = static_cast<int>(random() % (v4 ? 32 : 128));
    const int at = flipped + (v4 ? 96 : 0);
    bytes[at / 8] ^= static_cast<uint8_t>(0x80 >> at % 8);
    const IpAddress other(bytes);
    ASSERT_EQ(prefix.Contains(other),
              bits(other).substr(0, length) == bits(address).substr(0, length))
        << prefix.ToString() << " " << other.ToString();
    ASSERT_EQ(prefix.Contains(other), flipped >= length);
  }
}

TEST(IpPrefixTest, ContainsThePrefixesWithinAndEndsWithItsLastAddress) {
  const auto prefix = [](std::string_view text) { return IpPrefix::Parse(text).value(); };
  EXPECT_TRUE(prefix("192.0.2.0/24").Contains(prefix("192.0.2.0/24")));
  EXPECT_TRUE(prefix("192.0.2.0/24").Contains(prefix("192.0.2.128/25")));
  EXPECT_FALSE(prefix("192.0.2.128/25").Contains(prefix("192.0.2.0/24")));
  EXPECT_FALSE(prefix("192.0.2.0/24").Contains(prefix("192.0.3.0/25")));
  EXPECT_EQ(prefix("192.0.2.0/23").last().ToString(), "192.0.3.255");
  EXPECT_EQ(prefix("2001:db8::/127").last().ToString(), "2001:db8::1");
  EXPECT_EQ(prefix("192.0.2.1/32").last().ToString(), "192.0.2.1");
  EXPECT_EQ(IpPrefix(IpAddress::Parse("192.0.2.77").value(), 24), prefix("192.0.2.0/24"));
}

}  // namespace
}  // namespace lb
