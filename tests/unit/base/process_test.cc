// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "lbd/base/unique_fd.h"

namespace lb {
namespace {

using std::chrono::hours;
using std::chrono::system_clock;

std::string PathFor(const char* name) {
  return fmt::format("{}lbd_process_{}_{}", ::testing::TempDir(), name, getpid());
}

TEST(ProcessTest, ThisOneIsFound) {
  const auto self = FindProcess(getpid());
  ASSERT_TRUE(self.has_value());
  EXPECT_EQ(self->name, "base_test");
  EXPECT_GT(self->since, system_clock::now() - hours(1));
  EXPECT_LT(self->since, system_clock::now() + std::chrono::minutes(1));
  EXPECT_FALSE(FindProcess(0).has_value());
}

TEST(ProcessTest, TextSaysWhoAndSinceWhen) {
  const Process process{4711, "lbd", system_clock::from_time_t(1'700'000'000)};
  EXPECT_EQ(process.ToString(), "process 4711 (lbd), since 2023-11-14 22:13:20 UTC");
}

TEST(ProcessTest, TheServerOfASocketIsFoundWhileItListens) {
  const std::string path = PathFor("socket");
  EXPECT_FALSE(ServerOf(path).has_value());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, path.data(), path.size());
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_FALSE(ServerOf(path).has_value());
  ASSERT_EQ(listen(fd.get(), 1), 0);
  ASSERT_TRUE(ServerOf(path).has_value());
  EXPECT_EQ(ServerOf(path)->id, getpid());
  fd.reset();
  EXPECT_FALSE(ServerOf(path).has_value());
  unlink(path.c_str());
}

TEST(ProcessTest, TheHolderOfALockIsFound) {
  const std::string path = PathFor("lock");
  EXPECT_FALSE(LockHolder(path).has_value());
  UniqueFd fd(open(path.c_str(), O_CREAT | O_RDWR, 0600));
  EXPECT_FALSE(LockHolder(path).has_value());
  ASSERT_EQ(flock(fd.get(), LOCK_EX), 0);
  ASSERT_TRUE(LockHolder(path).has_value());
  EXPECT_EQ(LockHolder(path)->id, getpid());
  fd.reset();
  EXPECT_FALSE(LockHolder(path).has_value());
  unlink(path.c_str());
}

}  // namespace
}  // namespace lb
