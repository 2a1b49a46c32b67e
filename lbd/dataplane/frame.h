// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lb/abi.h"

namespace lb::dataplane {

// Where the IP packet begins in an Ethernet frame with up to two VLAN tags; empty where there is
// none.
std::optional<size_t> IpOffset(std::span<const uint8_t> frame);

// Gives the IP packet in a frame back the hop that encap l2 has taken off.
void PutHopBack(std::span<uint8_t> frame);

// By what lb_fragments knows a packet that this frame has a later fragment of; empty: it has not.
std::optional<lb_fragment_key> LaterFragmentOf(std::span<const uint8_t> frame);

}  // namespace lb::dataplane
