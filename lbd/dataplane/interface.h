// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/mac_address.h"
#include "lbd/base/status.h"

struct nlmsghdr;

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
  bool ethernet = false;  // its frames have Ethernet headers
  int link = 0;           // of a veth its other end, of a VLAN its parent; 0: none, or not of this
                          // network namespace
  XdpAttached xdp_attached = XdpAttached::kNone;
  uint32_t xdp_program_id = 0;

  bool operator==(const InterfaceInfo&) const = default;
};

// What the kernel says now. NOT_FOUND names the interfaces that there are.
StatusOr<InterfaceInfo> GetInterface(const std::string& name);
StatusOr<InterfaceInfo> GetInterface(int index);

// The unicast addresses that the interface has, those that others can reach, in the kernel's order.
std::vector<IpAddress> GetAddresses(const std::string& interface);
// Whether any interface of this host has it.
bool HasAddress(const IpAddress& address);

// The interface that an RTM_NEWLINK or RTM_DELLINK is about; empty where that is malformed.
std::optional<InterfaceInfo> DecodeInterface(const nlmsghdr* message);

}  // namespace lb::dataplane
