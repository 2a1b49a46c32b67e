// SPDX-License-Identifier: Apache-2.0
#include "lbd/agent/sysctl_check.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace lb::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A stand-in for /proc/sys/net/ipv4/conf.
class SysctlCheckTest : public ::testing::Test {
 protected:
  SysctlCheckTest() : root_(fmt::format("{}sysctl_check_test_{}", ::testing::TempDir(), getpid())) {
    for (const char* scope : {"all", "eth0"}) {
      std::filesystem::create_directories(root_ + "/" + scope);
      for (const char* name : {"rp_filter", "arp_ignore", "arp_announce"}) Set(scope, name, 0);
    }
  }
  ~SysctlCheckTest() override { std::filesystem::remove_all(root_); }

  void Set(const std::string& scope, const std::string& name, int value) {
    std::ofstream(root_ + "/" + scope + "/" + name) << value << '\n';
  }
  std::vector<std::string> Check() const { return CheckSysctls(root_, "eth0"); }

  void MakeGood() {
    Set("eth0", "arp_ignore", 1);
    Set("all", "arp_announce", 2);
  }

 private:
  std::string root_;
};

TEST_F(SysctlCheckTest, GoodSettingsGiveNoWarning) {
  MakeGood();
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(SysctlCheckTest, AnswersToArpForTheVipAreWarnedAbout) {
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("arp_ignore=1"), HasSubstr("arp_announce=2")));
}

TEST_F(SysctlCheckTest, StrictReversePathFilterIsWarnedAbout) {
  MakeGood();
  Set("all", "rp_filter", 1);
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("net.ipv4.conf.eth0.rp_filter=2")));
}

TEST_F(SysctlCheckTest, LargerValueOfAllAndTheInterfaceCounts) {
  MakeGood();
  Set("all", "rp_filter", 1);
  Set("eth0", "rp_filter", 2);
  EXPECT_THAT(Check(), IsEmpty());
}

}  // namespace
}  // namespace lb::agent
