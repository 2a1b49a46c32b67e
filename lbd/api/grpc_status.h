// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/status.h>

#include "lbd/base/status.h"

namespace lb::api {

// The codes are the same by definition; a long message is cut to what headers can carry.
grpc::Status ToGrpc(const Status& status);

}  // namespace lb::api
