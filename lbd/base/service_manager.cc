// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "lbd/base/unique_fd.h"

namespace lb {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

uint64_t MonotonicMicros() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

// A status is one line.
std::string Line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  ServiceManager manager;
  manager.socket_ = Variable("NOTIFY_SOCKET");
  const std::string pid = Variable("WATCHDOG_PID");
  const uint64_t micros = std::strtoull(Variable("WATCHDOG_USEC").c_str(), nullptr, 10);
  if (micros > 0 && (pid.empty() || pid == std::to_string(getpid()))) {
    manager.watchdog_ = std::chrono::microseconds(micros);
  }
  return manager;
}

void ServiceManager::Ready(std::string_view status) const {
  Send("READY=1\nSTATUS=" + Line(status));
}

void ServiceManager::Reloading() const {
  Send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(MonotonicMicros()));
}

void ServiceManager::Stopping() const { Send("STOPPING=1"); }

void ServiceManager::Status(std::string_view status) const { Send("STATUS=" + Line(status)); }

void ServiceManager::Watchdog() const { Send("WATCHDOG=1"); }

void ServiceManager::Send(const std::string& message) const {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (socket_.empty() || socket_.size() >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_[0] == '@') address.sun_path[0] = '\0';  // an abstract one
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return;
  // Nobody to complain to: a manager that does not listen restarts us, or does not care.
  (void)sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size);
}

}  // namespace lb
