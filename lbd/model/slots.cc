// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/slots.h"

#include <atomic>
#include <bit>

#include "lb/flow_table.h"

namespace lb::model {
namespace {

template <typename T>
T Load(T& word) {
  return std::atomic_ref<T>(word).load(std::memory_order_relaxed);
}

template <typename T>
void Store(T& word, T value) {
  if (Load(word) != value) std::atomic_ref<T>(word).store(value, std::memory_order_release);
}

}  // namespace

Slots::Slots(Words words, uint32_t now) : words_(words) {
  for (size_t slot = 0; slot < size(); ++slot) {
    if (tracked(slot)) clock(slot).since = now;
  }
}

int Slots::bits() const { return std::countr_zero(size()); }

bool Slots::tracked(size_t slot) const { return (Load(words_.ring[slot]) & LB_RING_TRACK) != 0; }

uint16_t Slots::old_owner(size_t slot) const { return Load(words_.ring[slot]) & LB_RING_REAL_MASK; }

uint16_t Slots::next_owner(size_t slot) const {
  return tracked(slot) ? Load(words_.next[slot]) : old_owner(slot);
}

Slots::Counts Slots::counts() const {
  Counts counts;
  if (clocks_.empty()) return counts;
  for (size_t slot = 0; slot < size(); ++slot) {
    if (!tracked(slot)) continue;
    ++(old_owner(slot) == next_owner(slot) ? counts.settling : counts.changing);
  }
  return counts;
}

Slots::Clock& Slots::clock(size_t slot) {
  if (clocks_.empty()) clocks_.resize(size());
  return clocks_[slot];
}

void Slots::SetOld(size_t slot, uint16_t owner, bool track) {
  Store(words_.ring[slot], static_cast<uint16_t>(owner | (track ? LB_RING_TRACK : 0)));
}

void Slots::SetNext(size_t slot, uint16_t owner) { Store(words_.next[slot], owner); }

void Slots::SetTarget(std::span<const uint16_t> target, const SlotPolicy& policy, uint32_t now) {
  const int shift = std::countr_zero(size() / target.size());
  for (size_t slot = 0; slot < size(); ++slot) {
    const uint16_t owner = target[slot >> shift];
    // Nearly all: stable, and to stay so.
    if (Load(words_.ring[slot]) == owner && owner != 0 && !policy.always) continue;
    const bool was_tracked = tracked(slot);
    if (!policy.track || old_owner(slot) == 0) {
      // The flow table may still know flows of this slot.
      const bool settle = policy.track && was_tracked;
      SetNext(slot, owner);
      SetOld(slot, owner, settle || policy.always);
      if (settle) clock(slot) = {.since = now, .empty_sweeps = 0};
      continue;
    }
    if (next_owner(slot) != owner) {
      clock(slot) = {.since = now, .empty_sweeps = 0};
      if (!was_tracked) Store(words_.refused[slot], uint8_t{0});  // of an earlier change
    } else if (was_tracked || !policy.always) {
      if (was_tracked && clocks_.empty()) clock(slot).since = now;
      continue;
    }
    // In this order: who sees the mark sees the next owner.
    SetNext(slot, owner);
    if (!was_tracked) SetOld(slot, old_owner(slot), true);
  }
}

bool Slots::NeedsWindow(std::span<const uint16_t> target, const SlotPolicy& policy) const {
  if (!policy.track) return false;
  const int shift = std::countr_zero(size() / target.size());
  for (size_t slot = 0; slot < size(); ++slot) {
    const uint16_t owner = target[slot >> shift];
    if (Load(words_.ring[slot]) == owner) continue;
    if (old_owner(slot) != 0 && next_owner(slot) != owner) return true;
  }
  return false;
}

void Slots::Abandon(const std::function<bool(uint16_t)>& owner) {
  if (clocks_.empty()) return;
  for (size_t slot = 0; slot < size(); ++slot) {
    if (!tracked(slot) || !owner(old_owner(slot))) continue;
    SetOld(slot, next_owner(slot), true);
    clock(slot).empty_sweeps = 0;
  }
}

void Slots::Advance(const Sweep& sweep, const SlotPolicy& policy, uint32_t now) {
  if (clocks_.empty()) return;
  bool stable = true;
  for (size_t slot = 0; slot < size(); ++slot) {
    const bool refused = Load(words_.refused[slot]) != 0;
    if (refused) Store(words_.refused[slot], uint8_t{0});
    if (!tracked(slot)) continue;
    Clock& state = clocks_[slot];
    const uint16_t old = old_owner(slot);
    const uint16_t next = next_owner(slot);
    if (old != next) {
      stable = false;
      const bool hurry = refused && sweep.is_down && sweep.is_down(old);
      if (refused) state.since = now;
      // The clock's whole seconds may count one that has hardly begun.
      if (!hurry && now - state.since <= policy.window) continue;
      SetOld(slot, next, true);
      state.empty_sweeps = 0;
      continue;
    }
    state.empty_sweeps = sweep.entries[slot] == 0 ? state.empty_sweeps + 1 : 0;
    if (state.empty_sweeps < 2) {
      stable = false;
      continue;
    }
    state.empty_sweeps = 2;
    if (!policy.always) SetOld(slot, old, false);
  }
  if (stable) clocks_.clear();
}

Slots Slots::CopyTo(Words words) const {
  Slots copy(words, 0);
  copy.clocks_.clear();
  const size_t count = copy.size();
  if (!clocks_.empty()) copy.clocks_.resize(count);
  for (size_t slot = 0; slot < count; ++slot) {
    const size_t from = slot * size() / count;
    words.next[slot] = next_owner(from);
    words.ring[slot] = Load(words_.ring[from]);
    words.refused[slot] = Load(words_.refused[from]);
    if (!clocks_.empty()) copy.clocks_[slot] = clocks_[from];
  }
  return copy;
}

bool Slots::CanShrinkTo(size_t slots) const {
  if (!clocks_.empty()) return false;
  const size_t mask = size() / slots - 1;
  for (size_t slot = 0; slot < size(); ++slot) {
    if (Load(words_.ring[slot]) != Load(words_.ring[slot & ~mask])) return false;
  }
  return true;
}

}  // namespace lb::model
