// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/clock_matching.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <vector>

#include "lbd/model/integer_log.h"
#include "lbd/model/limits.h"
#include "lbd/model/permutation.h"
#include "lbd/model/real_key.h"
#include "lbd/model/wide_multiply.h"

namespace lb::model {
namespace {

constexpr uint64_t kCapPercent = 103;

// -ln(1 - (r + 1/2) / slots) for r = 0, 1, ..., computed as far as it is asked for.
class VisitTimes {
 public:
  explicit VisitTimes(uint32_t slots) : slots_(slots), log_of_all_(IntegerLog(2 * slots)) {}

  uint64_t operator[](uint32_t r) {
    while (r >= times_.size()) Extend();
    return times_[r];
  }

 private:
  void Extend() {
    const auto r = static_cast<uint32_t>(times_.size());
    times_.push_back(log_of_all_ - IntegerLog(2 * slots_ - 2 * r - 1));
  }

  uint32_t slots_;
  uint64_t log_of_all_;
  std::vector<uint64_t> times_;
};

// The most slots a real may own. The dither keeps the caps of equal reals from stepping all at once
// when the number of reals changes; never less than the share rounded up, so that all slots fit.
uint32_t Cap(uint64_t slots, uint64_t weight, uint64_t total_weight, uint64_t dither16) {
  const uint64_t widened = ((kCapPercent * slots * weight) << 16) / (100 * total_weight);
  const uint64_t fair = (slots * weight + total_weight - 1) / total_weight;
  return static_cast<uint32_t>(std::max(fair, (widened + dither16) >> 16));
}

// A contender on its way through the ring.
struct Walker {
  Walker(const Contender& contender, RealKey key, int bits)
      : seed(key.seed()),
        address(contender.member->address),
        weight(contender.member->weight),
        inverse_weight(~uint64_t{0} / weight),
        number(contender.number),
        owned(contender.owned),
        order(key, bits),
        dither16(key.Next() >> 48),
        tie_break(static_cast<uint32_t>(key.Next())) {}

  uint64_t seed;
  IpAddress address;
  uint64_t weight;
  uint64_t inverse_weight;
  uint16_t number;
  uint32_t owned;
  Permutation order;
  uint64_t dither16;
  uint32_t tie_break;
  uint32_t room = 0;
  uint32_t next = 0;  // visits made
};

// A visit to a slot that was free when its window began. Ordered by time, then by a tie-break that
// differs from slot to slot, because reals of equal weight meet at equal times.
struct Visit {
  Visit(uint64_t at, uint32_t walker_tie_break, uint32_t walker, uint32_t slot)
      : time(at),
        rest(uint64_t{(walker_tie_break ^ slot * 0x9e3779b1u) >> 1} << 33 |
             uint64_t{walker} << kSlotBits | slot) {}

  uint32_t walker() const { return rest >> kSlotBits & ((1u << kWalkerBits) - 1); }
  uint32_t slot() const { return rest & ((1u << kSlotBits) - 1); }
  bool operator<(const Visit& other) const {
    return time != other.time ? time < other.time : rest < other.rest;
  }

  static constexpr int kSlotBits = 20;
  static constexpr int kWalkerBits = 13;
  static_assert(kMaxRingBits <= kSlotBits && kMaxRealsPerVip <= 1u << kWalkerBits);

  uint64_t time;
  uint64_t rest;  // tie-break, walker, slot
};

class Matching {
 public:
  Matching(std::span<const Contender> contenders, Ring& ring)
      : ring_(ring), slots_(static_cast<uint32_t>(ring.size())), times_(slots_) {
    const int bits = std::bit_width(slots_) - 1;
    uint64_t total_weight = 0;
    walkers_.reserve(contenders.size());
    for (const Contender& contender : contenders) {
      walkers_.emplace_back(contender, RealKey(contender.member->address), bits);
      total_weight += contender.member->weight;
    }
    std::ranges::sort(walkers_, {}, [](const Walker& w) { return std::tie(w.seed, w.address); });
    for (uint32_t i = 0; i < walkers_.size(); ++i) {
      Walker& walker = walkers_[i];
      const uint32_t cap = Cap(slots_, walker.weight, total_weight, walker.dither16);
      walker.room = cap - std::min(cap, walker.owned);
      if (walker.room > 0) active_.push_back(i);
    }
    for (uint32_t slot = 0; slot < slots_; ++slot) {
      if (ring_[slot] == 0) free_.push_back(slot);
    }
  }

  void Run() {
    uint64_t end = 0;
    while (!free_.empty() && !active_.empty()) {
      end += WindowLength();
      visits_.clear();
      for (uint32_t i : active_) Walk(i, end);
      std::sort(visits_.begin(), visits_.end());
      for (const Visit& visit : visits_) Settle(visit);
      std::erase_if(active_, [this](uint32_t i) { return walkers_[i].room == 0; });
      std::erase_if(free_, [this](uint32_t slot) { return ring_[slot] != 0; });
    }
  }

 private:
  // The time in which a slot is visited 1/4 times on average, so that few visits are sorted in
  // vain, or twice when few slots are left. It has no influence on the result.
  uint64_t WindowLength() const {
    uint64_t weight = 0;
    for (uint32_t i : active_) weight += walkers_[i].weight;
    const bool few = free_.size() < slots_ / 8;
    return (uint64_t{1} << (few ? kLogFractionBits + 1 : kLogFractionBits - 2)) / weight + 1;
  }

  // Collects the visits of one real to free slots before `end`: turn by turn, or slot by slot when
  // few are free.
  void Walk(uint32_t i, uint64_t end) {
    Walker& walker = walkers_[i];
    const uint32_t first = walker.next;
    while (walker.next < slots_ && TimeOf(walker, walker.next) < end) ++walker.next;
    const uint32_t last = walker.next;
    const Permutation order = walker.order;
    if (last - first < free_.size()) {
      for (uint32_t visit = first; visit < last; ++visit) {
        const uint32_t slot = order(visit);
        if (ring_[slot] == 0) Collect(i, visit, slot);
      }
    } else {
      for (uint32_t slot : free_) {
        const uint32_t visit = order.Inverse(slot);
        if (visit >= first && visit < last) Collect(i, visit, slot);
      }
    }
  }

  uint64_t TimeOf(const Walker& walker, uint32_t visit) {
    return MultiplyHigh(times_[visit], walker.inverse_weight);
  }

  void Collect(uint32_t i, uint32_t visit, uint32_t slot) {
    visits_.emplace_back(TimeOf(walkers_[i], visit), walkers_[i].tie_break, i, slot);
  }

  void Settle(const Visit& visit) {
    Walker& walker = walkers_[visit.walker()];
    uint16_t& owner = ring_[visit.slot()];
    if (owner != 0 || walker.room == 0) return;
    owner = walker.number;
    --walker.room;
  }

  Ring& ring_;
  uint32_t slots_;
  VisitTimes times_;
  std::vector<Walker> walkers_;
  std::vector<uint32_t> active_;  // walkers with room
  std::vector<uint32_t> free_;    // slots without owner
  std::vector<Visit> visits_;     // of the current window
};

}  // namespace

void FillFreeSlots(std::span<const Contender> contenders, Ring& ring) {
  Matching(contenders, ring).Run();
}

}  // namespace lb::model
