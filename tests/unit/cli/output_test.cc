// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace lb::cli {
namespace {

TEST(TableTest, ColumnsAreAlignedAndNoSpaceTrails) {
  Table table({{"NAME"}, {"COUNT", Align::kRight}, {"NOTE"}});
  table.Add({"a", "1", ""});
  table.Add({"longer", "1,000,000", "x"});
  EXPECT_EQ(table.ToString(false),
            "NAME        COUNT  NOTE\n"
            "a               1\n"
            "longer  1,000,000  x\n");
}

TEST(TableTest, WithoutTitlesThereIsNoHead) {
  Table table({{}, {}});
  table.Add({"VIP", "x"});
  EXPECT_EQ(table.ToString(false), "VIP  x\n");
}

TEST(TableTest, ColoursDoNotDisturbTheColumns) {
  Table table({{"A"}, {"B"}});
  table.Add({Cell("up", Colour::kGreen), "x"});
  EXPECT_EQ(table.ToString(true), "\033[1mA\033[0m   \033[1mB\033[0m\n\033[32mup\033[0m  x\n");
}

TEST(TableTest, WidthCountsCharactersNotBytes) {
  Table table({{"A"}, {"B"}});
  table.Add({"é", "x"});
  table.Add({"ab", "x"});
  EXPECT_EQ(table.ToString(false), "A   B\né   x\nab  x\n");
}

TEST(TableTest, ControlCharactersAreMadeVisible) {
  EXPECT_EQ(Cell("a\033[2Jb\n").text, "a\\x1b[2Jb\\x0a");
}

TEST(HumanTest, CountsHaveThousands) {
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(1000), "1,000");
  EXPECT_EQ(HumanCount(UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(HumanTest, BytesHaveBinaryUnits) {
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1024), "1.0 KiB");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(HumanBytes(UINT64_MAX), "16.0 EiB");
}

TEST(HumanTest, DurationsHaveTheTwoLargestUnits) {
  EXPECT_EQ(HumanDuration(59), "59s");
  EXPECT_EQ(HumanDuration(60), "1m 0s");
  EXPECT_EQ(HumanDuration(3599), "59m 59s");
  EXPECT_EQ(HumanDuration(3600), "1h 0m");
  EXPECT_EQ(HumanDuration(90'000), "1d 1h");
}

TEST(HumanTest, AShareOfNothingIsADash) {
  EXPECT_EQ(HumanShare(1, 8), "12.5%");
  EXPECT_EQ(HumanShare(0, 0), "-");
}

}  // namespace
}  // namespace lb::cli
