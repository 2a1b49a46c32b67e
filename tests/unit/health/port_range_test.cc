// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/port_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb::health {
namespace {

using ::testing::HasSubstr;

TEST(PortRangeTest, MustNotBeTheHostsOwn) {
  EXPECT_FALSE(FindPortClash(61000, 65535, "32768\t60999", ""));
  const auto clash = FindPortClash(60000, 65535, "32768\t60999", "");
  ASSERT_TRUE(clash);
  EXPECT_THAT(clash->problem, HasSubstr("source ports 32768-60999"));
  EXPECT_EQ(clash->fix, "sysctl -w net.ipv4.ip_local_reserved_ports=60000-65535");
  EXPECT_TRUE(FindPortClash(61000, 65535, "1024\t65535", ""));
}

TEST(PortRangeTest, UnlessTheseAreReserved) {
  EXPECT_FALSE(FindPortClash(60000, 65535, "32768\t60999", "60000-65535"));
  EXPECT_FALSE(FindPortClash(60998, 61100, "32768\t60999", "53,60998,60999"));
  const auto clash = FindPortClash(60997, 61100, "32768\t60999", "53,60998,60999");
  ASSERT_TRUE(clash);
  EXPECT_EQ(clash->fix, "sysctl -w net.ipv4.ip_local_reserved_ports=53,60998,60999,60997-61100")
      << "what is reserved stays so";
}

}  // namespace
}  // namespace lb::health
