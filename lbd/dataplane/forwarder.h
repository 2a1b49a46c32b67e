// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "lb/abi.h"
#include "lbd/base/status.h"
#include "lbd/dataplane/dataplane.h"
#include "lbd/dataplane/encode.h"
#include "lbd/dataplane/hop_table.h"
#include "lbd/dataplane/image.h"
#include "lbd/dataplane/mapped_array.h"
#include "lbd/dataplane/policy_table.h"
#include "lbd/dataplane/prefix_map.h"
#include "lbd/dataplane/probe_path.h"
#include "lbd/dataplane/program.h"
#include "lbd/dataplane/region_allocator.h"
#include "lbd/dataplane/server_ids.h"
#include "lbd/dataplane/vip_index.h"
#include "lbd/model/flow_table.h"
#include "lbd/model/slots.h"

namespace lb::dataplane {

inline constexpr size_t kNotes = LB_NOTE_END - LB_NOTE_FIRST;

// One loaded program with its maps, and what is in them. Everything that is fixed at load time
// follows from the settings. Thread-compatible; the program may run meanwhile.
class Forwarder {
 public:
  // Seconds of any clock that only goes forward.
  using Clock = std::function<uint32_t()>;
  static uint32_t MonotonicSeconds();

  // Loads a program that knows no VIP, and of the features (LB_FEATURE_*) only these. `attempt`
  // chooses another layout of the VIP table. LB_FEATURE_PROBES needs `probes`, which outlives this.
  static StatusOr<std::unique_ptr<Forwarder>> Create(const model::Settings& settings,
                                                     uint32_t features = 0, uint32_t attempt = 0,
                                                     Clock clock = MonotonicSeconds,
                                                     const ProbePath* probes = nullptr);

  // Under a dispatcher of libxdp programs have a priority.
  static std::optional<uint32_t> PriorityOf(const model::Settings& settings);

  const Program& program() const { return program_; }
  const model::Settings& settings() const { return settings_; }
  uint32_t features() const { return features_; }
  const lb_config& config() const { return config_; }
  const ProbePath* probe_path() const { return probe_path_; }  // may be null
  std::vector<const MappedArray*> maps() const;
  std::vector<const PrefixMap*> prefix_maps() const;

  // Takes the VIPs of another program over, with their slots and their flows as far as they fit,
  // before the first Update(). Those that are not in `services` are left out. The image is frozen.
  void Adopt(const Image& image, const std::vector<Service>& services);
  // Brings the ages of these flows up to date, now that the other program no longer runs.
  void CatchUp(const Image& image);
  // Goes on counting where `before` stopped.
  void ContinueCounters(const Forwarder& before);

  // Makes `services` all that is forwarded, and returns when every CPU does. Connections stay with
  // their reals as the tracking of their VIP says. All features that they need are there.
  // RESOURCE_EXHAUSTED where the regions are too fragmented: nothing has changed then, and a fresh
  // Forwarder will do.
  Status Update(const std::vector<Service>& services);

  // Moves slots on whose windows are over, and removes flows that have ended. To be called every
  // kSweepSeconds while needs_sweep().
  void Sweep();
  bool needs_sweep() const;
  static constexpr int kSweepSeconds = 5;

  // Ends the flows of a real that no longer gets new ones; of all reals without `real`. Returns how
  // many were known.
  uint64_t PurgeFlows(const model::VipKey& key, const std::optional<IpAddress>& real);

  // Where packets to each real go next; reals that are not named have no next hop.
  void SetNextHops(const std::map<IpAddress, NextHop>& hops);

  // Counters of the VIPs in force, and one number per verdict.
  std::vector<VipCounters> ReadVipCounters() const;
  std::array<uint64_t, LB_VERDICT_COUNT> ReadVerdicts() const;
  // The same, with as many forwarded as `vips`, just read, say.
  std::array<uint64_t, LB_VERDICT_COUNT> ReadVerdicts(std::span<const VipCounters> vips) const;
  std::array<uint64_t, kNotes> ReadNotes() const;
  FlowTableStats ReadFlowTableStats() const;
  std::vector<uint64_t> ReadCpuPackets() const;
  // The flows that are tracked now; calls `visitor` for at most `limit` of a VIP.
  std::vector<TrackedFlow> ListFlows(const model::VipKey& key, size_t limit) const;

 private:
  struct InstalledReal {
    uint16_t number = 0;
    Counter before;    // counted elsewhere, to be added
    Counter baseline;  // what the counter showed when the number was given
  };
  // A real that has gone, while its number may still be in use.
  struct LeavingReal {
    InstalledReal real;
    int sweeps = 2;  // until the number is free
  };
  struct InstalledVip {
    Service service;
    Place place;
    FlowPlace flow_place;
    uint16_t policy = 0;          // number in policies_
    SourceCounts refused_before;  // under other numbers
    uint32_t real_capacity =
        0;  // entries of lb_reals from place.real_start, the unused one included
    std::map<IpAddress, InstalledReal> reals;
    InstalledReal nobody;  // the unused entry: what the VIP drops before it has a real counts there
    std::vector<LeavingReal> leaving;
    Counter retired;  // counted by reals that are gone
    std::optional<model::Slots> slots;
    ServerIds::Part ids;
    std::set<IpAddress> nameless;  // draining, with flows that were given up: ids are not honoured
    model::FlowTable::Census census;  // of the last sweep
    uint64_t flow_peak = 0;
  };

