// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/cpus.h"

#include <fmt/format.h>
#include <sched.h>

#include <cerrno>

namespace lb::bench {

std::vector<int> AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

Status PinToCpu(pid_t thread, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(thread, sizeof(set), &set) == 0) return OkStatus();
  return ErrnoStatus(errno, fmt::format("pin thread {} to CPU {}", thread, cpu));
}

}  // namespace lb::bench
