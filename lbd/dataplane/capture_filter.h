// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/ip_prefix.h"
#include "lbd/model/vip.h"

namespace lb::dataplane {

// Which packets to sample; what is empty does not matter.
struct CaptureFilter {
  struct Flow {
    IpAddress source;
    IpAddress destination;
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    uint8_t protocol = 0;
  };
  std::optional<model::VipKey> vip;  // by destination, whether it is configured or not
  std::optional<IpAddress> real;
  std::optional<Flow> flow;
  std::optional<IpPrefix> prefix;  // of either end
  std::optional<uint16_t> port;    // of either end
  std::vector<uint32_t> verdicts;  // any of these
  uint32_t every = 1;              // one of so many packets, before all else
  uint32_t rate = 1000;            // at most so many a second over all CPUs; of each, 7 at least
  uint32_t snap = 2048;            // at most so many bytes of each frame
};

}  // namespace lb::dataplane
