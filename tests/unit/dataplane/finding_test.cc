// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/finding.h"

#include <gtest/gtest.h>

#include <vector>

namespace lb::dataplane {
namespace {

TEST(FindingTest, FindingsAreJsonForScripts) {
  const std::vector<Finding> findings = {{"eth0: mtu", Level::kWarn, "1500", "do \"it\""}};
  EXPECT_EQ(ToJson(findings),
            R"({
  "findings": [
    {
      "check": "eth0: mtu",
      "level": "warn",
      "message": "1500",
      "fix": "do \"it\""
    }
  ]
}
)");
}

TEST(FindingTest, FindingsAreTextForPeopleAndAnErrorWhereOneFails) {
  std::vector<Finding> findings = {{"jit", Level::kOk, "compiled", ""},
                                   {"clock", Level::kWarn, "off", "set it"}};
  EXPECT_EQ(ToText(findings),
            "ok    jit: compiled\n"
            "warn  clock: off\n"
            "      do: set it\n");
  EXPECT_TRUE(ToStatus(findings).ok());
  findings.push_back({"bpffs", Level::kFail, "missing", "mount it"});
  EXPECT_EQ(ToText(std::span(findings).last(1)),
            "FAIL  bpffs: missing\n"
            "      do: mount it\n");
  EXPECT_EQ(Message(ToStatus(findings)), "1 check failed");
}

}  // namespace
}  // namespace lb::dataplane
