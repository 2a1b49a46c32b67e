// SPDX-License-Identifier: Apache-2.0
#include "lbd/agent/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ArgumentsTest, RepeatedFlagsBecomeOneListInTheirOrder) {
  EXPECT_THAT(JoinRepeated({"lbagent", "--vip", "a", "-vip=b", "--other=1", "--vip=c,d"}, "vip"),
              ElementsAre("lbagent", "--other=1", "--vip=a,b,c,d"));
}

TEST(ArgumentsTest, FlagsWhoseNamesOnlyBeginAlikeStay) {
  EXPECT_THAT(JoinRepeated({"lbagent", "--vip_file", "--vips=x", "vip=y", "---vip=z"}, "vip"),
              ElementsAre("lbagent", "--vip_file", "--vips=x", "vip=y", "---vip=z"));
}

TEST(ArgumentsTest, NothingBehindTwoDashesIsAFlag) {
  EXPECT_THAT(JoinRepeated({"lbagent", "--vip=a", "--", "--vip=b"}, "vip"),
              ElementsAre("lbagent", "--vip=a", "--", "--vip=b"));
}

TEST(ArgumentsTest, FlagWithoutItsValueIsLeftToBeComplainedAbout) {
  EXPECT_THAT(JoinRepeated({"lbagent", "--vip"}, "vip"), ElementsAre("lbagent", "--vip"));
}

TEST(ArgumentsTest, ListsHaveNoEmptyItems) {
  EXPECT_THAT(SplitList(",a,,bc,"), ElementsAre("a", "bc"));
  EXPECT_THAT(SplitList(""), IsEmpty());
}

}  // namespace
}  // namespace lb::agent
