// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/explain.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "lbd/api/convert.h"
#include "lbd/api/convert_health.h"
#include "lbd/dataplane/flow_packet.h"
#include "lbd/dataplane/verdict.h"
#include "lbd/model/find_route.h"

namespace lb::api {
namespace {

using dataplane::Decision;
using dataplane::Explanation;
using dataplane::SlotState;

constexpr uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
constexpr uint32_t kMaxRate = 100'000, kMinSnap = 64, kMaxSnap = 2048;
constexpr size_t kEthernetHeader = 14, kVlanTag = 4;
constexpr size_t kMinFrame = 15, kMaxFrame = 3000;
constexpr std::string_view kTcpFlags[] = {"fin", "syn", "rst", "psh", "ack", "urg"};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;
};

// "192.0.2.1:80", "[2001:db8::1]:80"; without a port only where `with_port` is not.
StatusOr<Endpoint> ParseEndpoint(std::string_view text, const char* field, bool with_port) {
  const auto problem = [&] {
    return InvalidArgument(fmt::format("{}: want {}, got \"{}\"", field,
                                       with_port ? "ADDRESS:PORT or [ADDRESS]:PORT" : "ADDRESS",
                                       text));
  };
  std::string_view address = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return problem();
    address = text.substr(1, end - 1);
    if (text.size() > end + 1 && text[end + 1] == ':') port = text.substr(end + 2);
  } else if (std::ranges::count(text, ':') == 1) {
    address = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
  }
  Endpoint endpoint;
  const auto parsed = IpAddress::Parse(address);
  if (!parsed.ok()) return problem();
  endpoint.address = *parsed;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (with_port && (error != std::errc() || end != port.data() + port.size())) return problem();
  return endpoint;
}

StatusOr<uint8_t> ParseProtocol(const std::string& text, bool v4) {
  if (text.empty() || text == "tcp") return kTcp;
  if (text == "udp") return kUdp;
  if (text == "icmp") return v4 ? kIcmp : kIcmp6;
  return InvalidArgument(fmt::format("protocol: want tcp, udp or icmp, got \"{}\"", text));
}

StatusOr<uint32_t> FindVerdict(const std::string& name) {
  const auto all = dataplane::AllVerdicts();
  const auto it = std::ranges::find(all, name, &dataplane::VerdictCounter::verdict);
  if (it != all.end()) return static_cast<uint32_t>(it - all.begin());
  std::string known;
  for (const auto& verdict : all)
    known += (known.empty() ? "" : ", ") + std::string(verdict.verdict);
  return InvalidArgument(fmt::format("verdicts: no verdict \"{}\"; there are {}", name, known));
}

std::string ProtocolName(uint8_t protocol) {
  switch (protocol) {
    case kIcmp:
      return "icmp";
    case kTcp:
      return "tcp";
    case kUdp:
      return "udp";
    case kIcmp6:
      return "icmpv6";
    default:
      return std::to_string(protocol);
  }
}

std::string FlagsText(uint8_t flags) {
  std::string text;
  for (size_t bit = 0; bit < std::size(kTcpFlags); ++bit) {
    if ((flags >> bit & 1) == 0) continue;
    text += (text.empty() ? "" : ",") + std::string(kTcpFlags[bit]);
  }
  return text;
}

bool HasPorts(const Decision& decision) {
  return decision.protocol == kTcp || decision.protocol == kUdp;
}

std::string EndpointText(const IpAddress& address, uint16_t port, bool with_port) {
  if (address.is_unspecified() && !address.is_v4()) return "";
  if (!with_port) return address.ToString();
  if (address.is_v4()) return fmt::format("{}:{}", address.ToString(), port);
  return fmt::format("[{}]:{}", address.ToString(), port);
}

std::string InterfaceName(uint32_t index) {
  char name[IF_NAMESIZE] = "";
  return if_indextoname(index, name) != nullptr ? name : std::string();
}

std::string AddressText(const std::optional<IpAddress>& address) {
  return address ? address->ToString() : "no real";
}

bool IsVlanTag(uint8_t high, uint8_t low) {
  return (high == 0x81 && low == 0x00) || (high == 0x88 && low == 0xa8);
}

