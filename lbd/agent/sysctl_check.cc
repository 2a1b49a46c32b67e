// SPDX-License-Identifier: Apache-2.0
#include "lbd/agent/sysctl_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace lb::agent {
int SysctlInForce(const std::string& root, const std::string& interface, const char* name) {
  int largest = 0;
  for (const std::string& scope : {std::string("all"), interface}) {
    int value = 0;
    std::ifstream file(fmt::format("{}/{}/{}", root, scope, name));
    if (file >> value) largest = std::max(largest, value);
  }
  return largest;
}

std::vector<std::string> CheckSysctls(const std::string& root, const std::string& interface) {
  std::vector<std::string> warnings;
  if (SysctlInForce(root, interface, "rp_filter") == 1) {
    warnings.push_back(
        fmt::format("rp_filter is strict on {0}: unwrapped packets are dropped where the route "
                    "back to the client "
                    "leaves by another interface; set net.ipv4.conf.{0}.rp_filter=2",
                    interface));
  }
  if (SysctlInForce(root, interface, "arp_ignore") == 0) {
    warnings.push_back(
        fmt::format("arp_ignore is 0 on {0}: this host answers ARP requests for the VIPs and takes "
                    "them from the "
                    "load balancer; set net.ipv4.conf.{0}.arp_ignore=1",
                    interface));
  }
  if (SysctlInForce(root, interface, "arp_announce") < 2) {
    warnings.push_back(
        fmt::format("arp_announce is below 2 on {0}: this host's ARP requests may carry a VIP as "
                    "their source; set "
                    "net.ipv4.conf.{0}.arp_announce=2",
                    interface));
  }
  return warnings;
}

}  // namespace lb::agent
