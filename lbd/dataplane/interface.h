// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "lbd/base/mac_address.h"
#include "lbd/base/status.h"

namespace lb::dataplane {

// How an XDP program is attached to an interface.
enum class XdpAttached : uint8_t { kNone, kNative, kGeneric, kOffloaded };

struct InterfaceInfo {
  std::string name;
  int index = 0;
  MacAddress mac;
  uint32_t mtu = 0;       // longest IP packet, bytes
  bool admin_up = false;  // ip link set ... up
  bool running = false;   // and has a carrier
  bool loopback = false;
  XdpAttached xdp_attached = XdpAttached::kNone;
  uint32_t xdp_program_id = 0;
};

// What the kernel says now. NOT_FOUND names the interfaces that there are.
StatusOr<InterfaceInfo> GetInterface(const std::string& name);
StatusOr<InterfaceInfo> GetInterface(int index);

}  // namespace lb::dataplane