// Numbers of the VLANs that a frame is tagged with, the outer one first.
std::vector<uint16_t> VlansOf(std::span<const uint8_t> frame) {
  std::vector<uint16_t> vlans;
  for (size_t at = kEthernetHeader - 2;
       at + kVlanTag <= frame.size() && IsVlanTag(frame[at], frame[at + 1]); at += kVlanTag) {
    vlans.push_back(static_cast<uint16_t>((frame[at + 2] & 0x0f) << 8 | frame[at + 3]));
  }
  return vlans;
}

bool IsRefusal(std::string_view verdict) {
  return verdict == "source_denied" || verdict == "vip_rate_limited" ||
         verdict == "source_rate_limited";
}

// The source route whose reals the decision is about, or nullptr.
const model::SourceRoute* RouteOf(const Decision& decision, const model::Config& config) {
  if (!decision.vip) return nullptr;
  const model::Vip* vip = config.FindVip(*decision.vip);
  return vip != nullptr ? model::FindRoute(*vip, decision.route) : nullptr;
}

// Collects the steps of an explanation.
class Steps {
 public:
  Steps(const Explanation& explanation, const model::Config& config,
        const control::DataplaneReport& report, const control::HealthReport& health,
        v1::ExplainFlowResponse& response)
      : explanation_(explanation),
        decision_(explanation.decision),
        config_(config),
        report_(report),
        health_(health),
        response_(response) {}

  void Tell() {
    Packet();
    if (explanation_.fragment) Fragment(*explanation_.fragment);
    if (decision_.destination.is_unspecified()) return Verdict();
    Vip();
    Sources();
    if (decision_.slot) Slot(*decision_.slot);
    Id();
    Standing();
    if (decision_.real) {
      Real();
      Health();
      NextHop();
      Mtu();
    }
    Verdict();
  }

 private:
  void Add(const char* name, std::string text) {
    v1::ExplainStep& step = *response_.add_steps();
    step.set_name(name);
    step.set_text(std::move(text));
  }

  void Packet() {
    // A later fragment has those of the first one, or none.
    const bool ports =
        HasPorts(decision_) && (!explanation_.fragment || explanation_.fragment->known);
    if (decision_.destination.is_unspecified()) {
      return Add("packet", fmt::format("a frame of {} bytes that is not IPv4 or IPv6, or too short",
                                       decision_.frame_length));
    }
    std::string text =
        fmt::format("{} -> {} {}", EndpointText(decision_.source, decision_.source_port, ports),
                    EndpointText(decision_.destination, decision_.destination_port, ports),
                    ProtocolName(decision_.protocol));
    if (decision_.tcp_flags != 0) text += fmt::format(" [{}]", FlagsText(decision_.tcp_flags));
    text += fmt::format(", IP length {}", decision_.ip_length);
    for (const uint16_t vlan : VlansOf(decision_.frame)) text += fmt::format(", VLAN {}", vlan);
    Add("packet", text);
  }

  void Fragment(const Explanation::Fragment& fragment) {
    std::string text = fmt::format("a later fragment of packet {:#x}; ", fragment.id);
    const std::string map = fmt::format("lb_fragments ({} entries, {} s)",
                                        config_.settings.limits.fragments, fragment.kept_seconds);
    if (fragment.known && fragment.seconds <= fragment.kept_seconds) {
      text += fmt::format("its first one, in {}, came {} s ago: {}, ports {} -> {}", map,
                          fragment.seconds, ProtocolName(fragment.protocol), fragment.source_port,
                          fragment.destination_port);
    } else if (fragment.known) {
      text += fmt::format("its first one, in {}, came {} s ago, too long", map, fragment.seconds);
    } else {
      text += fmt::format("its first one is not in {}: not come yet, or lost, or elsewhere", map);
    }
    if (decision_.vip && Configured() != nullptr &&
        Configured()->fragments == model::Fragments::kByAddress) {
      text += "; the VIP takes fragments by address";
    }
    Add("fragment", text);
  }

  // The configured VIP, or nullptr.
  const model::Vip* Configured() const {
    return decision_.vip ? config_.FindVip(*decision_.vip) : nullptr;
  }

  // Where the real is configured: at the VIP, or at its source route.
  const model::Real* ConfiguredReal() const {
    const model::Vip* vip = Configured();
    if (vip == nullptr) return nullptr;
    if (const model::SourceRoute* route = RouteOf(decision_, config_)) {
      const auto it = std::ranges::find(route->reals, *decision_.real, &model::Real::address);
      return it == route->reals.end() ? nullptr : &*it;
    }
    return vip->FindReal(*decision_.real);
  }