  Forwarder(const model::Settings& settings, uint32_t features, const MapSizes& sizes, Clock clock);

  // Regions for `slots` ring slots and `numbers` real numbers, not used by anything yet.
  std::optional<InstalledVip> Allocate(size_t slots, size_t numbers);
  void Release(const InstalledVip& vip);
  // What to allocate for `service` in place of `vip`; empty where it fits as it is.
  struct Need {
    size_t slots = 0;
    size_t numbers = 0;
  };
  static std::optional<Need> NeedToMove(const InstalledVip& vip, const Service& service);
  // The highest of its numbers in use.
  static uint16_t HighestNumber(const InstalledVip& vip);
  // Gives `vip` the regions of `room`, in which everything is what it was. Returns what to release
  // once no packet uses it.
  InstalledVip Move(InstalledVip& vip, InstalledVip room);

  // Whether the image's program hashes flows as ours does.
  bool SpeaksOfTheSameFlows(const Image& image) const;

  // Everything about a VIP that is installed: reals, slots, flows. Reals that go are left to
  // RemoveReals().
  void Bring(InstalledVip& vip, const Service& service);
  void AddReals(InstalledVip& vip, const Service& service);
  // The entry of lb_reals for a real of `vip`.
  lb_real MakeReal(const model::VipKey& vip, const model::Real& real) const;
  // Writes the entries of reals whose packets get there in another way than before.
  void ChangeEncap(const InstalledVip& vip);
  std::vector<uint16_t> TargetOf(const InstalledVip& vip, const Service& service) const;
  // Drops the reals that its service does not have; their flows end.
  void RemoveReals(InstalledVip& vip);
  void EndFlows(InstalledVip& vip, const std::function<bool(uint16_t)>& number);

  // Whether the server ids of `vip` are those of `service`.
  static bool HasIds(const InstalledVip& vip, const Service& service);
  // Makes packets go where the ids that they carry say, by a part that was allocated for the VIP as
  // it is configured now. Returns what to free once no packet uses it.
  ServerIds::Part SetIds(InstalledVip& vip, const ServerIds::Part& part);

  // Room for tracked flows where `vip` has none; false where there is none to give.
  bool ProvideFlows(InstalledVip& vip);
  std::optional<FlowPlace> AllocateFlows(int bits);
  void SetFlowPlace(InstalledVip& vip, const FlowPlace& place);
  std::span<lb_flow_bucket> Buckets(const FlowPlace& place) const;
  void SweepVip(InstalledVip& vip);
  void Shrink(InstalledVip& vip);

  model::Slots::Words WordsAt(const Place& place) const;
  uint32_t IndexOf(const InstalledVip& vip, const InstalledReal& real) const;
  Counter RawCounter(uint32_t index) const;
  Counter CounterOf(const InstalledVip& vip, const InstalledReal& real) const;
  // Of reals that the VIP no longer has.
  Counter CountedOutside(const InstalledVip& vip) const;
  Counter TotalOf(const InstalledVip& vip) const;
  // By verdict; `forwarded`: of the VIPs in force.
  std::array<uint64_t, LB_VERDICT_COUNT> VerdictsBeside(uint64_t forwarded) const;
  // By the number of the real, its slots that go elsewhere; empty: all are stable.
  static std::vector<uint32_t> LeavingSlots(const InstalledVip& vip);
  // Of all CPUs.
  uint64_t RawVerdict(size_t slot) const;

  // Adds what `owner` counted for its VIP `from` to `to`: to its retired where that has no such
  // real, to ours without `to`.
  void CarryCounters(const Forwarder& owner, const InstalledVip& from, InstalledVip* to);

  VipEntry EntryOf(const InstalledVip& vip) const;
  SourceCounts RefusedBy(const InstalledVip& vip) const;
  // The policy of a VIP, whose source routes are in the index.
  StatusOr<uint16_t> AddPolicy(const model::Vip& vip);
  // Gives `vip` another policy in place of its own, which is removed.
  void SetPolicy(InstalledVip& vip, uint16_t policy);

  model::Settings settings_;
  const ProbePath* probe_path_ = nullptr;
  uint32_t features_;
  MapSizes sizes_;
  lb_config config_{};  // the program's constants
  Clock clock_;
  MappedArray vips_map_, wide_vips_map_, port_rules_map_, ring_map_, ring_next_map_, refused_map_,
      flows_map_, reals_map_, hops_map_, id_configs_map_, server_ids_map_, counters_map_,
      connections_map_, drops_map_, verdicts_map_, policies_map_, policy_counts_map_,
      source_buckets_map_, icmp_due_map_, scratch_map_;
  PrefixMap scopes_map_, sources_map_;
  Program program_;
  std::unique_ptr<VipIndex> vip_index_;
  std::unique_ptr<PolicyTable> policies_;
  std::unique_ptr<HopTable> hop_table_;
  std::unique_ptr<ServerIds> server_ids_;
  RegionAllocator ring_regions_;
  RegionAllocator real_regions_;
  RegionAllocator flow_regions_;
  std::map<model::VipKey, InstalledVip> installed_;
  Counter retired_;  // counted by VIPs that are gone
  std::array<uint64_t, LB_VERDICT_COUNT> verdicts_before_{};
  std::array<uint64_t, kNotes> notes_before_{};
  FlowTableStats flow_table_before_;
  std::vector<uint64_t> cpu_packets_before_;
};

}  // namespace lb::dataplane
