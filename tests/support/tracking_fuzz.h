// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "lb/flow_table.h"
#include "lbd/model/ring_builder.h"
#include "lbd/model/vip.h"

// Random traffic and random changes against anything that tracks flows, be it the model on vectors
// or a loaded program, and a record of where every connection lives.
namespace lb::testing {

// What tracks the flows of one VIP. Flows are numbers.
class TrackedVip {
 public:
  // Where a flow stands.
  struct Standing {
    std::optional<IpAddress> old;    // the owner of its slot; empty: nobody
    std::optional<IpAddress> entry;  // what the flow table says
    bool tracked = false;            // the slot
    bool refused = false;            // a flow of the slot, since the last sweep
  };

  virtual ~TrackedVip() = default;

  // The real that a packet goes to.
  virtual std::optional<IpAddress> Send(uint32_t flow, lb_flow_event event) = 0;
  virtual void Configure(const model::Vip& vip, std::shared_ptr<const model::Ring> ring) = 0;
  // Another process takes over; calls `meanwhile` while the first still forwards.
  virtual void Restart(const std::function<void()>& meanwhile) = 0;
  // Lets time pass, for windows as for ages.
  virtual void Pass(uint32_t seconds) = 0;
  virtual void Sweep() = 0;
  virtual Standing StandingOf(uint32_t flow) = 0;
  virtual void ForgetRefusals() = 0;
  virtual uint64_t refusals() const = 0;
  // Entries of slots that are not tracked.
  virtual size_t StrayEntries() = 0;
  // The owner of every slot; empty where a slot is tracked.
  virtual std::vector<std::optional<IpAddress>> StableOwners() = 0;
};

struct FuzzOptions {
  uint32_t seed = 1;
  int steps = 500;          // of 1 to 10 seconds
  uint32_t flows = 400;     // at the same time
  uint32_t tuples = 4000;   // flows have one of so many addresses and ports
  int reals = 8;            // at most 16
  int ring_bits = 8;        // or up to `more_bits` more, by chance
  int more_bits = 0;        //
  uint32_t max_gap = 59;    // seconds between packets of a flow: less than the window
  int change_percent = 25;  // of steps
  int restart_percent = 3;  // of steps
  int storm_percent = 10;   // of steps: as many new connections again
  bool udp = false;         // nothing opens a connection
  bool defer_flips = true;  // false: a rule less, as a control
  bool record = true;       // false: likewise; unknown flows are not recorded
};

struct FuzzResult {
  uint64_t flows = 0;
  uint64_t packets = 0;
  uint64_t changes = 0;
  uint64_t restarts = 0;
  uint64_t refusals = 0;
  uint64_t excused = 0;     // on a down real whose slot did not wait
  uint64_t broken = 0;      // sent to another real
  uint64_t violations = 0;  // of the invariants
  bool pure = false;        // in the end the ring is the one of the configuration alone
  std::string first;        // of what went wrong

  std::string ToString() const;
};

// A flow that lives keeps its real: from its first packet until 30 seconds after its FIN or RST, as
// long as the real is configured, is not down with UDP, and no flow of its slot was refused while
// the real was down. It never pauses for longer than `max_gap`.
FuzzResult Fuzz(TrackedVip& vip, const FuzzOptions& options);

}  // namespace lb::testing
