// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace lb {
namespace {

using testing::ElementsAre;

// Both ends of a pipe.
struct Pipe {
  Pipe() {
    std::array<int, 2> fds{};
    EXPECT_EQ(pipe(fds.data()), 0);
    read_end = UniqueFd(fds[0]);
    write_end = UniqueFd(fds[1]);
  }
  void Write(char byte) const { EXPECT_EQ(write(write_end.get(), &byte, 1), 1); }
  char Read() const {
    char byte = 0;
    EXPECT_EQ(read(read_end.get(), &byte, 1), 1);
    return byte;
  }
  UniqueFd read_end, write_end;
};

class EventLoopTest : public testing::Test {
 protected:
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
};

TEST_F(EventLoopTest, RunsATaskPostedByAnotherThreadOnItsOwn) {
  std::thread::id ran_on;
  std::thread poster([&] {
    loop_->Post([&] {
      ran_on = std::this_thread::get_id();
      loop_->Stop();
    });
  });
  loop_->Run();
  poster.join();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(EventLoopTest, WakesUpForATaskWhileItWaits) {
  std::thread runner([&] { loop_->Run(); });
  // Each round trip finds the loop with nothing else to do.
  for (int round = 0; round < 100; ++round) {
    std::promise<std::thread::id> ran;
    loop_->Post([&] { ran.set_value(std::this_thread::get_id()); });
    ASSERT_EQ(ran.get_future().get(), runner.get_id());
  }
  loop_->Stop();
  runner.join();
}

TEST_F(EventLoopTest, RunsTheTasksOfOneThreadInOrderAndNoneTwice) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 2000;
  std::thread runner([&] { loop_->Run(); });
  std::array<std::vector<int>, kThreads> ran;  // touched by the loop only
  std::vector<std::thread> posters;
  for (int thread = 0; thread < kThreads; ++thread) {
    posters.emplace_back([&, thread] {
      for (int i = 0; i < kTasks; ++i) loop_->Post([&, thread, i] { ran[thread].push_back(i); });
    });
  }
  for (std::thread& poster : posters) poster.join();
  loop_->Stop();
  runner.join();
  for (const std::vector<int>& order : ran) {
    ASSERT_EQ(order.size(), kTasks);
    EXPECT_TRUE(std::ranges::is_sorted(order));
  }
}

TEST_F(EventLoopTest, ATaskMayPostAnother) {
  std::vector<int> ran;
  loop_->Post([&] {
    ran.push_back(1);
    loop_->Post([&] {
      ran.push_back(3);
      loop_->Stop();
    });
    ran.push_back(2);
  });
  loop_->Run();
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
}

TEST_F(EventLoopTest, RunsWhatWasPostedBeforeStopAndNothingAfterIt) {
  std::vector<int> ran;
  loop_->Post([&] { ran.push_back(1); });
  loop_->Post([&] {
    ran.push_back(2);
    loop_->Stop();
    loop_->Post([&] { ran.push_back(4); });
  });
  loop_->Post([&] { ran.push_back(3); });
  loop_->Run();
  loop_->Post([&] { ran.push_back(5); });
  loop_->Run();
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
}

TEST_F(EventLoopTest, StopBeforeRunReturnsAtOnce) {
  loop_->Stop();
  loop_->Run();
}

TEST_F(EventLoopTest, CallsTheReaderOfAReadableFd) {
  const Pipe pipe;
  std::thread::id ran_on;
  char got = 0;
  ASSERT_TRUE(loop_
                  ->Watch(pipe.read_end.get(),
                          [&] {
                            ran_on = std::this_thread::get_id();
                            got = pipe.Read();
                            loop_->Stop();
                          })
                  .ok());
  std::thread writer([&] { pipe.Write('x'); });
  loop_->Run();
  writer.join();
  EXPECT_EQ(got, 'x');
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(EventLoopTest, CallsAgainWhileThereIsSomethingLeft) {
  const Pipe pipe;
  std::string got;
  ASSERT_TRUE(loop_
                  ->Watch(pipe.read_end.get(),
                          [&] {
                            got += pipe.Read();
                            if (got.size() == 3) loop_->Stop();
                          })
                  .ok());
  for (const char byte : {'a', 'b', 'c'}) pipe.Write(byte);
  loop_->Run();
  EXPECT_EQ(got, "abc");
}

TEST_F(EventLoopTest, ServesManyFds) {
  std::array<Pipe, 40> pipes;  // more than one epoll_wait() returns
  std::set<size_t> served;
  for (size_t i = 0; i < pipes.size(); ++i) {
    ASSERT_TRUE(loop_
                    ->Watch(pipes[i].read_end.get(),
                            [&, i] {
                              EXPECT_EQ(pipes[i].Read(), static_cast<char>(i));
                              served.insert(i);
                              if (served.size() == pipes.size()) loop_->Stop();
                            })
                    .ok());
    pipes[i].Write(static_cast<char>(i));
  }
  loop_->Run();
  EXPECT_EQ(served.size(), pipes.size());
}

TEST_F(EventLoopTest, ABusyFdDoesNotKeepTasksWaiting) {
  const UniqueFd always(eventfd(1, 0));  // never read, so readable for ever
  int calls = 0;
  ASSERT_TRUE(loop_
                  ->Watch(always.get(),
                          [&] {
                            if (++calls == 3) loop_->Post([&] { loop_->Stop(); });
                          })
                  .ok());
  loop_->Run();
  EXPECT_GE(calls, 3);
}

TEST_F(EventLoopTest, OneRoundDoesNotWaitForEver) {
  int calls = 0;
  loop_->Post([&] { ++calls; });
  EXPECT_TRUE(loop_->RunOnce(std::chrono::milliseconds(0)));
  EXPECT_EQ(calls, 1);
  loop_->Stop();
  EXPECT_FALSE(loop_->RunOnce(std::chrono::milliseconds(0)));
}

TEST_F(EventLoopTest, AnFdIsLeftAloneWhenItIsNoLongerWatched) {
  const UniqueFd always(eventfd(1, 0));
  int calls = 0;
  ASSERT_TRUE(loop_->Watch(always.get(), [&] { ++calls; }).ok());
  EXPECT_TRUE(loop_->RunOnce(std::chrono::milliseconds(0)));
  loop_->Unwatch(always.get());
  EXPECT_TRUE(loop_->RunOnce(std::chrono::milliseconds(0)));
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(loop_->Watch(always.get(), [] {}).ok()) << "it can be watched again";
}

TEST_F(EventLoopTest, RefusesAnFdThatItCannotWatch) {
  EXPECT_FALSE(loop_->Watch(-1, [] {}).ok());
  const Pipe pipe;
  ASSERT_TRUE(loop_->Watch(pipe.read_end.get(), [] {}).ok());
  EXPECT_EQ(loop_->Watch(pipe.read_end.get(), [] {}).code(), absl::StatusCode::kAlreadyExists);
}

}  // namespace
}  // namespace lb
