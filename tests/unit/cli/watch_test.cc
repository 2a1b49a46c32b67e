// SPDX-License-Identifier: Apache-2.0
#include "cli/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <vector>

#include "cli/commands/top.h"
#include "tests/unit/cli/fake_load_balancer.h"

namespace lb::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kClear = "\033[H\033[2J";

// Watches the generation of the fake, which `steps` change between the looks.
class WatchTest : public testing::Test {
 protected:
  Status WatchGeneration(const std::vector<std::function<void()>>& steps, bool terminal = false) {
    size_t step = 0;
    const Io io{in_, out_, err_, /*colour=*/false, terminal};
    return Watch(
        {client_, io},
        [](const Session& session) -> Status {
          session.io.out << "half a page, ";
          LB_ASSIGN_OR_RETURN(const auto status, session.client.Call(v1::GetStatusRequest()));
          session.io.out << "generation " << status.generation() << '\n';
          return OkStatus();
        },
        [&] {
          if (step == steps.size()) return false;
          steps[step++]();
          return true;
        });
  }
  void Answer(uint64_t generation) {
    lbd_.FailWith(grpc::Status::OK);
    lbd_.status.set_generation(generation);
  }
  void Fail(grpc::StatusCode code) { lbd_.FailWith({code, "for a test"}); }

  FakeLoadBalancer lbd_;
  Client client_{lbd_.address(), std::chrono::seconds(10)};
  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(WatchTest, APageFollowsTheOther) {
  EXPECT_TRUE(WatchGeneration({[&] { Answer(1); }, [&] { Answer(2); }}).ok());
  EXPECT_EQ(out_.str(),
            "half a page, generation 0\nhalf a page, generation 1\nhalf a page, generation 2\n");
  EXPECT_EQ(err_.str(), "");
}

TEST_F(WatchTest, ItGoesOnWhenLbdIsBack) {
  const auto away = [&] { Fail(grpc::StatusCode::UNAVAILABLE); };
  EXPECT_TRUE(WatchGeneration({away, away, [&] { Answer(2); }, away}).ok());
  EXPECT_EQ(out_.str(), "half a page, generation 0\nhalf a page, generation 2\n");
  const std::string errors = err_.str();
  EXPECT_THAT(errors, HasSubstr("lbctl: trying again: cannot reach lbd"));
  EXPECT_EQ(std::ranges::count(errors, '\n'), 2) << errors;  // once for each time it was away
}

TEST_F(WatchTest, ATerminalKeepsThePageAndSaysThatLbdIsAway) {
  const auto away = [&] { Fail(grpc::StatusCode::DEADLINE_EXCEEDED); };
  EXPECT_TRUE(WatchGeneration({[&] { Answer(5); }, away}, /*terminal=*/true).ok());
  const std::string out = out_.str();
  const std::string last = out.substr(out.rfind(kClear));
  EXPECT_THAT(last, HasSubstr("half a page, generation 5\nTrying again: no answer from lbd"));
  EXPECT_EQ(err_.str(), "");
}

TEST_F(WatchTest, WhatLbdRefusesAndAFirstLookThatFailsEndIt) {
  EXPECT_TRUE(absl::IsNotFound(WatchGeneration({[&] { Fail(grpc::StatusCode::NOT_FOUND); }})));
  Fail(grpc::StatusCode::UNAVAILABLE);
  out_.str("");
  EXPECT_TRUE(absl::IsUnavailable(WatchGeneration({})));
  EXPECT_EQ(out_.str(), "");
}

TEST_F(WatchTest, NobodyReadsEndsIt) {
  out_.setstate(std::ios::badbit);
  int looks = 0;
  const Io io{in_, out_, err_};
  EXPECT_TRUE(
      Watch(
          {client_, io}, [&](const Session&) { return ++looks, OkStatus(); }, [] { return true; })
          .ok());
  EXPECT_EQ(looks, 1);
}

TEST_F(WatchTest, TopKeepsItsLooksWhileLbdIsAway) {
  const Io io{in_, out_, err_};
  const Session session{client_, io};
  Answer(3);
  auto looks = FirstLook(session);
  ASSERT_TRUE(looks.ok());
  Fail(grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Take(Look(session), *looks).ok());
  EXPECT_THAT(looks->problem, HasSubstr("cannot reach lbd"));
  EXPECT_EQ(looks->now.status.generation(), 3);
  Answer(4);
  EXPECT_TRUE(Take(Look(session), *looks).ok());
  EXPECT_THAT(looks->problem, IsEmpty());
  EXPECT_EQ(looks->before.status.generation(), 3);
  EXPECT_EQ(looks->now.status.generation(), 4);
  Fail(grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(absl::IsPermissionDenied(Take(Look(session), *looks)));
}

}  // namespace
}  // namespace lb::cli
