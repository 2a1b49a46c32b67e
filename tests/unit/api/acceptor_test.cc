// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/acceptor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
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
                                                           [this](int fd, Transport) {
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

TEST_F(AcceptorTest, ThereAreOnlySoManyConnectionsOfAUser) {
  std::vector<UniqueFd> clients;
  for (size_t i = 0; i < Acceptor::kMaxPerOrigin; ++i) clients.push_back(Connect());
  while (opened_ < Acceptor::kMaxPerOrigin) usleep(1000);
  EXPECT_TRUE(IsClosed(Connect()));
  EXPECT_EQ(open(), Acceptor::kMaxPerOrigin);
  clients.clear();
  while (open() > 0) usleep(1000);
  const UniqueFd again = Connect();
  while (open() == 0) usleep(1000);
}

TEST_F(AcceptorTest, ThereAreOnlySoManyConnectionsInAll) {
  // Users and addresses, of which 127.0.0.0/8 has enough.
  std::vector<Listener> listeners;
  listeners.push_back(BindTcp("127.0.0.1:0", Transport::kTls).value());
  sockaddr_in server{};
  socklen_t size = sizeof(server);
  getsockname(listeners[0].fd.get(), reinterpret_cast<sockaddr*>(&server), &size);
  std::atomic<size_t> opened = 0;
  const auto tcp = Acceptor::Start(std::move(listeners), {.opened =
                                                              [&](int, Transport transport) {
                                                                opened +=
                                                                    transport == Transport::kTls;
                                                                return true;
                                                              },
                                                          .closed = [](int fd) { close(fd); }});
  ASSERT_TRUE(tcp.ok()) << tcp.status();
  std::vector<UniqueFd> clients;
  const auto connect_from = [&](size_t number) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + static_cast<uint32_t>(number));
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&own), sizeof(own)), 0);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&server), sizeof(server)), 0);
    return fd;
  };
  for (size_t i = 0; i < Acceptor::kMaxConnections; ++i) clients.push_back(connect_from(i));
  while (opened < Acceptor::kMaxConnections) usleep(1000);
  EXPECT_TRUE(IsClosed(connect_from(1000)));
  EXPECT_EQ(opened, Acceptor::kMaxConnections);
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
  EXPECT_FALSE(BindTcp("0.0.0.0:0", Transport::kLoopback).ok());
  EXPECT_FALSE(BindTcp("10.0.0.1:80", Transport::kLoopback).ok());
  EXPECT_TRUE(BindTcp("127.0.0.1:0", Transport::kLoopback).ok());
  EXPECT_TRUE(BindTcp("0.0.0.0:0", Transport::kTls).ok());
}

TEST(ListenTest, AnAddressHasAPort) {
  for (const char* wrong : {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                            "::1:80", "[127.0.0.1]:80", "[::1]", "host:80"}) {
    EXPECT_FALSE(BindTcp(wrong, Transport::kTls).ok()) << wrong;
  }
}

}  // namespace
}  // namespace lb::api
