// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/dataplane/decision.h"
#include "lbd/dataplane/next_hop.h"
#include "lbd/dataplane/probe_path.h"
#include "lbd/model/config.h"
#include "lbd/model/ring_builder.h"

namespace lb::dataplane {

// A VIP with the ring that it is to be forwarded by.
struct Service {
  model::Vip vip;
  std::shared_ptr<const model::Ring> ring;  // values: index + 1 into vip.reals

  bool operator==(const Service&) const = default;
  // How many slots of the ring lead to each of vip.reals.
  std::vector<uint32_t> SlotsPerReal() const {
    std::vector<uint32_t> slots(vip.reals.size() + 1);
    for (const uint16_t real : *ring) ++slots[real];
    slots.erase(slots.begin());
    return slots;
  }
};

// What the kernel is to forward by.
struct Desired {
  model::Settings settings;
  std::vector<Service> services;
  bool probing = false;  // hand answers to health probes to the sockets of probe_path()
};

struct Attachment {
  std::string interface;
  model::XdpMode mode;  // the mode in force: native or generic
  uint32_t program_id = 0;
  bool link_up = false;
  model::AttachMode attach = model::AttachMode::kDirect;
};

struct Counter {
  uint64_t packets = 0;
  uint64_t bytes = 0;
  uint64_t connections = 0;  // packets that open a TCP connection
  uint64_t dropped = 0;      // packets that were for it, besides

  Counter& operator+=(const Counter& other) {
    packets += other.packets;
    bytes += other.bytes;
    connections += other.connections;
    dropped += other.dropped;
    return *this;
  }
  bool operator==(const Counter&) const = default;
};

struct RealCounter {
  IpAddress address;
  Counter counter;
  uint64_t flows = 0;          // tracked flows, as the last sweep found them
  uint32_t leaving_slots = 0;  // that lead unknown flows here, but new connections elsewhere
};

// What flow tracking does for one VIP, as the last sweep found it.
struct TrackingStats {
  uint32_t slots = 0;           // of the ring
  uint32_t changing_slots = 0;  // new connections go to another real than unknown flows
  uint32_t settling_slots = 0;  // changed, with flows of the owner before
  uint64_t flows = 0;
  uint64_t flow_capacity = 0;  // 0: has no part of the flow table now
  uint64_t flow_peak = 0;
};

// What a VIP refused by its source policy.
struct SourceCounts {
  uint64_t denied = 0;
  uint64_t limited = 0;         // beyond the rate of the VIP
  uint64_t source_limited = 0;  // beyond the rate of the source

  SourceCounts& operator+=(const SourceCounts& other) {
    denied += other.denied;
    limited += other.limited;
    source_limited += other.source_limited;
    return *this;
  }
  bool operator==(const SourceCounts&) const = default;
};

struct VipCounters {
  model::VipKey key;
  Counter total;                   // of these and of reals that are gone
  std::vector<RealCounter> reals;  // in the order of the configuration
  TrackingStats tracking;
  SourceCounts sources;
};

// One flow that the flow table remembers; it knows flows by their hash only.
struct TrackedFlow {
  uint32_t slot = 0;
  uint64_t fingerprint = 0;
  IpAddress real;
  uint32_t idle_seconds = 0;  // at least, within 17 s
  bool ended = false;         // a FIN or RST was seen
};

struct VerdictCounter {
  std::string_view verdict;      // "no_real"
  std::string_view action;       // "tx", "pass", "drop" or "redirect"
  std::string_view description;  // one sentence
  uint64_t packets = 0;
};

// Packets worth counting besides their verdict.
struct NoteCounter {
  std::string_view note;         // "id_routed"
  std::string_view description;  // one sentence
  uint64_t packets = 0;
};

// What became of flows that were to be recorded, since the program was loaded.
struct FlowTableStats {
  uint64_t inserted = 0;
  uint64_t evicted = 0;  // of those: where the oldest went for them
  uint64_t refused = 0;  // packets whose flow found no room
};

// What the kernel keeps about the program while it keeps statistics; else 0.
struct ProgramStats {
  uint64_t runs = 0;
  uint64_t run_nanos = 0;

  ProgramStats& operator+=(const ProgramStats& other) {
    runs += other.runs;
    run_nanos += other.run_nanos;
    return *this;
  }
};

struct Stats {
  std::vector<VipCounters> vips;
  std::vector<VerdictCounter> verdicts;  // every verdict, in the order of the enum
  std::vector<NoteCounter> notes;        // likewise
  std::vector<uint64_t> cpu_packets;     // by CPU
  FlowTableStats flow_table;
  ProgramStats program;
};

class CaptureReader;
struct CaptureFilter;

// The forwarding plane. Owned by the control thread, not thread-safe.
class Dataplane {
 public:
  virtual ~Dataplane() = default;

  // Makes the kernel forward by `desired`, all or nothing; returns when every CPU does.
  virtual Status Apply(const Desired& desired) = 0;
  // The same services as applied, with other rings or states of reals: quick, because it asks the
  // network nothing.
  virtual Status UpdateRings(const std::vector<Service>& services) = 0;
  // The reals that get new connections at the moment, by whatever program is in force: also that of
  // an lbd before this one.
  virtual std::set<std::pair<model::VipKey, IpAddress>> Serving() const = 0;
  // How answers to health probes get here; null: they cannot. Lives as long as this.
  virtual ProbePath* probe_path() = 0;

  // Readable when next hops may have changed; then call OnEvents(). -1: no such thing.
  virtual int event_fd() const = 0;
  virtual void OnEvents() = 0;

  virtual std::vector<Attachment> Attachments() const = 0;
  // One per distinct real of the applied state, sorted by address.
  virtual std::vector<NextHopResult> NextHops() const = 0;
  virtual Stats ReadStats() const = 0;
  // At most `limit` tracked flows of a VIP.
  virtual std::vector<TrackedFlow> ListFlows(const model::VipKey& vip, size_t limit) const = 0;
  // Forgets the tracked flows of a VIP, or of one of its reals: a slot that is changing hands is
  // final for them. Returns how many there were.
  virtual uint64_t PurgeFlows(const model::VipKey& vip, const std::optional<IpAddress>& real) = 0;
  // What would become of `frame` now, or with `pending` in force; changes nothing. `interface`:
  // where it comes in.
  virtual StatusOr<Explanation> Explain(const Frame& frame, const std::string& interface,
                                        const Desired* pending) = 0;
  // Samples packets until StopCapture(). One capture at a time.
  virtual StatusOr<std::unique_ptr<CaptureReader>> StartCapture(const CaptureFilter& filter) = 0;
  virtual void StopCapture() = 0;
  // Bytes of kernel memory by BPF map.
  virtual std::map<std::string, uint64_t> MapBytes() const = 0;
  // Where links and maps are pinned.
  virtual std::string PinPath() const = 0;
  // What an operator should know, one sentence each.
  virtual std::vector<std::string> Warnings() const = 0;
};

}  // namespace lb::dataplane
