// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace lb {

Status KeepOnlyCapabilities(std::span<const int> kept) {
  uint64_t mask = 0;
  for (const int capability : kept) mask |= uint64_t{1} << capability;
  // Only who has CAP_SETPCAP can narrow this; without it, it was narrowed before.
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if ((mask >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability);
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (syscall(SYS_capget, &header, sets.data()) != 0)
    return ErrnoStatus(errno, "read capabilities");
  for (size_t i = 0; i < sets.size(); ++i) {
    const auto part = static_cast<uint32_t>(mask >> (32 * i));
    sets[i].permitted &= part;
    sets[i].effective = sets[i].permitted;
    sets[i].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, sets.data()) != 0)
    return ErrnoStatus(errno, "drop capabilities");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoStatus(errno, "drop privileges");
  return OkStatus();
}

}  // namespace lb
