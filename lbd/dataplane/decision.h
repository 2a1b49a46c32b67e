// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/mac_address.h"
#include "lbd/model/encap.h"
#include "lbd/model/vip.h"

namespace lb::dataplane {

using Frame = std::vector<uint8_t>;

enum class SlotState : uint8_t {
  kStable,
  kChanging,  // new connections go to the next owner
  kSettling,  // changed, with flows of the owner before
  kAlways,    // stable, and every flow is tracked
};

std::string_view ToString(SlotState state);  // "stable", ...

// Where a flow is on its VIP's ring.
struct SlotView {
  uint64_t hash = 0;
  uint32_t number = 0;  // of so many:
  uint32_t slots = 0;
  SlotState state = SlotState::kStable;
  std::optional<IpAddress> owner;  // where flows go that nobody knows; empty: no real
  std::optional<IpAddress> next;   // where new connections go
  std::string_view recorded;       // "inserted", "evicted", "refused", or "" for neither
};

// What the program decided about one packet, and by what.
struct Decision {
  std::string_view verdict;      // "forward"
  std::string_view action;       // "tx", "pass" or "drop"
  std::string_view description;  // one sentence
  IpAddress source;              // :: where that was not reached, and so on
  IpAddress destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t protocol = 0;
  uint8_t tcp_flags = 0;
  uint32_t ip_length = 0;
  std::optional<model::VipKey> vip;
  uint16_t route = 0;          // number of the source route whose reals serve the source, or 0
  std::string_view server_id;  // what became of the packet's: a note such as "id_routed", or ""
  std::optional<SlotView> slot;
  std::optional<IpAddress> real;
  uint32_t cpu = 0;
  uint32_t ifindex = 0;       // where it came from
  uint64_t nanos = 0;         // CLOCK_MONOTONIC
  bool outgoing = false;      // the frame is a reply of the load balancer's own
  uint32_t frame_length = 0;  // of the whole frame
  Frame frame;                // its first bytes, as it came
};

// How a forwarded packet leaves.
struct Departure {
  MacAddress source;
  MacAddress destination;
  uint32_t ifindex = 0;
  uint32_t mtu = 0;
  bool resolved = false;
  model::Encap encap = model::Encap::kIpIp;
};

// A decision about a packet that never was.
struct Explanation {
  Decision decision;
  uint32_t xdp_action = 0;
  // What the flow table knew of the flow before.
  struct Known {
    IpAddress real;
    uint32_t idle_seconds = 0;
    bool ended = false;
  };
  std::optional<Known> known;
  // Of a later IP fragment: what lb_fragments, by which it finds its ports, has of the first one.
  struct Fragment {
    uint32_t id = 0;
    bool known = false;
    uint8_t protocol = 0;
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    uint32_t seconds = 0;       // since it came
    uint32_t kept_seconds = 0;  // after which it does not count any more
  };
  std::optional<Fragment> fragment;
  std::optional<Departure> departure;  // of the real
  Frame out;                           // the frame after the program
};

}  // namespace lb::dataplane
