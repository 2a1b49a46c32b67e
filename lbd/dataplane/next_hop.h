// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/mac_address.h"
#include "lbd/base/status.h"
#include "lbd/dataplane/interface.h"
#include "lbd/dataplane/netlink.h"

namespace lb::dataplane {

// How a frame to a real leaves.
struct NextHop {
  MacAddress destination;
  MacAddress source;
  int ifindex = 0;
  std::string interface;
  uint32_t mtu = 0;              // longest IP packet on the way, as far as the route says
  std::optional<IpAddress> via;  // the neighbour: a gateway, or the real itself

  bool operator==(const NextHop&) const = default;
};

struct NextHopResult {
  IpAddress real;
  NextHop hop;           // complete where `problem` is empty
  std::string problem;   // else a sentence: what is missing, and what to do
  bool pending = false;  // the kernel asks the neighbour right now, for the first time

  bool operator==(const NextHopResult&) const = default;
};

// Asks the kernel's routes and neighbours of this network namespace, and follows their changes.
// Linux resolves the neighbours and, from 5.16 on, keeps them fresh though no packet of its own
// goes there ("managed" in ip neigh); that outlives the process, as the forwarding does.
// Thread-compatible.
class NextHopResolver {
 public:
  static StatusOr<std::unique_ptr<NextHopResolver>> Create();

  // Readable when routes, neighbours or links have changed.
  int event_fd() const { return events_.fd(); }
  // Reads all waiting events. True when an answer of ResolveAll() may be another now.
  bool DrainEvents();

  // The next hops of `reals`, in their order, and follows these from now on. One request per real
  // and one dump of the neighbours. Where the kernel does not know the neighbour yet, it is asked
  // to find it and to keep it; the answer comes as an event.
  std::vector<NextHopResult> ResolveAll(std::span<const IpAddress> reals);
  // Follows no reals but these; the kernel need not keep the neighbours of the others fresh.
  void Retain(std::span<const IpAddress> reals);

 private:
  // A neighbour's address, and the interface where it is.
  using NeighbourKey = std::pair<int, IpAddress>;
  struct Neighbour {
    MacAddress mac;
    uint16_t state = 0;    // NUD_*
    bool managed = false;  // the kernel keeps it fresh by itself
    bool failed = false;   // did not answer, even if it is being asked again

    bool usable() const;
  };
  using Neighbours = std::map<NeighbourKey, Neighbour>;
  struct Route {
    int ifindex = 0;
    IpAddress via;
    uint32_t mtu = 0;  // 0: that of the interface
    uint8_t type = 0;  // RTN_*
  };
  // What the kernel said during one ResolveAll().
  struct View {
    Neighbours neighbours;
    std::map<int, StatusOr<InterfaceInfo>> interfaces;
  };
  struct Followed {
    Neighbour neighbour;  // what the last answers were made of
    bool asked = false;   // managed because of us
  };

  NextHopResolver(NetlinkSocket requests, NetlinkSocket events)
      : requests_(std::move(requests)), events_(std::move(events)) {}

  NextHopResult Resolve(const IpAddress& real, View& view);
  // Fills `result` from the neighbour of the route.
  void ResolveNeighbour(const InterfaceInfo& interface, View& view, NextHopResult& result);
  const StatusOr<InterfaceInfo>& FindInterface(int index, View& view);
  StatusOr<Route> FindRoute(const IpAddress& real);
  Neighbours ReadNeighbours();
  // Makes the kernel find a neighbour, and keep it fresh or stop that.
  Status AskForNeighbour(const NeighbourKey& key, bool managed);
  // Stops following neighbours that no real needs.
  void DropUnused();

  bool NeighbourChanged(const nlmsghdr* message);
  bool LinkChanged(const nlmsghdr* message);
  bool RouteMatters(const nlmsghdr* message) const;
  static std::optional<std::pair<NeighbourKey, Neighbour>> DecodeNeighbour(const nlmsghdr* message);

  NetlinkSocket requests_;
  NetlinkSocket events_;
  std::map<IpAddress, std::optional<NeighbourKey>> reals_;
  std::map<NeighbourKey, Followed> neighbours_;
  std::map<int, InterfaceInfo> interfaces_;
};

}  // namespace lb::dataplane
