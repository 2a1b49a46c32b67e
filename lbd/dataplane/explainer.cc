// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/explainer.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <set>

#include "lbd/dataplane/capture.h"
#include "lbd/dataplane/frame.h"
#include "lbd/dataplane/program_clock.h"
#include "lbd/dataplane/trace_decoder.h"
#include "lbd/dataplane/verdict.h"

namespace lb::dataplane {
namespace {

// Written by user space only: shared with the program in force.
constexpr std::string_view kShared[] = {"lb_vips",      "lb_wide_vips",  "lb_port_rules",
                                        "lb_ring",      "lb_ring_next",  "lb_reals",
                                        "lb_next_hops", "lb_id_configs", "lb_server_ids"};
// Only counted: one entry takes everything.
constexpr std::string_view kCounters[] = {"lb_counters", "lb_connections", "lb_drops"};

// Copied again when the program is loaded, which takes so long that tokens are due again.
constexpr std::string_view kRates[] = {"lb_policies", "lb_source_buckets"};

struct Run {
  ProgramRun result;
  uint32_t verdict = LB_FORWARD;
  std::vector<uint8_t> sample;  // of the explaining build
};

StatusOr<MappedArray> CopyOf(const MappedArray& table) {
  LB_ASSIGN_OR_RETURN(MappedArray copy, MappedArray::Create(table.name(), table.size_bytes()));
  std::ranges::copy(table.as<uint8_t>(), copy.as<uint8_t>().begin());
  return copy;
}

void Refresh(std::span<const MappedArray* const> tables,
             std::span<const MappedArray* const> copies) {
  for (size_t i = 0; i < tables.size(); ++i) {
    if (std::ranges::count(kRates, tables[i]->name()) == 0) continue;
    std::ranges::copy(tables[i]->as<uint8_t>(), copies[i]->as<uint8_t>().begin());
  }
}

// The verdict that was counted since `before`, which has all else that was counted before.
uint32_t CountedVerdict(const MappedArray& before, const MappedArray& after) {
  const auto was = before.as<uint64_t>();
  const auto is = after.as<uint64_t>();
  for (size_t i = 0; i < is.size(); ++i) {
    const size_t verdict = i % LB_VERDICT_SLOTS;
    if (is[i] != was[i] && verdict < LB_VERDICT_COUNT) return verdict;
  }
  return LB_FORWARD;  // which is not counted there
}

// Lets frames out wherever a next hop is.
Status OpenPorts(const Forwarder& forwarder, const Program& program) {
  std::set<uint32_t> interfaces;
  for (const MappedArray* table : forwarder.maps()) {
    if (table->name() != "lb_next_hops") continue;
    for (const lb_next_hop& hop : table->as<lb_next_hop>()) {
      if (hop.ifindex != 0) interfaces.insert(hop.ifindex);
    }
  }
  for (const uint32_t interface : interfaces) {
    LB_RETURN_IF_ERROR(program.AddPort(static_cast<int>(interface)));
  }
  return OkStatus();
}

// What lb_fragments has of the first fragment of a packet.
struct FirstFragment {
  lb_fragment_key key{};
  std::optional<lb_fragment> value;
};

std::optional<FirstFragment> FindFirstFragment(const Forwarder& forwarder, const Frame& frame) {
  const auto key = LaterFragmentOf(frame);
  if (!key || (forwarder.config().stages & LB_STAGE_FRAGMENTS) == 0) return std::nullopt;
  FirstFragment first{.key = *key, .value = lb_fragment{}};
  if (bpf_map_lookup_elem(forwarder.program().map_fd("lb_fragments"), &first.key, &*first.value) !=
      0) {
    first.value.reset();
  }
  return first;
}

// Lets a program know what the one in force knows.
Status Remember(const Program& program, const std::optional<FirstFragment>& first) {
  if (!first || !first->value) return OkStatus();
  if (bpf_map_update_elem(program.map_fd("lb_fragments"), &first->key, &*first->value, BPF_ANY) ==
      0) {
    return OkStatus();
  }
  return ErrnoStatus(errno, "copy an entry of lb_fragments");
}

// One run of `build` over what the forwarder's program would see.
StatusOr<Run> RunOnce(const Forwarder& forwarder, Program::Build build, const Frame& frame,
                      const std::optional<FirstFragment>& first, uint32_t ifindex) {
  lb_config config = forwarder.config();
  std::vector<MappedArray> copies;
  copies.reserve(forwarder.maps().size() + 3);
  std::vector<const MappedArray*> tables;
  const MappedArray* verdicts = nullptr;
  for (const MappedArray* table : forwarder.maps()) {
    if (std::ranges::count(kShared, table->name()) > 0) {
      tables.push_back(table);
      continue;
    }
    auto copy = std::ranges::count(kCounters, table->name()) > 0
                    ? MappedArray::Create(table->name(), sizeof(lb_counter))
                    : CopyOf(*table);
    if (!copy.ok()) return copy.status();
    tables.push_back(&copies.emplace_back(*std::move(copy)));
    if (table->name() == "lb_verdicts") verdicts = tables.back();
  }
  config.counter_mask = 0;
  LB_ASSIGN_OR_RETURN(const MappedArray before, CopyOf(*verdicts));
  if (build == Program::Build::kForward) {
    LB_ASSIGN_OR_RETURN(const Program program,
                        Program::Load(config, tables, forwarder.prefix_maps(), std::nullopt, build,
                                      forwarder.probe_path()));
    LB_RETURN_IF_ERROR(OpenPorts(forwarder, program));
    LB_RETURN_IF_ERROR(Remember(program, first));
    Refresh(forwarder.maps(), tables);
    LB_ASSIGN_OR_RETURN(ProgramRun result, program.TestRun(frame, ifindex));
    return Run{std::move(result), CountedVerdict(before, *verdicts), {}};
  }
  LB_ASSIGN_OR_RETURN(const TracingProgram program,
                      TracingProgram::Load(config, tables, forwarder.prefix_maps(), CaptureFilter{},
                                           std::nullopt, forwarder.probe_path()));
  LB_RETURN_IF_ERROR(OpenPorts(forwarder, program.program()));
  LB_RETURN_IF_ERROR(Remember(program.program(), first));
  Refresh(forwarder.maps(), tables);
  LB_ASSIGN_OR_RETURN(ProgramRun result, program.program().TestRun(frame, ifindex));
  Run run{std::move(result), CountedVerdict(before, *verdicts), {}};
  LB_RETURN_IF_ERROR(program.Drain(
      [&](std::span<const uint8_t> sample) { run.sample.assign(sample.begin(), sample.end()); }));
  return run;
}

bool IsRateLimited(uint32_t verdict) {
  return verdict == LB_VIP_RATE_LIMITED || verdict == LB_SOURCE_RATE_LIMITED;
}

std::optional<Explanation::Fragment> Describe(const std::optional<FirstFragment>& first) {
  if (!first) return std::nullopt;
  // 16 bits of IPv4, 32 of IPv6.
  Explanation::Fragment fragment{
      .id = first->key.protocol != 0 ? ntohs(first->key.id) : ntohl(first->key.id),
      .kept_seconds = LB_FRAGMENT_SECONDS};
  if (!first->value) return fragment;
  uint16_t ports[2];
  std::memcpy(ports, &first->value->ports, sizeof(ports));
  fragment.known = true;
  fragment.protocol = static_cast<uint8_t>(first->value->protocol);
  fragment.source_port = ntohs(ports[0]);
  fragment.destination_port = ntohs(ports[1]);
  fragment.seconds = static_cast<uint32_t>((ProgramClock() - first->value->seen) / 1'000'000'000);
  return fragment;
}

}  // namespace

StatusOr<Explanation> Explain(const Forwarder& forwarder, const Frame& frame, uint32_t ifindex) {
  const auto first = FindFirstFragment(forwarder, frame);
  LB_ASSIGN_OR_RETURN(const Run run,
                      RunOnce(forwarder, Program::Build::kForward, frame, first, ifindex));
  LB_ASSIGN_OR_RETURN(Run traced,
                      RunOnce(forwarder, Program::Build::kTrace, frame, first, ifindex));
  LB_ASSIGN_OR_RETURN(const TraceDecoder decoder, TraceDecoder::Create(forwarder.maps()));
  auto decision = decoder.Decode(traced.sample);
  if (!decision) return Internal("the explaining program left no sample");
  const bool same = traced.verdict == run.verdict && traced.result.action == run.result.action &&
                    traced.result.out == run.result.out;
  // What a rate refused at first it may let through some milliseconds later.
  const bool timed = IsRateLimited(run.verdict) || IsRateLimited(traced.verdict);
  if ((!same && !timed) || decision->verdict != VerdictOf(traced.verdict).verdict) {
    return Internal(fmt::format("the program decides {}, and explains {}: a mistake in lbd",
                                VerdictOf(run.verdict).verdict, decision->verdict));
  }
  lb_sample sample{};
  std::memcpy(&sample, traced.sample.data(), sizeof(sample));
  return Explanation{.decision = *std::move(decision),
                     .xdp_action = traced.result.action,
                     .known = decoder.KnownFlow(sample.trace, ProgramTick()),
                     .fragment = Describe(first),
                     .departure = decoder.DepartureTo(sample.trace.real),
                     .out = std::move(traced.result.out)};
}

}  // namespace lb::dataplane
