// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lbd/base/status.h"
#include "lbd/dataplane/forwarder.h"
#include "tests/support/packet_builder.h"

namespace lb::testing {

// The interface that test runs arrive on: loopback.
inline constexpr int kIngressInterface = 1;

struct ProgRunOptions {
  // Bytes of metadata in front of the frame: a driver that leaves that much less headroom.
  uint32_t metadata = 0;
};

struct ProgRun {
  uint32_t action = 0;  // XDP_*
  Bytes out;
};

// One run of the forwarder's program over `frame` (BPF_PROG_TEST_RUN). Needs CAP_BPF and
// CAP_NET_ADMIN. The kernel refuses frames below 14 bytes with INVALID_ARGUMENT.
StatusOr<ProgRun> RunProgram(const dataplane::Forwarder& forwarder, const Bytes& frame,
                             const ProgRunOptions& options = {});

}  // namespace lb::testing