  static constexpr size_t kMaxReals = 5;  // that are told one by one

  static std::string WhyVip(const model::VipKey& key) {
    std::string why = key.is_prefix() ? "prefix" : "address";
    if (key.port == 0) return why + " and protocol, which no VIP of this very port has";
    return why + (key.is_range() ? ", range of ports" : ", port") + " and protocol";
  }

  void Vip() {
    if (decision_.vip) {
      const model::Vip* vip = Configured();
      return Add("vip", fmt::format("{}{}: by {}", decision_.vip->ToString(),
                                    vip == nullptr || vip->name.empty() ? "" : " " + vip->name,
                                    WhyVip(*decision_.vip)));
    }
    std::string others;
    for (const model::Vip& vip : config_.vips) {
      if (!vip.key.prefix().Contains(decision_.destination)) continue;
      others += (others.empty() ? "" : ", ") + vip.key.ToString();
    }
    if (others.empty()) {
      return Add("vip", fmt::format("no VIP has the address {}", decision_.destination.ToString()));
    }
    const bool searched = decision_.verdict == "not_vip";
    Add("vip",
        fmt::format("{}; {} has {}", searched ? "none has this port and protocol" : "not looked up",
                    decision_.destination.ToString(), others));
  }

  void Sources() {
    const model::Vip* vip = Configured();
    if (vip == nullptr) return;
    if (!vip->sources.empty() && !IsRefusal(decision_.verdict)) {
      Add("sources", fmt::format("{} is served", decision_.source.ToString()));
    } else if (!vip->sources.empty()) {
      Add("sources",
          fmt::format("{} is refused: {}", decision_.source.ToString(), decision_.description));
    }
    if (const model::SourceRoute* route = RouteOf(decision_, config_)) {
      Add("sources", fmt::format("source route {}: {} has reals of its own", route->name,
                                 decision_.source.ToString()));
    }
  }

  static std::string SlotText(const dataplane::SlotView& slot) {
    const std::string owner = AddressText(slot.owner);
    switch (slot.state) {
      case SlotState::kStable:
        return "stable: " + owner;
      case SlotState::kChanging:
        return fmt::format("changing: unknown flows to {}, new connections to {}", owner,
                           AddressText(slot.next));
      case SlotState::kSettling:
        return fmt::format("settling: {}, but known flows stay where they are", owner);
      case SlotState::kAlways:
        return fmt::format("stable: {}, and every flow is recorded", owner);
    }
    return "";
  }

  void Slot(const dataplane::SlotView& slot) {
    Add("hash", fmt::format("{:016x} -> slot {} of {}", slot.hash, slot.number, slot.slots));
    Add("slot", SlotText(slot));
    if (slot.state == SlotState::kStable) return;
    std::string text;
    if (!explanation_.known) {
      text = "not in the flow table";
    } else {
      text = fmt::format("known to the flow table: {}, idle for {} s{}",
                         explanation_.known->real.ToString(), explanation_.known->idle_seconds,
                         explanation_.known->ended ? ", ended" : "");
    }
    if (slot.recorded == "inserted") text += "; would be recorded";
    if (slot.recorded == "evicted") text += "; would be recorded in place of the oldest flow";
    if (slot.recorded == "refused") text += "; no room to record it, so it stays with the owner";
    Add("flow", text);
  }

  void Id() {
    if (decision_.server_id == "id_routed") Add("id", "the packet names its real by a server id");
    if (decision_.server_id == "id_unknown") {
      Add("id", "the packet names a server id that no real has; its hash decides");
    }
    if (decision_.server_id == "id_absent")
      Add("id", "the packet names no server id; its hash decides");
  }

  void Real() {
    std::string text = decision_.real->ToString();
    if (const model::Real* real = ConfiguredReal(); real == nullptr) {
      text += ", which is not configured any more";
    } else {
      text += fmt::format(" ({}, weight {}, encap {})", model::ToString(real->state), real->weight,
                          model::ToString(real->encap));
    }
    Add("real", text);
  }

