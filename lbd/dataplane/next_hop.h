// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/mac_address.h"
#include "lbd/base/status.h"
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
  bool pending = false;  // the kernel is asking the neighbour right now

  bool operator==(const NextHopResult&) const = default;
};

// Asks the kernel's routes and neighbours of this network namespace, and follows their changes.
// Thread-compatible.
class NextHopResolver {
 public:
  static StatusOr<std::unique_ptr<NextHopResolver>> Create();

  // Readable when routes, neighbours or links have changed.
  int event_fd() const { return events_.fd(); }
  // Reads all waiting events. True when an answer of ResolveAll() may be another now.
  bool DrainEvents();

  // The next hops of `reals`, in their order. Where the kernel does not know the neighbour yet, it
  // is asked to find it and to keep it; the answer comes as an event.
  std::vector<NextHopResult> ResolveAll(std::span<const IpAddress> reals);

 private:
  struct Neighbour {
    MacAddress mac;
    uint16_t state = 0;    // NUD_*
    bool managed = false;  // the kernel keeps it fresh by itself
  };
  // By interface and address.
  using Neighbours = std::map<std::pair<int, IpAddress>, Neighbour>;
  struct Route {
    int ifindex = 0;
    IpAddress via;
    uint32_t mtu = 0;  // 0: that of the interface
    uint8_t type = 0;  // RTN_*
  };

  NextHopResolver(NetlinkSocket requests, NetlinkSocket events)
      : requests_(std::move(requests)), events_(std::move(events)) {}

  NextHopResult Resolve(const IpAddress& real, const Neighbours& neighbours);
  StatusOr<Route> FindRoute(const IpAddress& real);
  Neighbours ReadNeighbours();
  void AskForNeighbour(int ifindex, const IpAddress& address);
  static std::optional<std::pair<std::pair<int, IpAddress>, Neighbour>> Decode(
      const nlmsghdr* message);

  NetlinkSocket requests_;
  NetlinkSocket events_;
  Neighbours known_;  // as the last ResolveAll() saw them
};

}  // namespace lb::dataplane
