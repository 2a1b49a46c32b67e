// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/drain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/run.h"
#include "lbd/config/document.h"
#include "tests/unit/cli/fake_load_balancer.h"

namespace lb::cli {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr const char* kSubject = "real 10.0.0.1 of 192.0.2.1:80/tcp";

// Drains a real of the fake, whose numbers follow `looks_`, and keeps what was printed.
class DrainTest : public testing::Test {
 protected:
  struct Look {
    uint64_t flows = 0;
    uint32_t leaving_slots = 0;
    v1::RealState state = v1::REAL_STATE_DRAINING;
  };

  DrainTest() {
    lbd_.on_list_reals = [this] {
      lbd_.reals.Clear();
      AddReal("10.0.0.2", {.flows = 99, .state = v1::REAL_STATE_ACTIVE});
      if (gone_) return;
      AddReal("10.0.0.1", looks_.at(std::min(look_, looks_.size() - 1)));
      ++look_;
    };
  }

  ExitCode Drain() {
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    const Io io{in, out, err, false, terminal_};
    Client client(lbd_.address(), std::chrono::seconds(10));
    const Status status = DrainReal({client, io, format_}, arguments_, pace_);
    out_ = out.str();
    error_ = Message(status);
    return ToExitCode(status);
  }

  FakeLoadBalancer lbd_;
  DrainArguments arguments_{.vip = "192.0.2.1:80", .address = "10.0.0.1", .wait = true};
  DrainPace pace_{.look = milliseconds(1), .speak = milliseconds(0), .confirm = milliseconds(20)};
  Format format_ = Format::kTable;
  bool terminal_ = false;
  std::vector<Look> looks_{{}};  // the last one for ever
  size_t look_ = 0;              // looks taken
  bool gone_ = false;
  std::string out_;
  std::string error_;

