// SPDX-License-Identifier: Apache-2.0
#include "tests/support/net_ns.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace lb::testing {
namespace {

UniqueFd OpenCurrent() { return UniqueFd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

// A test that goes on in the wrong namespace would reconfigure the host.
void SetOrAbort(int fd) {
  if (setns(fd, CLONE_NEWNET) == 0) return;
  perror("setns");
  abort();
}

}  // namespace

NetNs::Inside::Inside(const NetNs& ns) : before_(OpenCurrent()) { SetOrAbort(ns.fd_.get()); }

NetNs::Inside::~Inside() { SetOrAbort(before_.get()); }

StatusOr<NetNs> NetNs::Create() {
  const UniqueFd before = OpenCurrent();
  if (!before.valid()) return ErrnoStatus(errno, "open /proc/thread-self/ns/net");
  if (unshare(CLONE_NEWNET) != 0) return ErrnoStatus(errno, "make a network namespace (as root)");
  NetNs ns(OpenCurrent());
  SetOrAbort(before.get());
  LB_RETURN_IF_ERROR(ns.Run("ip link set lo up"));
  return ns;
}

StatusOr<std::string> NetNs::Output(const std::string& command) const {
  const Inside inside(*this);
  FILE* pipe = popen(("exec 2>&1; " + command).c_str(), "re");
  if (pipe == nullptr) return ErrnoStatus(errno, command);
  std::string output;
  std::array<char, 4096> buffer;
  while (const size_t size = fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), size);
  }
  if (pclose(pipe) != 0) return Internal(command + ": " + output);
  return output;
}

Status NetNs::Run(const std::string& command) const { return Output(command).status(); }

std::string NetNs::path() const {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_.get());
}

}  // namespace lb::testing
