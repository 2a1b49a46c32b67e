// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/next_hop.h"

#include <fmt/format.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <set>

namespace lb::dataplane {
namespace {

// States in which the kernel itself would send to the neighbour's address.
constexpr uint16_t kUsable =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
// States that last without anyone asking.
constexpr uint16_t kLasting = NUD_PERMANENT | NUD_NOARP;

#ifndef NTF_EXT_MANAGED
#define NTF_EXT_MANAGED (1 << 0)  // since Linux 5.16
#endif

uint8_t FamilyOf(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

void PutAddress(nlmsghdr* message, int type, const IpAddress& address) {
  mnl_attr_put(message, type, address.bytes().size(), address.bytes().data());
}

// The address behind the family in an RTA_VIA: an IPv4 route with an IPv6 gateway (RFC 8950).
std::optional<IpAddress> GetVia(const nlattr* via) {
  if (via == nullptr || mnl_attr_get_payload_len(via) < sizeof(rtvia)) return std::nullopt;
  const auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(via));
  const auto address =
      IpAddress::FromBytes({bytes + sizeof(rtvia), mnl_attr_get_payload_len(via) - sizeof(rtvia)});
  return address.ok() ? std::optional(*address) : std::nullopt;
}

// Whether the first `bits` bits of the mapped form are the same.
bool SamePrefix(const IpAddress& a, const IpAddress& b, int bits) {
  const int bytes = bits / 8;
  if (!std::equal(a.mapped().begin(), a.mapped().begin() + bytes, b.mapped().begin())) return false;
  return bits % 8 == 0 || (a.mapped()[bytes] ^ b.mapped()[bytes]) >> (8 - bits % 8) == 0;
}

}  // namespace

bool NextHopResolver::Neighbour::usable() const { return (state & kUsable) != 0 && !mac.is_zero(); }

StatusOr<std::unique_ptr<NextHopResolver>> NextHopResolver::Create() {
  LB_ASSIGN_OR_RETURN(NetlinkSocket requests, NetlinkSocket::Open());
  LB_ASSIGN_OR_RETURN(
      NetlinkSocket events,
      NetlinkSocket::Open({RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                           RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP,
                           RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR}));
  return std::unique_ptr<NextHopResolver>(
      new NextHopResolver(std::move(requests), std::move(events)));
}

bool NextHopResolver::DrainEvents() {
  bool changed = false;
  const bool complete = events_.ReadEvents([&](const nlmsghdr* message) {
    switch (message->nlmsg_type) {
      case RTM_NEWNEIGH:
      case RTM_DELNEIGH:
        changed |= NeighbourChanged(message);
        break;
      case RTM_NEWLINK:
      case RTM_DELLINK:
        changed |= LinkChanged(message);
        break;
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        changed |= RouteMatters(message);
        break;
      case RTM_NEWADDR:  // brings its routes with it
        break;
      default:  // rules, next hop objects, and removed addresses, whose routes go in silence
        changed = true;
    }
  });
  return changed || !complete;
}

// Most events are refreshes of what is known, and entries that are none of ours. A neighbour that
// failed is asked again and again: that is no news until it answers.
bool NextHopResolver::NeighbourChanged(const nlmsghdr* message) {
  const auto entry = DecodeNeighbour(message);
  if (!entry) return false;
  const auto known = neighbours_.find(entry->first);
  if (known == neighbours_.end()) return false;
  if (message->nlmsg_type == RTM_DELNEIGH) return true;
  const Neighbour& before = known->second.neighbour;
  const Neighbour& now = entry->second;
  if (now.usable()) return !before.usable() || now.mac != before.mac;
  return before.usable() || (now.failed && !before.failed);
}

bool NextHopResolver::LinkChanged(const nlmsghdr* message) {
  const auto* header = NetlinkHeader<ifinfomsg>(message);
  // A bridge's news about its ports.
  if (header == nullptr || header->ifi_family != AF_UNSPEC) return false;
  const auto interface = DecodeInterface(message);
  if (message->nlmsg_type == RTM_DELLINK) {
    interfaces_.erase(interface->index);
    return true;
  }
  const auto [known, added] = interfaces_.try_emplace(interface->index, *interface);
  if (!added && known->second == *interface) return false;
  known->second = *interface;
  return true;
}

// With a full table of a BGP daemon hardly any route is one of ours.
bool NextHopResolver::RouteMatters(const nlmsghdr* message) const {
  const auto* route = NetlinkHeader<rtmsg>(message);
  if (route == nullptr) return false;
  const bool v4 = route->rtm_family == AF_INET;
  if (!v4 && route->rtm_family != AF_INET6) return false;
  const NetlinkAttributes attributes(message, sizeof(*route));
  // The default route has no destination.
  static constexpr uint8_t kZero[16] = {};
  const auto destination = attributes.GetAddress(RTA_DST).value_or(
      *IpAddress::FromBytes(std::span(kZero).first(v4 ? 4 : 16)));
  const auto first = reals_.lower_bound(destination);
  return first != reals_.end() &&
         SamePrefix(first->first, destination, std::min(route->rtm_dst_len + (v4 ? 96 : 0), 128));
}

std::optional<std::pair<NextHopResolver::NeighbourKey, NextHopResolver::Neighbour>>
NextHopResolver::DecodeNeighbour(const nlmsghdr* message) {
  const auto* header = NetlinkHeader<ndmsg>(message);
  if (header == nullptr || header->ndm_family == AF_BRIDGE) return std::nullopt;
  const NetlinkAttributes attributes(message, sizeof(*header));
  const auto address = attributes.GetAddress(NDA_DST);
  if (!address) return std::nullopt;
  return std::pair{NeighbourKey{header->ndm_ifindex, *address},
                   Neighbour{.mac = attributes.GetMac(NDA_LLADDR),
                             .state = header->ndm_state,
                             .managed = (attributes.GetU32(NDA_FLAGS_EXT) & NTF_EXT_MANAGED) != 0,
                             .failed = (header->ndm_state & NUD_FAILED) != 0}};
}

NextHopResolver::Neighbours NextHopResolver::ReadNeighbours() {
  Neighbours neighbours;
  NetlinkRequest<ndmsg> request(RTM_GETNEIGH, NLM_F_DUMP);
  const Status status =
      requests_.Request(request.message(), "read the neighbours", [&](const nlmsghdr* message) {
        if (const auto entry = DecodeNeighbour(message)) neighbours.insert(*entry);
      });
  // No news is better than no neighbours.
  if (!status.ok()) {
    for (const auto& [key, followed] : neighbours_) neighbours[key] = followed.neighbour;
  }
  return neighbours;
}

StatusOr<NextHopResolver::Route> NextHopResolver::FindRoute(const IpAddress& real) {
  NetlinkRequest<rtmsg> request(RTM_GETROUTE);
  request->rtm_family = FamilyOf(real);
  request->rtm_dst_len = real.bytes().size() * 8;
  PutAddress(request.message(), RTA_DST, real);
  Route route;
  LB_RETURN_IF_ERROR(requests_.Request(
      request.message(), "no route to " + real.ToString(), [&](const nlmsghdr* message) {
        const auto* answer = NetlinkHeader<rtmsg>(message);
        if (answer == nullptr) return;
        const NetlinkAttributes attributes(message, sizeof(*answer));
        route.type = answer->rtm_type;
        route.ifindex = static_cast<int>(attributes.GetU32(RTA_OIF));
        const auto gateway = attributes.GetAddress(RTA_GATEWAY);
        route.via = gateway ? *gateway : GetVia(attributes.Get(RTA_VIA)).value_or(real);
        if (const nlattr* metrics = attributes.Get(RTA_METRICS)) {
          route.mtu = NetlinkAttributes(metrics).GetU32(RTAX_MTU);
        }
      }));
  return route;
}

Status NextHopResolver::AskForNeighbour(const NeighbourKey& key, bool managed) {
  NetlinkRequest<ndmsg> request(RTM_NEWNEIGH, NLM_F_CREATE);
  request->ndm_family = FamilyOf(key.second);
  request->ndm_ifindex = key.first;
  // Without NTF_USE a kernel that does not know managed entries (it ignores the attribute) would
  // forget the neighbour's address.
  request->ndm_flags = NTF_USE;
  PutAddress(request.message(), NDA_DST, key.second);
  if (managed) mnl_attr_put_u32(request.message(), NDA_FLAGS_EXT, NTF_EXT_MANAGED);
  return requests_.Request(request.message(), "ask for a neighbour");
}

const StatusOr<InterfaceInfo>& NextHopResolver::FindInterface(int index, View& view) {
  const auto known = view.interfaces.find(index);
  if (known != view.interfaces.end()) return known->second;
  const auto& interface = view.interfaces.emplace(index, GetInterface(index)).first->second;
  if (interface.ok()) interfaces_[index] = *interface;
  return interface;
}

NextHopResult NextHopResolver::Resolve(const IpAddress& real, View& view) {
  NextHopResult result{.real = real, .hop = {}, .problem = {}};
  std::optional<NeighbourKey>& neighbour = reals_[real];
  neighbour.reset();
  const std::string name = real.ToString();
  const auto route = FindRoute(real);
  if (!route.ok()) {
    result.problem = fmt::format("{}; see: ip route get {}", Message(route.status()), name);
    return result;
  }
  if (route->type == RTN_LOCAL) {
    result.problem = fmt::format("{} is an address of this host", name);
    return result;
  }
  if (route->type != RTN_UNICAST) {
    result.problem =
        fmt::format("the route to {} is not a unicast route; see: ip route get {}", name, name);
    return result;
  }
  const auto& interface = FindInterface(route->ifindex, view);
  if (!interface.ok()) {
    result.problem =
        fmt::format("the route to {} leads nowhere: {}", name, Message(interface.status()));
    return result;
  }
  result.hop.interface = interface->name;
  result.hop.ifindex = interface->index;
  result.hop.via = route->via;
  result.hop.mtu = route->mtu != 0 ? std::min(route->mtu, interface->mtu) : interface->mtu;
  const char* trouble = !interface->ethernet   ? "is not an Ethernet interface"
                        : !interface->admin_up ? "is down"
                        : !interface->running  ? "has no carrier"
                                               : nullptr;
  if (trouble != nullptr) {
    result.problem =
        fmt::format("the route to {} leaves by {}, which {}", name, interface->name, trouble);
    return result;
  }
  neighbour = {route->ifindex, route->via};
  ResolveNeighbour(*interface, view, result);
  return result;
}

void NextHopResolver::ResolveNeighbour(const InterfaceInfo& interface, View& view,
                                       NextHopResult& result) {
  const NeighbourKey key{interface.index, *result.hop.via};
  Neighbour& neighbour = view.neighbours[key];
  Followed& followed = neighbours_[key];
  const bool failed_before = followed.neighbour.failed;
  Status asked;
  if (!neighbour.managed && (neighbour.state & kLasting) == 0) {
    asked = AskForNeighbour(key, true);
    neighbour.managed = followed.asked = asked.ok();
    neighbour.failed = false;  // the answer to an older question
  }
  neighbour.failed = (neighbour.failed || failed_before) && !neighbour.usable();
  followed.neighbour = neighbour;
  if (neighbour.usable()) {
    result.hop.destination = neighbour.mac;
    result.hop.source = interface.mac;
    return;
  }
  const std::string via = key.second.ToString();
  const std::string who = key.second == result.real
                              ? fmt::format("{} on {}", via, interface.name)
                              : fmt::format("gateway {} on {}, the way to {},", via, interface.name,
                                            result.real.ToString());
  if (!asked.ok()) {
    result.problem = fmt::format(
        "{} cannot be resolved: {}; see: ip neigh show dev {}, and sysctl "
        "net.ipv{}.neigh.default.gc_thresh3",
        who, Message(asked), interface.name, key.second.is_v4() ? 4 : 6);
  } else if (neighbour.failed) {
    result.problem =
        fmt::format("{} does not answer {}; is it up? See: ip neigh show {} dev {}", who,
                    key.second.is_v4() ? "ARP" : "neighbour solicitations", via, interface.name);
  } else {
    result.problem = fmt::format("{} is being resolved", who);
    result.pending = true;
  }
}

std::vector<NextHopResult> NextHopResolver::ResolveAll(std::span<const IpAddress> reals) {
  View view{.neighbours = ReadNeighbours(), .interfaces = {}};
  std::vector<NextHopResult> results;
  results.reserve(reals.size());
  for (const IpAddress& real : reals) results.push_back(Resolve(real, view));
  DropUnused();
  return results;
}

void NextHopResolver::Retain(std::span<const IpAddress> reals) {
  const std::set<IpAddress> wanted(reals.begin(), reals.end());
  std::erase_if(reals_, [&](const auto& item) { return !wanted.contains(item.first); });
  DropUnused();
}

void NextHopResolver::DropUnused() {
  std::set<NeighbourKey> used;
  for (const auto& [real, key] : reals_) {
    if (key) used.insert(*key);
  }
  std::optional<Neighbours> present;
  std::erase_if(neighbours_, [&](const auto& item) {
    const auto& [key, followed] = item;
    if (used.contains(key)) return false;
    if (!followed.asked) return true;
    if (!present) present = ReadNeighbours();
    const auto entry = present->find(key);
    // Not where someone has made it permanent meanwhile: the kernel would undo that.
    if (entry != present->end() && entry->second.managed && (entry->second.state & kLasting) == 0) {
      (void)AskForNeighbour(key, false);
    }
    return true;
  });
}

}  // namespace lb::dataplane
