// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/acceptor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>

namespace lb::api {
namespace {

class AcceptorTest : public ::testing::Test {
 protected:
  AcceptorTest() : path_(fmt::format("{}lbd_acceptor_{}", ::testing::TempDir(), getpid())) {
    std::vector<Listener> listeners;
    listeners.push_back(BindUnix(path_, getegid()).value());
    acceptor_ = Acceptor::Start(std::move(listeners), {.opened =
                                                           [this](int fd, bool) {
                                                             const std::lock_guard lock(mutex_);
                                                             open_.insert(fd);
                                                             ++opened_;
                                                             return true;
                                                           },
                                                       .closed =
                                                           [this](int fd) {
                                                             const std::lock_guard lock(mutex_);
                                                             open_.erase(fd);
                                                             close(fd);  // as gRPC does
                                                           }})
                    .value();
  }
  UniqueFd Connect() const {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(address.sun_path, path_.data(), path_.size());
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  size_t open() {
    const std::lock_guard lock(mutex_);
    return open_.size();
  }
  // Whether the other end has closed the connection.
  static bool IsClosed(const UniqueFd& fd) {
    char c;
    return recv(fd.get(), &c, 1, 0) == 0;
  }

  std::string path_;
  std::mutex mutex_;
  std::set<int> open_;
  std::atomic<size_t> opened_ = 0;
  std::unique_ptr<Acceptor> acceptor_;
};

TEST_F(AcceptorTest, ThereAreOnlySoManyConnections) {
  std::vector<UniqueFd> clients;
  for (size_t i = 0; i < Acceptor::kMaxConnections; ++i) clients.push_back(Connect());
  while (opened_ < Acceptor::kMaxConnections) usleep(1000);
  EXPECT_TRUE(IsClosed(Connect()));
  EXPECT_EQ(open(), Acceptor::kMaxConnections);
  clients.clear();
  while (open() > 0) usleep(1000);
  const UniqueFd again = Connect();
  while (open() == 0) usleep(1000);
}

TEST_F(AcceptorTest, ANumberIsNotUsedAgainSoon) {
  std::set<int> seen;
  for (size_t i = 1; i <= 300; ++i) {
    const UniqueFd client = Connect();
    while (opened_ < i) usleep(100);
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) seen.insert(fd);
  }
  EXPECT_EQ(seen.size(), 300u);
}

TEST(ListenTest, OnlyLoopbackGoesWithoutTls) {
  EXPECT_FALSE(BindLoopback("0.0.0.0:0").ok());
  EXPECT_FALSE(BindLoopback("10.0.0.1:80").ok());
  EXPECT_FALSE(BindLoopback("127.0.0.1").ok());
  EXPECT_FALSE(BindLoopback("127.0.0.1:x").ok());
  EXPECT_TRUE(BindLoopback("127.0.0.1:0").ok());
}

}  // namespace
}  // namespace lb::api
