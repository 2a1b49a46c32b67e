// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lbd/model/flow_table.h"
#include "lbd/model/ring_builder.h"
#include "lbd/model/slots.h"

namespace lb::sim {

// The reals as one load balancer sees them. The position of a real never changes; its number, as
// the decisions have it, is its position + 1.
using Reals = std::vector<model::RingMember>;

struct Figures {
  uint64_t packets = 0;
  uint64_t lookups = 0;  // packets for which a table of flows was asked
  uint64_t refused = 0;  // flows that found no room
  uint64_t table_peak = 0;
};

// One load balancer in virtual time.
class Balancer {
 public:
  virtual ~Balancer() = default;

  virtual void SetReals(const Reals& reals, double now) = 0;
  // The number of the real that gets the packet; 0 = none.
  virtual uint16_t Decide(uint64_t flow_hash, lb_flow_event event, double now) = 0;
  // Called every five seconds.
  virtual void Sweep(double /*now*/) {}
  // Forgets all flows: another machine with the same configuration.
  virtual void ForgetFlows() = 0;

  const Figures& figures() const { return figures_; }
  void StartCounting() { figures_ = {}; }

 protected:
  Figures figures_;
};

// lbd: its rings, its slots and its flow table.
std::unique_ptr<Balancer> MakeLbd(int ring_bits, const model::SlotPolicy& policy,
                                  uint64_t table_entries);
// As Katran does it: Maglev over the reals that are up, and a table of all flows from which the
// least recently used goes when it is full. The table is exact, where BPF's is approximate.
std::unique_ptr<Balancer> MakeMaglevLru(int ring_bits, uint64_t table_entries);

}  // namespace lb::sim
