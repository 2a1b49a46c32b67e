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
  // Packets that this VIP decides on, or a wider one where there is no such VIP; and, of those to
  // its addresses, protocol and ports, what no VIP decides on. ICMP, and what is dropped before its
  // ports are read, is that of each VIP of the address.
  std::optional<model::VipKey> vip;
  std::optional<IpAddress> real;
  std::optional<Flow> flow;
  std::optional<IpPrefix> prefix;  // of either end; IPv4 packets are in no IPv6 prefix
  std::optional<uint16_t> port;    // of either end
  std::vector<uint32_t> verdicts;  // any of these
  uint32_t every = 1;              // one of so many packets, before all else
  uint32_t rate = 1000;            // at most so many a second, of which an eighth may come at once
  uint32_t snap = 2048;            // at most so many bytes of each frame
};

}  // namespace lb::dataplane
