// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lbd/base/status.h"
#include "lbd/dataplane/decision.h"
#include "lbd/dataplane/forwarder.h"

namespace lb::dataplane {

// What `forwarder` would do with `frame` if it came in by `ifindex` now. The program in force is
// run (BPF_PROG_TEST_RUN): another instance of the same instructions over the same tables, but over
// copies of those that it writes to. So no counter moves, no flow is recorded, and no packet
// leaves; what lb_fragments has of the packet is copied, too. A second run, of the build that notes
// its steps, says why; that both agree is checked. Copying the flow table takes about a millisecond
// per MiB; packets are forwarded meanwhile.
StatusOr<Explanation> Explain(const Forwarder& forwarder, const Frame& frame, uint32_t ifindex);

}  // namespace lb::dataplane
