// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/port_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb::health {
namespace {

using ::testing::HasSubstr;

TEST(PortRangeTest, MustNotBeTheHostsOwn) {
  EXPECT_TRUE(CheckPorts(61000, 65535, "32768\t60999", "").ok());
  const Status overlap = CheckPorts(60000, 65535, "32768\t60999", "");
  EXPECT_THAT(std::string(overlap.message()), HasSubstr("source ports 32768-60999"));
  EXPECT_FALSE(CheckPorts(61000, 65535, "1024\t65535", "").ok());
}

TEST(PortRangeTest, UnlessTheseAreReserved) {
  EXPECT_TRUE(CheckPorts(60000, 65535, "32768\t60999", "60000-65535").ok());
  EXPECT_TRUE(CheckPorts(60998, 61100, "32768\t60999", "53,60998,60999").ok());
  EXPECT_FALSE(CheckPorts(60997, 61100, "32768\t60999", "53,60998,60999").ok());
}

}  // namespace
}  // namespace lb::health
