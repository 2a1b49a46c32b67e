// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/verdict.h"

#include "lb/abi.h"

namespace lb::dataplane {
namespace {

constexpr std::string_view ActionName(std::string_view action) {
  return action == "TX"         ? "tx"
         : action == "PASS"     ? "pass"
         : action == "REDIRECT" ? "redirect"
                                : "drop";
}

const VerdictCounter kVerdicts[] = {
#define LB_VERDICT_ROW(NAME, name, action, text) {#name, ActionName(#action), text, 0},
    LB_VERDICTS(LB_VERDICT_ROW)
#undef LB_VERDICT_ROW
};

}  // namespace

std::span<const VerdictCounter> AllVerdicts() { return kVerdicts; }

const VerdictCounter& VerdictOf(uint32_t number) {
  static const VerdictCounter unknown{"unknown", "drop", "Of another version of the program.", 0};
  return number < LB_VERDICT_COUNT ? kVerdicts[number] : unknown;
}

// A verdict that is new in lb/abi.h does not compile before it has its lines here.
Advice AdviceOn(uint32_t verdict) {
  if (verdict >= LB_VERDICT_COUNT) return {};
  switch (static_cast<lb_verdict>(verdict)) {
    case LB_FORWARD:
      return {"As it should be.",
              "If clients still see nothing, look at the real: lbagent doctor."};
    case LB_TOO_BIG_REPLY:
      return {
          "Clients send full frames and the network to the reals has no room for the outer header; "
          "each client learns it once per path.",
          "Nothing to do, or spare clients the round trip: a larger MTU to the reals, or advmss on "
          "them; lbctl doctor computes both."};
    case LB_ECHO_REPLY:
      return {"Somebody pings the VIP.", "Nothing to do."};
    case LB_PROBE_REPLY:
      return {"Reals answer the health checks of VIPs.",
              "Nothing to do; lbctl health says how they do."};
    case LB_NOT_IP:
      return {"ARP and other link-layer traffic of the segment.", "Nothing to do."};
    case LB_NOT_VIP:
      return {"The host's own traffic, or a VIP, port or protocol that is not configured.",
              "If it should be a VIP: lbctl vip list, then lbctl flow explain with the packet's "
              "addresses."};
    case LB_TRUNCATED:
      return {"Broken senders, scanners, or a link that cuts frames.",
              "See who sends them: lbctl capture --verdict truncated -w - | tcpdump -r -."};
    case LB_BAD_HEADER:
      return {"Crafted packets: IHL, version or lengths that cannot be.",
              "See who sends them: lbctl capture --verdict bad_header; filter them at the edge."};
    case LB_BAD_LENGTH:
      return {"Crafted packets, or a device on the way that cuts frames.",
              "Compare with ethtool -S DEV | grep -i err; lbctl capture --verdict bad_length."};
    case LB_EXTENSIONS:
      return {"Crafted packets: no honest sender chains so many extension headers.",
              "See who sends them: lbctl capture --verdict extensions; filter them at the edge."};
    case LB_FRAGMENT:
      return {
          "A sender ignores the path MTU, or a tunnel before us fragments.",
          "lbctl capture --verdict fragment shows who; raise the MTU or clamp the MSS there. If "
          "first fragments come another way: fragments: by_address in the VIP."};
    case LB_SOURCE_DENIED:
      return {"A client on the deny list, or on none while there is an allow list.",
              "lbctl capture --verdict source_denied shows who; if it should be served: "
              "sources.allow and sources.deny of the VIP."};
    case LB_VIP_RATE_LIMITED:
      return {"More new connections than sources.new_flows allows: a flood, or a limit too low.",
              "lbctl capture --verdict vip_rate_limited shows who; if they are welcome, raise "
              "sources.new_flows of the VIP."};
    case LB_SOURCE_RATE_LIMITED:
      return {
          "One client opens more connections than sources.new_flows_per_source allows; behind a "
          "large NAT that may be many people.",
          "lbctl capture --verdict source_rate_limited shows who; if it is welcome, raise "
          "sources.new_flows_per_source of the VIP."};
    case LB_NO_REAL:
      return {
          "All reals of the VIP are down, by their checks or by command, draining or of weight 0, "
          "or it has none.",
          "lbctl health VIP, lbctl vip show VIP; then lbctl real activate or lbctl real add."};
    case LB_NO_NEXT_HOP:
      return {
          "No route to the real, its gateway does not answer ARP/ND, or the route leaves by an "
          "interface that is not in interfaces.",
          "lbctl status says which; ip route get REAL; ip neigh."};
    case LB_TOO_BIG:
      return {
          "Clients send full frames, the network to the reals has no room for the outer header, "
          "and more of them than icmp.too_big_per_second tells, or the packet allows no answer.",
          "Raise the MTU between load balancer and reals, or lower the MSS on the reals (advmss): "
          "lbctl doctor computes both."};
    case LB_TTL_EXPIRED:
      return {"Load balancers whose decap addresses are reals of each other send in a circle.",
              "lbctl capture --verdict ttl_expired; take these addresses out of the VIP's reals or "
              "out of decap.addresses."};
    case LB_L2_LOOP:
      return {"A real with encap l2 sends packets for the VIP back: the VIP is not on its lo.",
              "On the real: lbagent doctor; ip addr add VIP/32 dev lo."};
    case LB_ENCAP_FAILED:
      return {"The driver gives XDP less headroom than the outer header needs.",
              "lbctl doctor names the driver; try xdp_mode: generic, or another driver."};
    case LB_VERDICT_COUNT:
      break;
  }
  return {};
}

}  // namespace lb::dataplane
