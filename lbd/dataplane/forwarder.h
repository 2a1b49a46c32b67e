// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
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
#include "lbd/dataplane/mapped_array.h"
#include "lbd/dataplane/program.h"
#include "lbd/dataplane/region_allocator.h"
#include "lbd/dataplane/vip_table.h"

namespace lb::dataplane {

// One loaded program with its maps, and what is in them. Everything that is fixed at load time
// follows from the settings. Thread-compatible; the program may run meanwhile.
class Forwarder {
 public:
  // Loads a program that knows no VIP. `attempt` chooses another layout of the VIP table.
  static StatusOr<std::unique_ptr<Forwarder>> Create(const model::Settings& settings,
                                                     uint32_t attempt = 0);

  const Program& program() const { return program_; }
  const model::Settings& settings() const { return settings_; }
  std::vector<const MappedArray*> maps() const;

  // Makes `services` all that is forwarded, and returns when every CPU does. RESOURCE_EXHAUSTED
  // where the regions are too fragmented: nothing has changed then, and a fresh Forwarder will do.
  Status Update(const std::vector<Service>& services);

  // Where packets to each real go next; reals that are not named have no next hop.
  void SetNextHops(const std::map<IpAddress, NextHop>& hops);

  // Counters of the VIPs in force, and one number per verdict.
  std::vector<VipCounters> ReadVipCounters() const;
  std::array<uint64_t, LB_VERDICT_COUNT> ReadVerdicts() const;
  // Goes on counting where `before` stopped.
  void ContinueCounters(const Forwarder& before);

 private:
  struct InstalledReal {
    uint16_t number = 0;
    Counter before;    // counted elsewhere, to be added
    Counter baseline;  // what the counter showed when the number was given
  };
  struct InstalledVip {
    Service service;
    Place place;
    uint32_t real_capacity =
        0;  // entries of lb_reals from place.real_start, the unused one included
    std::map<IpAddress, InstalledReal> reals;
  };

  Forwarder(const model::Settings& settings, const MapSizes& sizes);

  std::optional<InstalledVip> Allocate(const Service& service);
  void Release(const InstalledVip& vip);
  // Whether `service` fits into the regions of `vip`.
  static bool FitsInPlace(const InstalledVip& vip, const Service& service);
  // Gives numbers to the reals of `service` that have none in `vip`, and writes their entries.
  void AddReals(InstalledVip& vip, const Service& service);
  void WriteRing(const InstalledVip& vip, const Service& service);
  // Drops the reals that `service` does not have; nothing may name their numbers any more.
  void RemoveReals(InstalledVip& vip, const Service& service);
  // Adds what `owner` counted for its VIP `from` to `to`, or to the retired where that has no such
  // real.
  void CarryCounters(const Forwarder& owner, const InstalledVip& from, InstalledVip* to);

  uint32_t IndexOf(const InstalledVip& vip, const InstalledReal& real) const;
  Counter RawCounter(uint32_t index) const;
  Counter CounterOf(const InstalledVip& vip, const InstalledReal& real) const;

  model::Settings settings_;
  MapSizes sizes_;
  MappedArray vips_map_, ring_map_, reals_map_, hops_map_, counters_map_, verdicts_map_;
  Program program_;
  std::unique_ptr<VipTable> vip_table_;
  std::unique_ptr<HopTable> hop_table_;
  RegionAllocator ring_regions_;
  RegionAllocator real_regions_;
  std::map<model::VipKey, InstalledVip> installed_;
  std::set<IpAddress> addresses_;  // of installed VIPs
  Counter retired_;                // counted by reals that are gone
  std::array<uint64_t, LB_VERDICT_COUNT> verdicts_before_{};
};

}  // namespace lb::dataplane
