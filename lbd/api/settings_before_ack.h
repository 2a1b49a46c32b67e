// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lbd/base/status.h"

namespace lb::api {

// gRPC before 1.60 holds a client to the limits of our HTTP/2 settings only once it has
// acknowledged them (grpc/grpc#34638): one that never does may open streams without end, 12 KiB
// each, with 16 MiB of metadata each. Until the acknowledgement the initial values in a table of
// libgrpc count, which this lowers, in this process, for all connections that are made later.
struct LimitsBeforeAck {
  uint32_t streams = 0;         // of a connection, at once
  uint32_t metadata_bytes = 0;  // of a stream
};

// FAILED_PRECONDITION where libgrpc is not the one that this knows; nothing has changed then.
Status SetLimitsBeforeAck(const LimitsBeforeAck& limits);

}  // namespace lb::api
