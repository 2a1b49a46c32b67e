// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/interface.h"

#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

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

InterfaceInfo Decode(const nlmsghdr* message) {
  const auto* link = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  const NetlinkAttributes attributes(message, sizeof(*link));
  InterfaceInfo info;
  info.index = link->ifi_index;
  info.admin_up = (link->ifi_flags & IFF_UP) != 0;
  info.running = (link->ifi_flags & IFF_RUNNING) != 0;
  info.loopback = (link->ifi_flags & IFF_LOOPBACK) != 0;
  info.mtu = attributes.GetU32(IFLA_MTU);
  if (const nlattr* name = attributes.Get(IFLA_IFNAME)) info.name = mnl_attr_get_str(name);
  if (const nlattr* mac = attributes.Get(IFLA_ADDRESS);
      mac != nullptr && mnl_attr_get_payload_len(mac) == MacAddress::Bytes().size()) {
    MacAddress::Bytes bytes;
    std::copy_n(static_cast<const uint8_t*>(mnl_attr_get_payload(mac)), bytes.size(),
                bytes.begin());
    info.mac = MacAddress(bytes);
  }
  if (const nlattr* xdp = attributes.Get(IFLA_XDP)) {
    const NetlinkAttributes nested(xdp);
    if (const nlattr* mode = nested.Get(IFLA_XDP_ATTACHED)) {
      info.xdp_attached = AttachedFrom(mnl_attr_get_u8(mode));
    }
    info.xdp_program_id = nested.GetU32(IFLA_XDP_PROG_ID);
  }
  return info;
}

StatusOr<InterfaceInfo> Get(const std::string& name, int index) {
  LB_ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open());
  char buffer[512];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_GETLINK;
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = index;
  if (!name.empty()) mnl_attr_put_strz(request, IFLA_IFNAME, name.c_str());
  InterfaceInfo info;
  LB_RETURN_IF_ERROR(
      socket.Request(request, "ask for interface " + (name.empty() ? std::to_string(index) : name),
                     [&](const nlmsghdr* message) { info = Decode(message); }));
  return info;
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

}  // namespace

StatusOr<InterfaceInfo> GetInterface(const std::string& name) {
  auto info = name.empty() || name.size() >= IFNAMSIZ ? NotFound("") : Get(name, 0);
  if (info.status().code() != absl::StatusCode::kNotFound) return info;
  return NotFound(
      fmt::format("interface \"{}\" does not exist; there are {}", name, InterfaceNames()));
}

StatusOr<InterfaceInfo> GetInterface(int index) { return Get("", index); }

}  // namespace lb::dataplane
