// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "lbd/base/status.h"

namespace lb::health {

// Whether connections of the host itself may take source ports of first..last: FAILED_PRECONDITION
// then. `ephemeral` and `reserved` are what net.ipv4.ip_local_port_range and
// ip_local_reserved_ports say.
Status CheckPorts(uint16_t first, uint16_t last, std::string_view ephemeral,
                  std::string_view reserved);
// By the sysctls of this network namespace.
Status CheckPorts(uint16_t first, uint16_t last);

}  // namespace lb::health
