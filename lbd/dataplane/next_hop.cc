// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/next_hop.h"

#include <fmt/format.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "lbd/dataplane/interface.h"

namespace lb::dataplane {
namespace {

// States in which the kernel itself would send to the neighbour's address.
constexpr uint16_t kUsable =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

#ifndef NTF_EXT_MANAGED
#define NTF_EXT_MANAGED (1 << 0)  // since Linux 5.16
#endif

uint8_t FamilyOf(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

void PutAddress(nlmsghdr* message, int type, const IpAddress& address) {
  mnl_attr_put(message, type, address.bytes().size(), address.bytes().data());
}

const char* StateName(uint16_t state) {
  if ((state & NUD_FAILED) != 0) return "FAILED";
  return (state & NUD_INCOMPLETE) != 0 ? "INCOMPLETE" : "unknown";
}

}  // namespace

StatusOr<std::unique_ptr<NextHopResolver>> NextHopResolver::Create() {
  LB_ASSIGN_OR_RETURN(NetlinkSocket requests, NetlinkSocket::Open());
  LB_ASSIGN_OR_RETURN(
      NetlinkSocket events,
      NetlinkSocket::Open({RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                           RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE}));
  return std::unique_ptr<NextHopResolver>(
      new NextHopResolver(std::move(requests), std::move(events)));
}

std::optional<std::pair<std::pair<int, IpAddress>, NextHopResolver::Neighbour>>
NextHopResolver::Decode(const nlmsghdr* message) {
  const auto* header = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
  const NetlinkAttributes attributes(message, sizeof(*header));
  const auto address = attributes.GetAddress(NDA_DST);
  if (!address) return std::nullopt;
  Neighbour neighbour{.mac = {}, .state = header->ndm_state};
  neighbour.managed = (attributes.GetU32(NDA_FLAGS_EXT) & NTF_EXT_MANAGED) != 0;
  if (const nlattr* mac = attributes.Get(NDA_LLADDR);
      mac != nullptr && mnl_attr_get_payload_len(mac) == MacAddress::Bytes().size()) {
    MacAddress::Bytes bytes;
    std::copy_n(static_cast<const uint8_t*>(mnl_attr_get_payload(mac)), bytes.size(),
                bytes.begin());
    neighbour.mac = MacAddress(bytes);
  }
  return std::pair{std::pair{header->ndm_ifindex, *address}, neighbour};
}

bool NextHopResolver::DrainEvents() {
  bool changed = false;
  const bool complete = events_.ReadEvents([&](const nlmsghdr* message) {
    if (message->nlmsg_type == RTM_NEWNEIGH) {
      // Most of these are refreshes of what is known, and entries of others.
      const auto entry = Decode(message);
      if (!entry) return;
      const auto known = known_.find(entry->first);
      if (known == known_.end()) return;
      const bool was_usable = (known->second.state & kUsable) != 0;
      const bool is_usable = (entry->second.state & kUsable) != 0;
      if (was_usable != is_usable || (is_usable && known->second.mac != entry->second.mac)) {
        changed = true;
      }
    } else if (message->nlmsg_type == RTM_DELNEIGH) {
      const auto entry = Decode(message);
      if (entry && known_.contains(entry->first)) changed = true;
    } else {
      changed = true;
    }
  });
  return changed || !complete;
}

NextHopResolver::Neighbours NextHopResolver::ReadNeighbours() {
  Neighbours neighbours;
  char buffer[256];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_GETNEIGH;
  request->nlmsg_flags = NLM_F_DUMP;
  mnl_nlmsg_put_extra_header(request, sizeof(ndmsg));
  // Without an answer every hop counts as unresolved, and says so.
  (void)requests_.Request(request, "read the neighbours", [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWNEIGH) return;
    if (const auto entry = Decode(message)) neighbours.insert(*entry);
  });
  return neighbours;
}

StatusOr<NextHopResolver::Route> NextHopResolver::FindRoute(const IpAddress& real) {
  char buffer[512];
  nlmsghdr* request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_GETROUTE;
  auto* header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
  header->rtm_family = FamilyOf(real);
  header->rtm_dst_len = real.bytes().size() * 8;
  PutAddress(request, RTA_DST, real);
  Route route;
  LB_RETURN_IF_ERROR(
      requests_.Request(request, "no route to " + real.ToString(), [&](const nlmsghdr* message) {
        const auto* answer = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
        const NetlinkAttributes attributes(message, sizeof(*answer));
        route.type = answer->rtm_type;
        route.ifindex = static_cast<int>(attributes.GetU32(RTA_OIF));
        route.via = attributes.GetAddress(RTA_GATEWAY).value_or(real);
        // An IPv4 route may have an IPv6 gateway (RFC 5549): family, then address.
        if (const nlattr* via = attributes.Get(RTA_VIA);
            via != nullptr && mnl_attr_get_payload_len(via) > sizeof(rtvia)) {
          const auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(via));
          const auto address = IpAddress::FromBytes(
              {bytes + sizeof(rtvia), mnl_attr_get_payload_len(via) - sizeof(rtvia)});
          if (address.ok()) route.via = *address;
        }
        if (const nlattr* metrics = attributes.Get(RTA_METRICS)) {
          route.mtu = NetlinkAttributes(metrics).GetU32(RTAX_MTU);
        }
      }));
  return route;
}

