// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/service_manager.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "lbd/base/unique_fd.h"

namespace lb {
namespace {

class ServiceManagerTest : public ::testing::Test {
 protected:
  ServiceManagerTest()
      : name_(fmt::format("lbd-notify-test-{}", getpid())), fd_(socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(address.sun_path + 1, name_.data(), name_.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name_.size());
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    setenv("NOTIFY_SOCKET", ("@" + name_).c_str(), 1);
  }
  ~ServiceManagerTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }
  std::string Heard() {
    char buffer[256];
    const ssize_t size = recv(fd_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    return size < 0 ? "" : std::string(buffer, static_cast<size_t>(size));
  }

  std::string name_;
  UniqueFd fd_;
};

TEST_F(ServiceManagerTest, SpeaksTheProtocolOfSystemd) {
  const auto manager = ServiceManager::FromEnvironment();
  manager.Ready("generation 3\nmore");
  EXPECT_EQ(Heard(), "READY=1\nSTATUS=generation 3");
  manager.Reloading();
  EXPECT_TRUE(Heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  manager.Watchdog();
  EXPECT_EQ(Heard(), "WATCHDOG=1");
  manager.Stopping();
  EXPECT_EQ(Heard(), "STOPPING=1");
}

TEST_F(ServiceManagerTest, TheWatchdogIsForTheProcessThatIsNamed) {
  setenv("WATCHDOG_USEC", "5000000", 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog(), std::chrono::seconds(5));
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog(), std::nullopt);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog(), std::chrono::seconds(5));
}

TEST_F(ServiceManagerTest, WithoutASocketNothingIsSent) {
  unsetenv("NOTIFY_SOCKET");
  ServiceManager::FromEnvironment().Ready("x");
  EXPECT_EQ(Heard(), "");
}

}  // namespace
}  // namespace lb
