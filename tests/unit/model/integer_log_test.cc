// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/integer_log.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

namespace lb::model {
namespace {

TEST(IntegerLogTest, HasTheSameBitsOnEveryMachine) {
  EXPECT_EQ(IntegerLog(1), 0u);
  EXPECT_EQ(IntegerLog(2), 399572145162582989u);
  EXPECT_EQ(IntegerLog(3), 633306866415404362u);
  EXPECT_EQ(IntegerLog(1000), 3982049804849987718u);
  EXPECT_EQ(IntegerLog((1u << 21) - 1), 8391014773536270294u);
  EXPECT_EQ(IntegerLog(~0u), 12786308645068437928u);
}

TEST(IntegerLogTest, AgreesWithFloatingPoint) {
  for (uint32_t n = 1; n < 1u << 31; n += 1 + n / 257) {
    const auto log = static_cast<double>(IntegerLog(n)) * 0x1p-59;
    ASSERT_NEAR(log, std::log(static_cast<double>(n)), 1e-14) << n;
  }
}

TEST(IntegerLogTest, GrowsWithItsArgument) {
  for (uint32_t n = 1; n < 1u << 21; ++n) ASSERT_LT(IntegerLog(n), IntegerLog(n + 1)) << n;
}

}  // namespace
}  // namespace lb::model