  // The reals that the decision is about: those of the VIP, or of a source route.
  std::optional<model::Vip> Group() const {
    const model::Vip* vip = Configured();
    if (vip == nullptr) return std::nullopt;
    const model::SourceRoute* route = RouteOf(decision_, config_);
    return route != nullptr ? model::RouteVip(*vip, *route) : *vip;
  }

  // What too few healthy reals mean for the VIP.
  void Standing() {
    const auto group = Group();
    if (!group) return;
    const control::HealthBook::Standing standing = health_.book.StandingOf(*group);
    const bool none = !decision_.real && decision_.verdict == "no_real";
    if (standing.up && !none) return;
    std::string text = fmt::format("{} of {} needed reals are healthy", standing.healthy,
                                   group->health.min_healthy);
    if (standing.failed_open) text += "; failed open: all that are active get traffic";
    if (none && group->reals.empty()) text = "the VIP has no reals";
    if (none && standing.starting) {
      text = fmt::format("the VIP starts when each of its reals was probed, or after {} s",
                         control::HealthBook::kWarmUp.count());
    }
    for (size_t i = 0; none && i < group->reals.size(); ++i) {
      if (i == kMaxReals) {
        text += fmt::format("; and {} more", group->reals.size() - i);
        break;
      }
      const model::Real& real = group->reals[i];
      text += fmt::format("; {} {}, weight {}, {}", real.address.ToString(),
                          model::ToString(real.state), real.weight,
                          DescribeHealth(health_, *decision_.vip, real.address));
    }
    Add("health", text);
  }

  void Health() {
    const model::Vip* vip = Configured();
    if (vip == nullptr || ConfiguredReal() == nullptr) return;
    Add("health", DescribeHealth(health_, vip->key, *decision_.real));
  }

  void NextHop() {
    const auto hop =
        std::ranges::find(report_.next_hops, *decision_.real, &dataplane::NextHopResult::real);
    const bool known = hop != report_.next_hops.end();
    if (!explanation_.departure || !explanation_.departure->resolved) {
      std::string problem = known && !hop->problem.empty() ? hop->problem : "not resolved";
      if (known && hop->hop.via && *hop->hop.via != *decision_.real && explanation_.departure &&
          explanation_.departure->encap == model::Encap::kL2) {
        problem = fmt::format("gateway {}, but encap l2 only reaches a real on the same segment",
                              hop->hop.via->ToString());
      }
      return Add("next hop", problem);
    }
    const dataplane::Departure& departure = *explanation_.departure;
    std::string via = departure.destination.ToString();
    if (known && hop->hop.via) via = hop->hop.via->ToString() + " " + via;
    Add("next hop", fmt::format("{} on {}", via, InterfaceName(departure.ifindex)));
  }

  // How long the packet is once encapsulated, and what fits.
  void Mtu() {
    if (!explanation_.departure || !explanation_.departure->resolved) return;
    const dataplane::Departure& departure = *explanation_.departure;
    const uint32_t length =
        decision_.ip_length + model::EncapOverhead(departure.encap, decision_.real->is_v4());
    Add("mtu", fmt::format("{} bytes{}, {} fit{}", length,
                           departure.encap == model::Encap::kL2 ? "" : " once encapsulated",
                           departure.mtu, length > departure.mtu ? ": too long" : ""));
  }

  void Encap() {
    const model::Encap encap =
        explanation_.departure ? explanation_.departure->encap : model::Encap::kIpIp;
    if (encap == model::Encap::kL2) {
      return Add("encap", "l2: a new Ethernet header, and one hop less to live");
    }
    const Frame& out = explanation_.out;
    const size_t at = kEthernetHeader + kVlanTag * VlansOf(out).size();
    if (out.size() < at + 40) return;
    const auto bytes = std::span<const uint8_t>(out).subspan(at);
    const bool v4 = bytes[0] >> 4 == 4;
    const size_t size = v4 ? 4 : 16;
    const auto source = IpAddress::FromBytes(bytes.subspan(v4 ? 12 : 8, size));
    const auto destination = IpAddress::FromBytes(bytes.subspan(v4 ? 16 : 24, size));
    if (!source.ok() || !destination.ok()) return;
    Add("encap",
        fmt::format("{} {} -> {}, {} bytes more", model::ToString(encap), source->ToString(),
                    destination->ToString(), model::EncapOverhead(encap, v4)));
  }

