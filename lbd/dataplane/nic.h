// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace lb::dataplane {

// What the ethtool interface says of a device; empty where the driver does not say.
struct Nic {
  std::string driver;
  std::map<std::string, bool> features;  // as in ethtool -k: "rx-lro", "rx-gro-hw"
  std::optional<uint32_t> rx_queues;     // in use
  std::optional<uint32_t> max_queues;
  bool combined = true;             // each with one to send
  std::optional<uint32_t> rx_ring;  // descriptors per queue
  std::optional<uint32_t> max_rx_ring;

  bool Has(const std::string& feature) const {
    const auto it = features.find(feature);
    return it != features.end() && it->second;
  }
};

Nic ReadNic(const std::string& interface);

}  // namespace lb::dataplane
