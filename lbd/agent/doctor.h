// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lbd/agent/agent.h"
#include "lbd/dataplane/finding.h"

namespace lb::agent {

// What was found on a real server; separate from what is made of it.
struct RealFacts {
  struct Interface {
    std::string name;
    bool exists = false;
    bool up = false;
    uint32_t mtu = 0;
    bool unwraps = false;  // lbagent's program is attached
    int rp_filter = 0;     // the values in force
    int arp_ignore = 0;
    int arp_announce = 0;
  };
  std::vector<Interface> interfaces;
  // The kernel's own tunnel devices that are up, and so unwrap.
  struct TunnelDevice {
    std::string name;
    bool has_address = false;  // an IPv4 one
    int rp_filter = 0;         // the value in force
  };
  std::vector<TunnelDevice> tunnel_devices;
  // Packets of protocols that nothing handles: tunnels, where nothing unwraps them.
  uint64_t unhandled_packets = 0;
  struct Vip {
    IpPrefix prefix;
    bool local = false;  // an address on lo; of a prefix: a local route
  };
  std::vector<Vip> vips;
};
StatusOr<RealFacts> ReadRealFacts(const Options& options);

// Decapsulation, VIPs on lo, reverse path filter, ARP, MTU. Only looks. Which encaps the load
// balancers use is not known here: with l2 alone, nothing has to unwrap.
std::vector<dataplane::Finding> ExamineReal(const RealFacts& facts);

}  // namespace lb::agent
