// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lb::health {

// Connections of the host itself may take the ports that probes use.
struct PortClash {
  std::string problem;
  std::string fix;  // the command that keeps the host off
};

// For source ports first..last; `ephemeral` and `reserved` are what net.ipv4.ip_local_port_range
// and ip_local_reserved_ports say.
std::optional<PortClash> FindPortClash(uint16_t first, uint16_t last, std::string_view ephemeral,
                                       std::string_view reserved);
// By the sysctls of this network namespace.
std::optional<PortClash> FindPortClash(uint16_t first, uint16_t last);

}  // namespace lb::health