  void Verdict() {
    if (decision_.verdict == "forward") Encap();
    Add("verdict",
        fmt::format("{} ({}): {}", decision_.verdict, decision_.action, decision_.description));
  }

  using Frame = dataplane::Frame;
  const Explanation& explanation_;
  const Decision& decision_;
  const model::Config& config_;
  const control::DataplaneReport& report_;
  const control::HealthReport& health_;
  v1::ExplainFlowResponse& response_;
};

}  // namespace

StatusOr<dataplane::Frame> FrameFromProto(const v1::ExplainFlowRequest& request) {
  if (!request.frame().empty()) {
    const std::string& frame = request.frame();
    if (frame.size() < kMinFrame || frame.size() > kMaxFrame) {
      return InvalidArgument(
          fmt::format("frame: must be {}..{} bytes, got {}", kMinFrame, kMaxFrame, frame.size()));
    }
    return dataplane::Frame(frame.begin(), frame.end());
  }
  dataplane::FlowPacket packet;
  const bool ports = request.protocol() != "icmp";
  LB_ASSIGN_OR_RETURN(const Endpoint source, ParseEndpoint(request.source(), "source", ports));
  LB_ASSIGN_OR_RETURN(const Endpoint destination,
                      ParseEndpoint(request.destination(), "destination", ports));
  LB_ASSIGN_OR_RETURN(packet.protocol, ParseProtocol(request.protocol(), source.address.is_v4()));
  packet.source = source.address;
  packet.source_port = source.port;
  packet.destination = destination.address;
  packet.destination_port = destination.port;
  packet.ip_length = request.ip_length();
  if (!request.tcp_flags().empty()) packet.tcp_flags = 0;
  for (const std::string& flag : request.tcp_flags()) {
    const auto it = std::ranges::find(kTcpFlags, flag);
    if (it == std::end(kTcpFlags)) {
      return InvalidArgument(
          fmt::format("tcp_flags: want fin, syn, rst, psh, ack or urg, got \"{}\"", flag));
    }
    packet.tcp_flags |= static_cast<uint8_t>(1 << (it - std::begin(kTcpFlags)));
  }
  return MakeFrame(packet);
}

StatusOr<dataplane::CaptureFilter> FilterFromProto(const v1::CaptureRequest& request) {
  dataplane::CaptureFilter filter;
  const auto within = [](const char* field, uint32_t value, uint32_t min, uint32_t max) {
    return value >= min && value <= max
               ? OkStatus()
               : InvalidArgument(fmt::format("{}: must be {}..{}, got {}", field, min, max, value));
  };
  if (request.has_vip()) {
    LB_ASSIGN_OR_RETURN(filter.vip, VipKeyFromProto(request.vip(), "vip"));
  }
  if (!request.real().empty()) {
    LB_ASSIGN_OR_RETURN(filter.real, AddressFromProto(request.real(), "real"));
  }
  for (const std::string& name : request.verdicts()) {
    LB_ASSIGN_OR_RETURN(const uint32_t verdict, FindVerdict(name));
    filter.verdicts.push_back(verdict);
  }
  if (!request.prefix().empty()) {
    const auto prefix = IpPrefix::Parse(request.prefix());
    if (!prefix.ok()) return Annotate(prefix.status(), "prefix");
    filter.prefix = *prefix;
  }
  if (request.port() != 0) {
    LB_RETURN_IF_ERROR(within("port", request.port(), 1, 65535));
    filter.port = request.port();
  }
  if (!request.source().empty() || !request.destination().empty()) {
    if (request.has_vip()) return InvalidArgument("vip: not together with source and destination");
    LB_ASSIGN_OR_RETURN(const Endpoint source, ParseEndpoint(request.source(), "source", true));
    LB_ASSIGN_OR_RETURN(const Endpoint destination,
                        ParseEndpoint(request.destination(), "destination", true));
    LB_ASSIGN_OR_RETURN(const uint8_t protocol,
                        ParseProtocol(request.protocol(), source.address.is_v4()));
    if (protocol != kTcp && protocol != kUdp) {
      return InvalidArgument(
          fmt::format("protocol: want tcp or udp, got \"{}\"", request.protocol()));
    }
    filter.flow = {source.address, destination.address, source.port, destination.port, protocol};
  }
  if (request.every() != 0) filter.every = request.every();
  if (request.rate() != 0) filter.rate = request.rate();
  if (request.snap() != 0) filter.snap = request.snap();
  LB_RETURN_IF_ERROR(within("rate", filter.rate, 1, kMaxRate));
  LB_RETURN_IF_ERROR(within("snap", filter.snap, kMinSnap, kMaxSnap));
  if (request.seconds() != 0) LB_RETURN_IF_ERROR(within("seconds", request.seconds(), 1, 3600));
  return filter;
}

