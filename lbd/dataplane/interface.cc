// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/interface.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>

#include <algorithm>

#include "lbd/dataplane/netlink.h"

namespace lb::dataplane {
namespace {

XdpAttached AttachedFrom(uint8_t mode) {
  switch (mode) {
    case XDP_ATTACHED_NONE:
      return XdpAttached::kNone;
    case XDP_ATTACHED_SKB:
      return XdpAttached::kGeneric;
    case XDP_ATTACHED_HW:
      return XdpAttached::kOffloaded;
    default:
      return XdpAttached::kNative;
  }
}

// By `name`, or by `index` where that is empty.
StatusOr<InterfaceInfo> Get(const std::string& name, int index) {
  LB_ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open());
  NetlinkRequest<ifinfomsg> request(RTM_GETLINK);
  request->ifi_family = AF_UNSPEC;
  request->ifi_index = index;
  if (!name.empty()) mnl_attr_put_strz(request.message(), IFLA_IFNAME, name.c_str());
  const std::string what = fmt::format("interface {}", name.empty() ? std::to_string(index) : name);
  std::optional<InterfaceInfo> info;
  LB_RETURN_IF_ERROR(socket.Request(
      request.message(), what, [&](const nlmsghdr* message) { info = DecodeInterface(message); }));
  if (!info) return Internal(what + ": the kernel's answer makes no sense");
  return *std::move(info);
}

std::string InterfaceNames() {
  std::string names;
  struct if_nameindex* list = if_nameindex();
  for (auto* entry = list; entry != nullptr && entry->if_index != 0; ++entry) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", entry->if_name);
  }
  if_freenameindex(list);
  return names;
}

// The unicast addresses of the interfaces that `wanted` says yes to, link-local ones left out.
template <typename Wanted>
std::vector<IpAddress> AddressesOf(Wanted wanted) {
  std::vector<IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || !wanted(entry->ifa_name)) continue;
    if (entry->ifa_addr->sa_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
      const auto* bytes = reinterpret_cast<const uint8_t*>(&address->sin_addr);
      addresses.push_back(*IpAddress::FromBytes({bytes, sizeof(address->sin_addr)}));
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) continue;
      addresses.push_back(*IpAddress::FromBytes(address->sin6_addr.s6_addr));
    }
  }
  freeifaddrs(list);
  return addresses;
}

}  // namespace

StatusOr<InterfaceInfo> GetInterface(const std::string& name) {
  auto info = name.empty() || name.size() >= IFNAMSIZ ? NotFound("") : Get(name, 0);
  if (info.status().code() != absl::StatusCode::kNotFound) return info;
  return NotFound(
      fmt::format("interface \"{}\" does not exist; there are {}", name, InterfaceNames()));
}

StatusOr<InterfaceInfo> GetInterface(int index) { return Get("", index); }

std::vector<IpAddress> GetAddresses(const std::string& interface) {
  return AddressesOf([&](std::string_view name) { return name == interface; });
}

bool HasAddress(const IpAddress& address) {
  const auto all = AddressesOf([](std::string_view) { return true; });
  return std::ranges::find(all, address) != all.end();
}

std::optional<InterfaceInfo> DecodeInterface(const nlmsghdr* message) {
  const auto* link = NetlinkHeader<ifinfomsg>(message);
  if (link == nullptr) return std::nullopt;
  const NetlinkAttributes attributes(message, sizeof(*link));
  InterfaceInfo info;
  info.name = attributes.GetString(IFLA_IFNAME);
  info.index = link->ifi_index;
  info.mac = attributes.GetMac(IFLA_ADDRESS);
  info.mtu = attributes.GetU32(IFLA_MTU);
  info.admin_up = (link->ifi_flags & IFF_UP) != 0;
  info.running = (link->ifi_flags & IFF_RUNNING) != 0;
  info.ethernet = link->ifi_type == ARPHRD_ETHER;
  if (attributes.Get(IFLA_LINK_NETNSID) == nullptr) {
    info.link = static_cast<int>(attributes.GetU32(IFLA_LINK));
  }
  if (const nlattr* xdp = attributes.Get(IFLA_XDP)) {
    const NetlinkAttributes nested(xdp);
    info.xdp_attached = AttachedFrom(nested.GetU8(IFLA_XDP_ATTACHED));
    info.xdp_program_id = nested.GetU32(IFLA_XDP_PROG_ID);
  }
  return info;
}

}  // namespace lb::dataplane
