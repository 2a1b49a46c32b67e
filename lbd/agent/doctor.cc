// SPDX-License-Identifier: Apache-2.0
#include "lbd/agent/doctor.h"

#include <fmt/format.h>
#include <net/if.h>
// Knows types that net/if_arp.h does not; must come after net/if.h.
#include <linux/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include "lbd/agent/host_addresses.h"
#include "lbd/agent/sysctl_check.h"
#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/interface.h"
#include "lbd/dataplane/nic.h"
#include "lbd/dataplane/pin_directory.h"
#include "lbd/dataplane/xdp_link.h"

namespace lb::agent {
namespace {

using dataplane::Finding;
using dataplane::Level;

constexpr const char* kSysctls = "/proc/sys/net/ipv4/conf";
constexpr uint32_t kFull = 1500, kOuterV4 = 20, kOuterV6 = 40;

// Types of the kernel's devices that unwrap: ipip, ip6tnl, sit, gre, ip6gre.
constexpr int kUnwrapping[] = {ARPHRD_TUNNEL, ARPHRD_TUNNEL6, ARPHRD_SIT, ARPHRD_IPGRE,
                               ARPHRD_IP6GRE};

bool IsTunnel(const char* name, int type) {
  // An external gre device has no type of its own; Linux 5.18 and later say what it is.
  return std::ranges::count(kUnwrapping, type) > 0 ||
         (type == ARPHRD_NONE && dataplane::ReadNic(name).driver == "gre");
}

bool IsHost(const IpPrefix& prefix) { return prefix.length() == (prefix.is_v4() ? 32 : 128); }

std::string TextOf(const IpPrefix& prefix) {
  return IsHost(prefix) ? prefix.address().ToString() : prefix.ToString();
}

// Nothing where `name` is no tunnel or is down.
std::optional<RealFacts::TunnelDevice> ReadTunnelDevice(const char* name) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd.get(), SIOCGIFHWADDR, &request) != 0) return std::nullopt;
  const int type = request.ifr_hwaddr.sa_family;
  if (!IsTunnel(name, type)) return std::nullopt;
  if (ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0 || (request.ifr_flags & IFF_UP) == 0) {
    return std::nullopt;
  }
  return RealFacts::TunnelDevice{.name = name,
                                 .has_address = ioctl(fd.get(), SIOCGIFADDR, &request) == 0,
                                 .rp_filter = SysctlInForce(kSysctls, name, "rp_filter")};
}

std::vector<RealFacts::TunnelDevice> ReadTunnelDevices() {
  std::vector<RealFacts::TunnelDevice> devices;
  const std::unique_ptr<struct if_nameindex, void (*)(struct if_nameindex*)> all(
      ::if_nameindex(), ::if_freenameindex);
  for (const struct if_nameindex* at = all.get(); at != nullptr && at->if_name != nullptr; ++at) {
    if (auto device = ReadTunnelDevice(at->if_name)) devices.push_back(*std::move(device));
  }
  return devices;
}

// Packets of protocols that nothing handles, as this network namespace counts them.
uint64_t ReadUnhandledPackets() {
  uint64_t sum = 0;
  std::string names, values, name;
  // Two lines, of names and of values, begin the file for IPv4; the one for IPv6 has pairs.
  std::ifstream v4("/proc/net/snmp");
  std::getline(v4, names);
  std::getline(v4, values);
  std::istringstream name_words(names), value_words(values);
  name_words >> name;
  value_words >> name;
  for (uint64_t value = 0; name_words >> name && value_words >> value;) {
    if (name == "InUnknownProtos") sum += value;
  }
  std::ifstream v6("/proc/net/snmp6");
  for (uint64_t value = 0; v6 >> name >> value;) {
    if (name == "Ip6InUnknownProtos") sum += value;
  }
  return sum;
}

bool Unwraps(const std::string& pin_path, const std::string& interface) {
  const auto link = dataplane::XdpLink::Open(pin_path + "/link_" + interface);
  return link.ok() && link->program_id() != 0;
}

bool ServesV4(const RealFacts& facts) {
  return std::ranges::any_of(facts.vips, [](const auto& vip) { return vip.prefix.is_v4(); });
}

std::string VipFlags(const RealFacts& facts) {
  std::string flags;
  for (const RealFacts::Vip& vip : facts.vips) flags += " --vip " + TextOf(vip.prefix);
  return flags;
}

// What the kernel unwraps arrives once more, from the tunnel device, and is filtered there. Of a
// device without an address even the loose filter lets nothing pass.
void ExamineTunnelDevice(const RealFacts::TunnelDevice& device, std::vector<Finding>& out) {
  const std::string check = device.name + ": rp_filter";
  if (device.rp_filter == 0 || (device.rp_filter == 2 && device.has_address)) {
    out.push_back({check, Level::kOk, device.rp_filter == 0 ? "off" : "loose", ""});
    return;
  }
  out.push_back(
      {check, Level::kFail,
       fmt::format("{}: packets that this tunnel device unwraps are dropped",
                   device.rp_filter == 1 ? "strict" : "loose, and the device has no address"),
       fmt::format("sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{}.rp_filter=0",
                   device.name)});
}

