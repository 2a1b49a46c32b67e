// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/grace_period.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace lb::dataplane {

void WaitForGracePeriod() {
  // MEMBARRIER_CMD_GLOBAL is synchronize_rcu(), which XDP runs hold up.
  if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0) return;
  // The kernel refuses it with nohz_full. No program run lasts that long.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

}  // namespace lb::dataplane