 private:
  void AddReal(const std::string& address, const Look& look) {
    v1::RealStatus& row = *lbd_.reals.add_reals();
    row.mutable_real()->set_address(address);
    row.mutable_real()->set_state(look.state);
    row.set_flows(look.flows);
    row.set_leaving_slots(look.leaving_slots);
  }
};

TEST_F(DrainTest, WithoutWaitingItOnlyAsks) {
  arguments_.wait = false;
  EXPECT_EQ(Drain(), kDone);
  EXPECT_EQ(out_, std::string("draining ") + kSubject + "\n");
  EXPECT_EQ(look_, 0);
  EXPECT_EQ(lbd_.update_real.real().address(), "10.0.0.1");
  EXPECT_EQ(lbd_.update_real.real().state(), v1::REAL_STATE_DRAINING);
  EXPECT_FALSE(lbd_.update_real.real().has_drain_seconds());
  ASSERT_EQ(lbd_.update_real.update_mask().paths_size(), 1);
  EXPECT_EQ(lbd_.update_real.update_mask().paths(0), "state");
  format_ = Format::kJson;
  EXPECT_EQ(Drain(), kDone);
  EXPECT_EQ(json::parse(out_)["generation"], 7);
}

TEST_F(DrainTest, TheDeadlineGoesToLbd) {
  arguments_.wait = false;
  arguments_.deadline = 90;
  EXPECT_EQ(Drain(), kDone);
  EXPECT_EQ(lbd_.update_real.real().drain_seconds(), 90);
}

TEST_F(DrainTest, WaitingEndsWhenNothingIsLeft) {
  looks_ = {{.flows = 1234, .leaving_slots = 17}, {.flows = 1}, {.leaving_slots = 1}, {}};
  EXPECT_EQ(Drain(), kDone);
  EXPECT_GE(look_, 5);
  EXPECT_TRUE(out_.starts_with(std::string("draining ") + kSubject +
                               "\n"
                               "1,234 tracked flows and 17 slots left, 0s\n"
                               "1 tracked flow and 0 slots left, 0s\n"
                               "0 tracked flows and 1 slot left, 0s\n"))
      << out_;
  EXPECT_TRUE(out_.ends_with(std::string("drained ") + kSubject + " in 0s; it can be taken away\n"))
      << out_;
}

TEST_F(DrainTest, NumbersThatAreOldAreConfirmed) {
  looks_ = {{}, {}, {.flows = 5}, {}};
  const auto start = std::chrono::steady_clock::now();
  pace_.confirm = milliseconds(200);
  EXPECT_EQ(Drain(), kDone);
  EXPECT_GE(std::chrono::steady_clock::now() - start, pace_.confirm);
  EXPECT_NE(out_.find("5 tracked flows"), std::string::npos) << out_;
}

TEST_F(DrainTest, ATerminalHasOneLineThatIsWrittenAnew) {
  terminal_ = true;
  looks_ = {{.flows = 2}, {}};
  EXPECT_EQ(Drain(), kDone);
  EXPECT_TRUE(out_.starts_with(std::string("draining ") + kSubject +
                               "\n\r\033[K2 tracked flows and 0 slots left, 0s"
                               "\r\033[K0 tracked flows and 0 slots left, 0s"))
      << out_;
  EXPECT_TRUE(
      out_.ends_with(std::string("\r\033[Kdrained ") + kSubject + " in 0s; it can be taken away\n"))
      << out_;
}

TEST_F(DrainTest, ElsewhereLinesAreFew) {
  pace_.speak = std::chrono::hours(1);
  looks_ = {{.flows = 2}, {.flows = 1}, {}};
  EXPECT_EQ(Drain(), kDone);
  EXPECT_EQ(std::ranges::count(out_, '\n'), 3) << out_;
}

TEST_F(DrainTest, ScriptsGetOneObject) {
  format_ = Format::kJson;
  looks_ = {{.flows = 2}, {}};
  EXPECT_EQ(Drain(), kDone);
  EXPECT_EQ(json::parse(out_), json::parse(R"({"generation": 7, "vip": "192.0.2.1:80/tcp",
      "real": "10.0.0.1", "drained": true, "flows": 0, "leaving_slots": 0, "waited_seconds": 0})"));
}

TEST_F(DrainTest, ATimeoutSaysWhatIsLeft) {
  looks_ = {{.flows = 12, .leaving_slots = 3}};
  arguments_.wait_timeout = 0.05;
  EXPECT_EQ(Drain(), kRefused);
  EXPECT_EQ(error_, std::string(kSubject) +
                        " is still draining after 0s, and goes on: 12 tracked flows and 3 slots "
                        "left");
  EXPECT_EQ(lbd_.update_real.real().state(), v1::REAL_STATE_DRAINING);
  format_ = Format::kJson;
  EXPECT_EQ(Drain(), kRefused);
  const json result = json::parse(out_);
  EXPECT_EQ(result["drained"], false);
  EXPECT_EQ(result["flows"], 12);
  EXPECT_EQ(result["leaving_slots"], 3);
}

TEST_F(DrainTest, CtrlCEndsTheWaitingOnly) {
  looks_ = {{.flows = 12}};
  pace_.look = std::chrono::hours(1);
  const auto look = lbd_.on_list_reals;
  lbd_.on_list_reals = [look] {
    look();
    std::raise(SIGINT);
  };
  EXPECT_EQ(Drain(), kInterrupted);
  EXPECT_NE(error_.find("is still draining after 0s, and goes on: 12 tracked flows"),
            std::string::npos)
      << error_;
  EXPECT_EQ(lbd_.update_real.real().state(), v1::REAL_STATE_DRAINING);
}

TEST_F(DrainTest, WhoTakesTheRealBackEndsTheWaiting) {
  looks_ = {{.flows = 12}, {.flows = 12, .state = v1::REAL_STATE_ACTIVE}};
  EXPECT_EQ(Drain(), kRefused);
  EXPECT_EQ(error_, std::string(kSubject) + " does not drain any more, it is active");
}

TEST_F(DrainTest, WhoDeletesTheRealEndsTheWaiting) {
  gone_ = true;
  EXPECT_EQ(Drain(), kRefused);
  EXPECT_EQ(error_, std::string(kSubject) + " was deleted meanwhile");
}

TEST_F(DrainTest, ARefusalIsNotWaitedFor) {
  lbd_.FailWith({grpc::StatusCode::NOT_FOUND, "no such real"});
  EXPECT_EQ(Drain(), kRefused);
  EXPECT_EQ(error_, "no such real");
  EXPECT_EQ(out_, "");
  EXPECT_EQ(look_, 0);
}

TEST_F(DrainTest, TheCommandLineReachesIt) {
  looks_ = {{.leaving_slots = 4}};
  const std::string server = lbd_.address();
  const char* words[] = {"lbctl", "--server",     server.c_str(),   "real",
                         "drain", "192.0.2.1:80", "10.0.0.1",       "--deadline",
                         "600",   "--wait",       "--wait-timeout", "0.05"};
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(cli::Run(std::size(words), words, {in, out, err}), kRefused);
  EXPECT_EQ(lbd_.update_real.real().drain_seconds(), 600);
  EXPECT_EQ(err.str(), std::string("lbctl: ") + kSubject +
                           " is still draining after 0s, and goes on: 0 tracked flows and 4 slots "
                           "left\n");
}

}  // namespace
}  // namespace lb::cli