void NextHopResolver::AskForNeighbour(int ifindex, const IpAddress& address) {
  // Kernels that do not know managed entries resolve the neighbour once (NTF_USE).
  for (const bool managed : {true, false}) {
    char buffer[256];
    nlmsghdr* request = mnl_nlmsg_put_header(buffer);
    request->nlmsg_type = RTM_NEWNEIGH;
    request->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
    auto* header = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ndmsg)));
    header->ndm_family = FamilyOf(address);
    header->ndm_ifindex = ifindex;
    header->ndm_state = NUD_NONE;
    header->ndm_flags = managed ? 0 : NTF_USE;
    PutAddress(request, NDA_DST, address);
    if (managed) mnl_attr_put_u32(request, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
    if (requests_.Request(request, "ask for a neighbour").ok()) return;
  }
}

NextHopResult NextHopResolver::Resolve(const IpAddress& real, const Neighbours& neighbours) {
  NextHopResult result{.real = real, .hop = {}, .problem = {}};
  const auto route = FindRoute(real);
  if (!route.ok()) {
    result.problem = Message(route.status());
    return result;
  }
  if (route->type == RTN_LOCAL) {
    result.problem = fmt::format("{} is an address of this host", real.ToString());
    return result;
  }
  if (route->type != RTN_UNICAST) {
    result.problem = fmt::format("the route to {} is not a unicast route; see: ip route get {}",
                                 real.ToString(), real.ToString());
    return result;
  }
  const auto interface = GetInterface(route->ifindex);
  if (!interface.ok()) {
    result.problem = fmt::format("the route to {} leads nowhere: {}", real.ToString(),
                                 Message(interface.status()));
    return result;
  }
  result.hop.interface = interface->name;
  result.hop.ifindex = interface->index;
  result.hop.via = route->via;
  if (!interface->admin_up || !interface->running) {
    result.problem =
        fmt::format("the route to {} leaves by {}, which {}", real.ToString(), interface->name,
                    interface->admin_up ? "has no carrier" : "is down");
    return result;
  }
  const auto neighbour = neighbours.find({route->ifindex, route->via});
  const bool found = neighbour != neighbours.end();
  const bool usable = found && (neighbour->second.state & kUsable) != 0;
  const bool lasting = found && (neighbour->second.managed ||
                                 (neighbour->second.state & (NUD_PERMANENT | NUD_NOARP)) != 0);
  if (!lasting) AskForNeighbour(route->ifindex, route->via);
  if (!usable || neighbour->second.mac.is_zero()) {
    result.pending = !found || (neighbour->second.state & NUD_FAILED) == 0;
    result.problem = fmt::format(
        "neighbour {} on {}, the way to {}, is {}; does it answer {}? See: ip neigh show {}",
        route->via.ToString(), interface->name, real.ToString(),
        found ? StateName(neighbour->second.state) : "being resolved",
        route->via.is_v4() ? "ARP" : "neighbour solicitations", route->via.ToString());
    return result;
  }
  result.hop.destination = neighbour->second.mac;
  result.hop.source = interface->mac;
  result.hop.mtu = route->mtu != 0 ? std::min(route->mtu, interface->mtu) : interface->mtu;
  return result;
}

std::vector<NextHopResult> NextHopResolver::ResolveAll(std::span<const IpAddress> reals) {
  const Neighbours neighbours = ReadNeighbours();
  known_.clear();
  std::vector<NextHopResult> results;
  for (const IpAddress& real : reals) {
    results.push_back(Resolve(real, neighbours));
    const NextHop& hop = results.back().hop;
    if (!hop.via) continue;
    // What this answer was made of: only a change of that matters.
    const std::pair key{hop.ifindex, *hop.via};
    const auto neighbour = neighbours.find(key);
    known_[key] = neighbour == neighbours.end() ? Neighbour() : neighbour->second;
  }
  return results;
}

}  // namespace lb::dataplane
