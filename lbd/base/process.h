// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

namespace lb {

// A process of this host, as others see it.
struct Process {
  pid_t id = 0;
  std::string name;
  std::chrono::system_clock::time_point since;

  // "process 4711 (lbd), since 2026-01-31 23:59:59 UTC"
  std::string ToString() const;
};

// Empty where there is none, or none that we may see.
std::optional<Process> FindProcess(pid_t id);
// Who serves a Unix socket; empty: nobody does. Connects for a moment.
std::optional<Process> ServerOf(const std::string& socket_path);
// Who has locked a file or a directory by flock(2); empty: nobody has.
std::optional<Process> LockHolder(const std::string& path);

}  // namespace lb
