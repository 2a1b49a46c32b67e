// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/process.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "lbd/base/unique_fd.h"

namespace lb {
namespace {

using std::chrono::system_clock;

// Seconds since 1970 when this host was started.
std::time_t BootTime() {
  std::ifstream stat("/proc/stat");
  std::time_t seconds = 0;
  for (std::string word; stat >> word;) {
    if (word == "btime" && stat >> seconds) break;
  }
  return seconds;
}

}  // namespace

std::string Process::ToString() const {
  return fmt::format("process {} ({}), since {:%F %T} UTC", id, name,
                     fmt::gmtime(system_clock::to_time_t(since)));
}

std::optional<Process> FindProcess(pid_t id) {
  std::ifstream file(fmt::format("/proc/{}/stat", id));
  std::ostringstream text;
  text << file.rdbuf();
  // ID (NAME) STATE ...; the name may have spaces and parentheses. proc(5): its start is field 22.
  const std::string stat = text.str();
  const size_t begin = stat.find('('), end = stat.rfind(')');
  if (begin == std::string::npos || end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(end + 1));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  double ticks = 0;
  fields >> ticks;
  const std::chrono::duration<double> since_boot(ticks / sysconf(_SC_CLK_TCK));
  return Process{id, stat.substr(begin + 1, end - begin - 1),
                 system_clock::from_time_t(BootTime()) +
                     std::chrono::duration_cast<system_clock::duration>(since_boot)};
}

std::optional<Process> ServerOf(const std::string& socket_path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (socket_path.size() >= sizeof(address.sun_path)) return std::nullopt;
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ucred server{};
  socklen_t size = sizeof(server);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &server, &size) != 0) {
    return std::nullopt;
  }
  return FindProcess(server.pid);
}

std::optional<Process> LockHolder(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  const std::string inode =
      fmt::format("{:02x}:{:02x}:{}", major(info.st_dev), minor(info.st_dev), info.st_ino);
  // 1: FLOCK  ADVISORY  WRITE 4711 00:1b:815 0 EOF
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream fields(line);
    std::string number, kind, advisory, access, where;
    pid_t id = 0;
    if (fields >> number >> kind >> advisory >> access >> id >> where && kind == "FLOCK" &&
        where == inode) {
      return FindProcess(id);
    }
  }
  return std::nullopt;
}

}  // namespace lb
