// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/admission.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace lb::api {
namespace {

using std::chrono::seconds;

TEST(AdmissionTest, APeerHasOnlySoManyCallsUnderWay) {
  Admission admission;
  const Admission::Clock::time_point now;
  for (int i = 0; i < Admission::kMaxCalls; ++i) EXPECT_TRUE(admission.Enter("a", now).ok());
  EXPECT_EQ(admission.Enter("a", now).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(admission.Enter("b", now).ok());
  admission.Leave("a");
  EXPECT_TRUE(admission.Enter("a", now).ok());
}

TEST(AdmissionTest, APeerMakesOnlySoManyCallsASecond) {
  Admission admission;
  Admission::Clock::time_point now;
  const auto calls = [&] {
    int count = 0;
    while (admission.Enter("a", now).ok()) {
      admission.Leave("a");
      ++count;
    }
    return count;
  };
  EXPECT_EQ(calls(), static_cast<int>(Admission::kBurst));
  now += seconds(1);
  EXPECT_EQ(calls(), static_cast<int>(Admission::kRate));
  now += seconds(3600);
  EXPECT_EQ(calls(), static_cast<int>(Admission::kBurst));
}

TEST(AdmissionTest, PeersThatAreIdleAreForgotten) {
  Admission admission;
  const Admission::Clock::time_point now;
  for (size_t i = 0; i < Admission::kMaxPeers * 3; ++i) {
    const std::string peer = fmt::format("{}", i);
    ASSERT_TRUE(admission.Enter(peer, now).ok());
    admission.Leave(peer);
  }
}

}  // namespace
}  // namespace lb::api
