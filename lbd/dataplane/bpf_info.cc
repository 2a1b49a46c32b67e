// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/bpf_info.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace lb::dataplane {

bpf_prog_info ProgramInfo(int fd) {
  bpf_prog_info info{};
  uint32_t length = sizeof(info);
  return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info : bpf_prog_info{};
}

bpf_map_info MapInfo(int fd) {
  bpf_map_info info{};
  uint32_t length = sizeof(info);
  return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info : bpf_map_info{};
}

StatusOr<std::vector<uint32_t>> MapIdsOf(int program_fd) {
  std::vector<uint32_t> ids(64);
  bpf_prog_info info{};
  info.nr_map_ids = ids.size();
  info.map_ids = reinterpret_cast<uintptr_t>(ids.data());
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program_fd, &info, &length) != 0) {
    return ErrnoStatus(errno, "ask for the program");
  }
  ids.resize(std::min<size_t>(info.nr_map_ids, ids.size()));
  return ids;
}

}  // namespace lb::dataplane
