// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lbd/base/ip_address.h"
#include "lbd/base/status.h"
#include "lbd/dataplane/decision.h"

namespace lb::dataplane {

// A packet as a client would send it.
struct FlowPacket {
  IpAddress source;
  IpAddress destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t protocol = 6;  // TCP, UDP, or ICMP of either family: an echo request
  uint8_t tcp_flags = 0x02;
  uint32_t ip_length = 0;  // 0: without payload
};

// Its Ethernet frame, with good checksums; the MAC addresses are zeros.
// INVALID_ARGUMENT names what does not fit together.
StatusOr<Frame> MakeFrame(const FlowPacket& packet);

}  // namespace lb::dataplane