v1::Decision ToProto(const Decision& decision, const model::Config& config) {
  v1::Decision proto;
  proto.set_verdict(std::string(decision.verdict));
  proto.set_action(std::string(decision.action));
  proto.set_description(std::string(decision.description));
  const bool ports = HasPorts(decision);
  proto.set_source(EndpointText(decision.source, decision.source_port, ports));
  proto.set_destination(EndpointText(decision.destination, decision.destination_port, ports));
  if (!proto.destination().empty()) proto.set_protocol(ProtocolName(decision.protocol));
  proto.set_tcp_flags(FlagsText(decision.tcp_flags));
  proto.set_ip_length(decision.ip_length);
  if (decision.vip) *proto.mutable_vip() = ToProto(*decision.vip);
  if (const model::SourceRoute* route = RouteOf(decision, config)) {
    proto.set_source_route(route->name);
  }
  if (decision.slot) {
    proto.set_hash(fmt::format("{:016x}", decision.slot->hash));
    proto.set_slot(decision.slot->number);
    proto.set_ring_slots(decision.slot->slots);
    proto.set_slot_state(std::string(ToString(decision.slot->state)));
    if (decision.slot->owner) proto.set_slot_owner(decision.slot->owner->ToString());
    if (decision.slot->next) proto.set_slot_next(decision.slot->next->ToString());
    proto.set_recorded(std::string(decision.slot->recorded));
  }
  if (decision.real) proto.set_real(decision.real->ToString());
  proto.set_server_id(std::string(decision.server_id));
  proto.set_cpu(decision.cpu);
  proto.set_interface(InterfaceName(decision.ifindex));
  return proto;
}

v1::ExplainFlowResponse ToProto(const Explanation& explanation, const model::Config& config,
                                const control::DataplaneReport& report,
                                const control::HealthReport& health) {
  v1::ExplainFlowResponse response;
  *response.mutable_decision() = ToProto(explanation.decision, config);
  Steps(explanation, config, report, health, response).Tell();
  const auto all = dataplane::AllVerdicts();
  const auto it =
      std::ranges::find(all, explanation.decision.verdict, &dataplane::VerdictCounter::verdict);
  const dataplane::Advice advice = dataplane::AdviceOn(static_cast<uint32_t>(it - all.begin()));
  response.set_cause(std::string(advice.cause));
  response.set_next_step(std::string(advice.next_step));
  if (explanation.decision.action == "tx") {
    response.set_frame_out(explanation.out.data(), explanation.out.size());
  }
  return response;
}

v1::ListVerdictsResponse VerdictsToProto() {
  v1::ListVerdictsResponse response;
  uint32_t number = 0;
  for (const dataplane::VerdictCounter& verdict : dataplane::AllVerdicts()) {
    const dataplane::Advice advice = dataplane::AdviceOn(number++);
    v1::VerdictHelp& row = *response.add_verdicts();
    row.set_verdict(std::string(verdict.verdict));
    row.set_action(std::string(verdict.action));
    row.set_description(std::string(verdict.description));
    row.set_cause(std::string(advice.cause));
    row.set_next_step(std::string(advice.next_step));
  }
  return response;
}

v1::Finding ToProto(const dataplane::Finding& finding) {
  v1::Finding proto;
  proto.set_check(finding.check);
  switch (finding.level) {
    case dataplane::Level::kOk:
      proto.set_level(v1::Finding::LEVEL_OK);
      break;
    case dataplane::Level::kWarn:
      proto.set_level(v1::Finding::LEVEL_WARN);
      break;
    case dataplane::Level::kFail:
      proto.set_level(v1::Finding::LEVEL_FAIL);
      break;
  }
  proto.set_message(finding.message);
  proto.set_fix(finding.fix);
  return proto;
}

}  // namespace lb::api