void ExamineInterface(const RealFacts& facts, const RealFacts::Interface& interface,
                      std::vector<Finding>& out) {
  const std::string& name = interface.name;
  const auto add = [&](const char* check, Level level, std::string message, std::string fix) {
    out.push_back({name + ": " + check, level, std::move(message), std::move(fix)});
  };
  const auto sysctl = [&](const char* key, int value) {
    return fmt::format("sysctl -w net.ipv4.conf.{}.{}={}", name, key, value);
  };
  if (!interface.exists || !interface.up) {
    add("link", Level::kFail, interface.exists ? "down" : "there is no such interface",
        interface.exists ? fmt::format("ip link set {} up", name) : "ip link");
    return;
  }
  if (interface.unwraps) {
    add("decapsulation", Level::kOk, "lbagent's program is attached", "");
  } else if (!facts.tunnel_devices.empty()) {
    add("decapsulation", Level::kOk, "a tunnel device of the kernel is up", "");
  } else if (facts.unhandled_packets > 0) {
    add("decapsulation", Level::kFail,
        fmt::format("nothing unwraps what load balancers send, and {} packets of protocols came "
                    "that nothing handles",
                    facts.unhandled_packets),
        fmt::format("lbagent --interface {}{}", name, VipFlags(facts)));
  } else {
    add("decapsulation", Level::kOk,
        "nothing unwraps, as is right where this real has encap l2 only; other encaps need lbagent",
        "");
  }
  const bool tunnels =
      interface.unwraps || !facts.tunnel_devices.empty() || facts.unhandled_packets > 0;
  const uint32_t v4_need = kFull + kOuterV4, v6_need = kFull + kOuterV6;
  if (tunnels && interface.mtu < v4_need) {
    add("mtu", Level::kWarn,
        fmt::format("{}: encapsulated full packets need {} (IPv6: {})", interface.mtu, v4_need,
                    v6_need),
        fmt::format("ip link set {} mtu {}, or announce less: ip route change $(ip route show "
                    "default) advmss {}",
                    name, v6_need, interface.mtu - kOuterV6 - 60));
  } else {
    add("mtu", Level::kOk, fmt::format("{}", interface.mtu), "");
  }
  if (!ServesV4(facts)) return;
  if (interface.rp_filter == 1) {
    add("rp_filter", Level::kFail,
        "strict: unwrapped packets are dropped where the way back to the client is another",
        sysctl("rp_filter", 2));
  } else {
    add("rp_filter", Level::kOk, interface.rp_filter == 0 ? "off" : "loose", "");
  }
  if (interface.arp_ignore == 0) {
    add("arp_ignore", Level::kFail,
        "0: this host answers ARP requests for VIPs and takes them from the load balancer",
        sysctl("arp_ignore", 1));
  } else {
    add("arp_ignore", Level::kOk, fmt::format("{}", interface.arp_ignore), "");
  }
  if (interface.arp_announce < 2) {
    add("arp_announce", Level::kWarn, "below 2: ARP requests may carry a VIP as their source",
        sysctl("arp_announce", 2));
  } else {
    add("arp_announce", Level::kOk, "2", "");
  }
}

}  // namespace

StatusOr<RealFacts> ReadRealFacts(const Options& options) {
  RealFacts facts{.interfaces = {},
                  .tunnel_devices = ReadTunnelDevices(),
                  .unhandled_packets = ReadUnhandledPackets(),
                  .vips = {}};
  LB_ASSIGN_OR_RETURN(HostAddresses addresses, HostAddresses::Create());
  LB_ASSIGN_OR_RETURN(const auto all, addresses.List());
  const int lo = static_cast<int>(if_nametoindex("lo"));
  for (const IpPrefix& vip : options.vips) {
    bool local = std::ranges::count(all, HostAddress{lo, vip.address()}) > 0;
    if (!IsHost(vip)) {
      LB_ASSIGN_OR_RETURN(local, addresses.IsLocal(vip.address()));
    }
    facts.vips.push_back({vip, local});
  }
  for (const std::string& name : options.interfaces) {
    RealFacts::Interface interface { .name = name };
    if (const auto info = dataplane::GetInterface(name); info.ok()) {
      interface.exists = true;
      interface.up = info->admin_up;
      interface.mtu = info->mtu;
    }
    interface.unwraps = Unwraps(options.pin_path, name);
    interface.rp_filter = SysctlInForce(kSysctls, name, "rp_filter");
    interface.arp_ignore = SysctlInForce(kSysctls, name, "arp_ignore");
    interface.arp_announce = SysctlInForce(kSysctls, name, "arp_announce");
    facts.interfaces.push_back(std::move(interface));
  }
  return facts;
}

std::vector<Finding> ExamineReal(const RealFacts& facts) {
  std::vector<Finding> out;
  for (const RealFacts::Vip& vip : facts.vips) {
    const bool host = IsHost(vip.prefix);
    const std::string text = TextOf(vip.prefix);
    if (vip.local) {
      out.push_back({"vip " + text, Level::kOk, "on lo", ""});
    } else {
      out.push_back({"vip " + text, Level::kFail, "not on lo: its packets are not for this host",
                     host ? fmt::format("ip addr add {} dev lo", vip.prefix.ToString())
                          : fmt::format("ip route add local {} dev lo", text)});
    }
  }
  for (const auto& interface : facts.interfaces) ExamineInterface(facts, interface, out);
  // lbagent's program unwraps before the kernel does.
  if (ServesV4(facts) && !std::ranges::all_of(facts.interfaces, &RealFacts::Interface::unwraps)) {
    for (const auto& device : facts.tunnel_devices) ExamineTunnelDevice(device, out);
  }
  return out;
}

}  // namespace lb::agent
