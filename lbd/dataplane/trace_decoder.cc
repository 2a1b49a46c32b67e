// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/trace_decoder.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "lbd/dataplane/encode.h"
#include "lbd/dataplane/frame.h"
#include "lbd/dataplane/verdict.h"

namespace lb::dataplane {
namespace {

StatusOr<MappedArray> OpenTable(std::span<const MappedArray* const> tables, const char* name) {
  for (const MappedArray* table : tables) {
    if (table->name() == name) return table->OpenAgain();
  }
  return Internal(fmt::format("there is no table {}", name));
}

SlotState StateOf(const lb_trace& trace, const lb_vip& vip, uint16_t next) {
  if ((trace.word & LB_RING_TRACK) == 0) return SlotState::kStable;
  if ((trace.word & LB_RING_REAL_MASK) != next) return SlotState::kChanging;
  return (vip.flows & LB_FLOWS_ALWAYS) != 0 ? SlotState::kAlways : SlotState::kSettling;
}

std::string_view NoteName(uint8_t note) {
  switch (note) {
#define LB_NOTE_CASE(NAME, name, text) \
  case LB_NOTE_##NAME:                 \
    return #name;
    LB_NOTES(LB_NOTE_CASE)
#undef LB_NOTE_CASE
    default:
      return "";
  }
}

std::string_view RecordName(uint8_t record) {
  switch (record) {
    case LB_FLOW_INSERTED:
      return "inserted";
    case LB_FLOW_EVICTED:
      return "evicted";
    case LB_FLOW_REFUSED:
      return "refused";
    default:
      return "";
  }
}

}  // namespace

std::string_view ToString(SlotState state) {
  switch (state) {
    case SlotState::kStable:
      return "stable";
    case SlotState::kChanging:
      return "changing";
    case SlotState::kSettling:
      return "settling";
    case SlotState::kAlways:
      return "always";
  }
  return "";
}

StatusOr<TraceDecoder> TraceDecoder::Create(std::span<const MappedArray* const> tables) {
  TraceDecoder decoder;
  const std::pair<MappedArray*, const char*> wanted[] = {
      {&decoder.vips_, "lb_vips"},           {&decoder.wide_vips_, "lb_wide_vips"},
      {&decoder.ring_next_, "lb_ring_next"}, {&decoder.reals_, "lb_reals"},
      {&decoder.hops_, "lb_next_hops"},      {&decoder.flows_, "lb_flows"}};
  for (const auto& [table, name] : wanted) {
    LB_ASSIGN_OR_RETURN(*table, OpenTable(tables, name));
  }
  return decoder;
}

std::optional<IpAddress> TraceDecoder::RealAt(uint64_t index) const {
  const auto reals = reals_.as<lb_real>();
  if (index >= reals.size()) return std::nullopt;
  return DecodeAddress(reals[index].address);
}

const lb_vip* TraceDecoder::VipAt(const lb_trace& trace) const {
  if (trace.vip == 0) return nullptr;
  const uint32_t index = trace.vip - 1;
  const auto entries = ((index & LB_TRACE_WIDE) != 0 ? wide_vips_ : vips_).as<lb_vip>();
  const uint32_t number = index & ~LB_TRACE_WIDE;
  return number < entries.size() ? &entries[number] : nullptr;
}

void TraceDecoder::DecodeSlot(const lb_trace& trace, const lb_vip& vip, Decision& decision) const {
  const Place place = DecodePlace(vip.place);
  const uint32_t slots = 1u << place.ring_bits;
  const uint32_t number = trace.slot - 1 - place.ring_start;
  const auto next_words = ring_next_.as<uint16_t>();
  // The ring may have moved since.
  if (number >= slots || trace.slot - 1 >= next_words.size()) return;
  const uint16_t word = trace.word & LB_RING_REAL_MASK;
  const bool tracked = (trace.word & LB_RING_TRACK) != 0;
  const uint16_t next = tracked ? next_words[trace.slot - 1] & LB_RING_REAL_MASK : word;
  SlotView view{.hash = trace.hash, .number = number, .slots = slots};
  view.state = StateOf(trace, vip, next);
  if (word != 0) view.owner = RealAt(uint64_t{place.real_start} + word);
  if (next != 0) view.next = RealAt(uint64_t{place.real_start} + next);
  view.recorded = RecordName(trace.record);
  decision.slot = view;
}

std::optional<Decision> TraceDecoder::Decode(std::span<const uint8_t> bytes) const {
  lb_sample sample{};
  if (bytes.size() < sizeof(sample)) return std::nullopt;
  std::memcpy(&sample, bytes.data(), sizeof(sample));
  const auto frame = bytes.subspan(sizeof(sample));
  if (sample.captured > frame.size()) return std::nullopt;
  const VerdictCounter& verdict = VerdictOf(sample.verdict);
  uint16_t ports[2];
  std::memcpy(ports, &sample.ports, sizeof(ports));
  Decision decision{.verdict = verdict.verdict,
                    .action = verdict.action,
                    .description = verdict.description,
                    .source = DecodeAddress(sample.source),
                    .destination = DecodeAddress(sample.destination),
                    .source_port = ntohs(ports[0]),
                    .destination_port = ntohs(ports[1]),
                    .protocol = sample.protocol,
                    .tcp_flags = sample.tcp_flags,
                    .ip_length = sample.ip_length,
                    .cpu = sample.cpu,
                    .ifindex = sample.ifindex,
                    .nanos = sample.time,
                    .outgoing = sample.outgoing != 0,
                    .frame_length = sample.frame_length,
                    .frame = Frame(frame.begin(), frame.begin() + sample.captured)};
  const lb_trace& trace = sample.trace;
  decision.server_id = NoteName(trace.note);
  if (const lb_vip* vip = VipAt(trace)) {
    decision.vip = DecodeKey(*vip);
    if (decision.vip && trace.slot != 0) DecodeSlot(trace, *vip, decision);
    if (decision.vip) decision.route = std::exchange(decision.vip->route, uint16_t{0});
  }
  if (trace.real != 0) decision.real = RealAt(trace.real);
  const auto departure = DepartureTo(trace.real);
  if (sample.verdict == LB_FORWARD && departure && departure->encap == model::Encap::kL2) {
    PutHopBack(decision.frame);
  }
  return decision;
}

std::optional<Departure> TraceDecoder::DepartureTo(uint32_t real_index) const {
  const auto reals = reals_.as<lb_real>();
  const auto hops = hops_.as<lb_next_hop>();
  if (real_index == 0 || real_index >= reals.size()) return std::nullopt;
  const lb_real& real = reals[real_index];
  const lb_next_hop& hop = hops[real.next_hop % hops.size()];
  const auto mac = [](const __u8(&bytes)[6]) {
    MacAddress::Bytes copy;
    std::ranges::copy(bytes, copy.begin());
    return MacAddress(copy);
  };
  return Departure{.source = mac(hop.source),
                   .destination = mac(hop.destination),
                   .ifindex = hop.ifindex,
                   .mtu = hop.mtu,
                   .resolved = hop.ifindex != 0,
                   .encap = DecodeEncap(real)};
}

std::optional<Explanation::Known> TraceDecoder::KnownFlow(const lb_trace& trace,
                                                          uint32_t tick) const {
  const lb_vip* vip = VipAt(trace);
  if (vip == nullptr || (trace.word & LB_RING_TRACK) == 0) return {};
  const FlowPlace place = DecodeFlowPlace(vip->flows);
  if (!place.exists()) return {};
  const auto buckets = flows_.as<lb_flow_bucket>();
  const uint64_t at = place.start + (trace.hash & (place.size() - 1));
  if (at >= buckets.size()) return {};
  const int way = lb_flow_find(&buckets[at], lb_flow_fingerprint(trace.hash));
  if (way < 0) return {};
  const uint64_t entry = buckets[at].entries[way];
  const auto real =
      RealAt(uint64_t{DecodePlace(vip->place).real_start} + lb_flow_entry_real(entry));
  if (!real) return {};
  return Explanation::Known{
      .real = *real,
      .idle_seconds = static_cast<uint32_t>(
          (uint64_t{lb_flow_entry_age(entry, tick)} << LB_FLOW_TICK_SHIFT) / 1'000'000'000),
      .ended = (entry & LB_FLOW_ENDED) != 0};
}

}  // namespace lb::dataplane
