// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/mac_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb {
namespace {

using testing::ElementsAre;

TEST(MacAddressTest, ReadsSixPairsOfHexDigits) {
  const MacAddress mac = MacAddress::Parse("02:00:5E:10:00:ff").value();
  EXPECT_THAT(mac.bytes(), ElementsAre(0x02, 0x00, 0x5e, 0x10, 0x00, 0xff));
  EXPECT_EQ(mac.ToString(), "02:00:5e:10:00:ff");
  EXPECT_EQ(MacAddress::Parse(mac.ToString()).value(), mac);
}

TEST(MacAddressTest, RefusesEverythingElseAndShowsHowToWriteOne) {
  for (const std::string_view text :
       {"", "02:00:5e:10:00", "02:00:5e:10:00:01:02", "02-00-5e-10-00-01", "02005e100001",
        "2:0:5e:10:0:1", "02:00:5e:10:00:0g", "02:00:5e:10:00:+1", "02:00:5e:10:00:-1",
        "02:00:5e:10:00: 1", " 2:00:5e:10:00:01", "02:00:5e:10:00;01", "0x:00:5e:10:00:01",
        "02:00:5e:10:00:01 "}) {
    const auto mac = MacAddress::Parse(text);
    ASSERT_EQ(mac.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(Message(mac.status()),
              "\"" + std::string(text) + "\" is not a MAC address such as 02:00:5e:10:00:01");
  }
}

TEST(MacAddressTest, TheFirstBitOnTheWireMarksGroups) {
  EXPECT_TRUE(MacAddress::Parse("01:00:5e:00:00:01").value().is_group());
  EXPECT_TRUE(MacAddress::Parse("ff:ff:ff:ff:ff:ff").value().is_group());
  EXPECT_FALSE(MacAddress::Parse("02:01:01:01:01:01").value().is_group());
  EXPECT_FALSE(MacAddress().is_group());
}

TEST(MacAddressTest, OnlyAllZerosIsZero) {
  EXPECT_TRUE(MacAddress().is_zero());
  EXPECT_TRUE(MacAddress::Parse("00:00:00:00:00:00").value().is_zero());
  EXPECT_FALSE(MacAddress::Parse("00:00:00:00:00:01").value().is_zero());
  EXPECT_FALSE(MacAddress::Parse("01:00:00:00:00:00").value().is_zero());
}

}  // namespace
}  // namespace lb
