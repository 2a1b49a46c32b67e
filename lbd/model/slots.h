// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace lb::model {

// How the slots of one VIP change hands.
struct SlotPolicy {
  uint32_t window =
      900;              // seconds from a change until flows that nobody knows go to the next owner
  bool track = true;    // false: a slot changes hands at once, and its connections break
  bool always = false;  // every flow is recorded, on every slot

  bool operator==(const SlotPolicy&) const = default;
};

// The slots of one VIP's ring, each with two owners: `old` for flows that nobody knows and `next`
// for new connections (see lb/flow_table.h, whose words this writes). A slot is stable (both are
// one), changing, or settling (they are one again, but the flow table may name others).
//
// Works on words in shared memory, from which all but the clocks can be read back: a program that
// runs meanwhile sees each slot change by single stores, each in an order that breaks no flow.
// Thread-compatible.
class Slots {
 public:
  // Of one VIP; equal lengths, a power of two.
  struct Words {
    std::span<uint16_t> ring;    // old, and whether the flow table is asked
    std::span<uint16_t> next;    // read where the flow table is asked
    std::span<uint8_t> refused;  // set where a flow could not be recorded
  };
  struct Counts {
    uint32_t changing = 0;
    uint32_t settling = 0;

    bool stable() const { return changing == 0 && settling == 0; }
    bool operator==(const Counts&) const = default;
  };

  // Takes the words as they are. Windows that are open start anew at `now` (seconds of any clock).
  Slots(Words words, uint32_t now);

  size_t size() const { return words_.ring.size(); }
  // log2 of the slots.
  int bits() const;
  uint16_t old_owner(size_t slot) const;
  uint16_t next_owner(size_t slot) const;
  // Whether the flow table is asked about the slot.
  bool tracked(size_t slot) const;
  // Whether all are.
  bool stable() const { return clocks_.empty(); }
  Counts counts() const;

  // Gives every slot to its owner in `target`, which has size() entries or a power of two fewer,
  // each then standing for as many slots in a row. Slots without an owner, and all where the policy
  // does not track, change at once; the others by a window.
  void SetTarget(std::span<const uint16_t> target, const SlotPolicy& policy, uint32_t now);

  // Whether SetTarget() would let a slot change hands by a window.
  bool NeedsWindow(std::span<const uint16_t> target, const SlotPolicy& policy) const;

  // Ends the windows of the slots whose old owner is one of these: its flows are gone.
  void Abandon(const std::function<bool(uint16_t)>& owner);

  // What a sweep of the flow table found.
  struct Sweep {
    std::span<const uint32_t> entries;      // per slot: those that name another than its old owner
    std::function<bool(uint16_t)> is_down;  // whether an owner fails to serve
  };
  // Moves slots on: from changing to settling when the whole window is over (by a clock of whole
  // seconds: one more than its length, for the first was under way) and none of its flows was
  // refused meanwhile (a down owner does not wait for that), from settling to stable after two
  // sweeps without an entry (the second catches what was on its way during the first).
  void Advance(const Sweep& sweep, const SlotPolicy& policy, uint32_t now);

  // The same state in other words: as many slots, or a power of two more or fewer, the latter only
  // where CanShrinkTo() says so. Nothing may read the words yet.
  Slots CopyTo(Words words) const;
  // Whether all slots are stable and each group that would become one slot has one owner.
  bool CanShrinkTo(size_t slots) const;

 private:
  struct Clock {
    uint32_t since = 0;  // of the last change or refusal
    uint8_t empty_sweeps = 0;
  };

  void SetOld(size_t slot, uint16_t owner, bool track);
  void SetNext(size_t slot, uint16_t owner);
  Clock& clock(size_t slot);

  Words words_;
  std::vector<Clock> clocks_;  // empty while every slot is stable
};

}  // namespace lb::model
