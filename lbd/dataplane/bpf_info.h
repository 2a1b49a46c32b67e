// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <vector>

#include "lbd/base/status.h"

namespace lb::dataplane {

// What the kernel says of the program or map behind a descriptor; zeroed where it is none, which no
// id is.
bpf_prog_info ProgramInfo(int fd);
bpf_map_info MapInfo(int fd);

// The ids of the maps that a program uses, at most 64.
StatusOr<std::vector<uint32_t>> MapIdsOf(int program_fd);

}  // namespace lb::dataplane
