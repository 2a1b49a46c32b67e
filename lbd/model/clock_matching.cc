// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/clock_matching.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <vector>

#include "lbd/model/integer_log.h"
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

  // Of a visit that was counted before.
  uint64_t operator[](uint32_t r) const { return times_[r]; }

  // How many visits are made before `end`.
  uint32_t CountBefore(uint64_t end) {
    while (times_.size() < slots_ && (times_.empty() || times_.back() < end)) Extend();
    return static_cast<uint32_t>(std::ranges::lower_bound(times_, end) - times_.begin());
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

// A visit to a slot that was free when its window began.
struct Visit {
  Visit() {}        // NOLINT(modernize-use-equals-default): leaves memory as it is, for speed
  uint32_t number;  // among the visits of its walker
  uint32_t slot;
};

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
  // Of the current window, in `visits_`: the next one to claim its slot, and the end.
  size_t claim = 0;
  size_t claims_end = 0;
};

// Whose a slot is in the current window, by which of its visits.
struct Holder {
  uint32_t walker = 0;
  uint32_t visit = 0;
};

// Goes through time in windows. What a window gives away is final, because all visits before its
// end have claimed their slots; within a window an earlier visitor takes the slot from a later one,
// who then has room for another (deferred acceptance), so that nothing has to be sorted.
class Matching {
 public:
  Matching(std::span<const Contender> contenders, Ring& ring)
      : ring_(ring), slots_(static_cast<uint32_t>(ring.size())), times_(slots_), holders_(slots_) {
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
      for (uint32_t i : active_) Walk(walkers_[i], end);
      claimants_ = active_;
      while (!claimants_.empty()) {
        const uint32_t i = claimants_.back();
        claimants_.pop_back();
        Claim(i);
      }
      std::erase_if(active_, [this](uint32_t i) { return walkers_[i].room == 0; });
      std::erase_if(free_, [this](uint32_t slot) { return ring_[slot] != 0; });
    }
  }

 private:
  // The time in which a slot is visited 1/4 times on average, so that few visits meet others on
  // theirs, or twice when few slots are left. It has no influence on the result.
  uint64_t WindowLength() const {
    uint64_t weight = 0;
    for (uint32_t i : active_) weight += walkers_[i].weight;
    const bool few = free_.size() < slots_ / 8;
    return (uint64_t{1} << (few ? kLogFractionBits + 1 : kLogFractionBits - 2)) / weight + 1;
  }

  // Collects the visits of one real to free slots before `end`: turn by turn, or slot by slot when
  // few are free.
  void Walk(Walker& walker, uint64_t end) {
    const uint32_t first = walker.next;
    const uint32_t last = walker.next = CountBefore(walker, end);
    const Permutation order = walker.order;
    walker.claim = visits_.size();
    visits_.resize(walker.claim + std::min<size_t>(last - first, free_.size()) + 1);
    Visit* const begin = &visits_[walker.claim];
    Visit* visit = begin;
    // Without branches: nobody could predict them.
    if (last - first < free_.size()) {
      for (uint32_t number = first; number < last; ++number) {
        visit->number = number;
        visit->slot = order(number);
        visit += ring_[visit->slot] == 0;
      }
    } else {
      for (uint32_t slot : free_) {
        visit->number = order.Inverse(slot);
        visit->slot = slot;
        visit += visit->number >= first && visit->number < last;
      }
      std::ranges::sort(begin, visit, {}, &Visit::number);
    }
    visits_.resize(walker.claim + static_cast<size_t>(visit - begin));
    walker.claims_end = visits_.size();
  }

  // How many visits a real has made before `end`: the first number whose TimeOf() is not less.
  uint32_t CountBefore(const Walker& walker, uint64_t end) {
    const uint128 time = ((uint128{end} << 64) + walker.inverse_weight - 1) / walker.inverse_weight;
    return times_.CountBefore(static_cast<uint64_t>(std::min<uint128>(time, ~uint64_t{0})));
  }

  uint64_t TimeOf(const Walker& walker, uint32_t visit) {
    return MultiplyHigh(times_[visit], walker.inverse_weight);
  }

  // Lets a real claim slots while it has room.
  void Claim(uint32_t i) {
    Walker& walker = walkers_[i];
    for (; walker.room > 0 && walker.claim < walker.claims_end; ++walker.claim) {
      const Visit visit = visits_[walker.claim];
      const Holder challenger{i, visit.number};
      Holder& holder = holders_[visit.slot];
      uint16_t& owner = ring_[visit.slot];
      if (owner != 0) {
        if (!IsEarlier(challenger, holder, visit.slot)) continue;
        if (walkers_[holder.walker].room++ == 0) claimants_.push_back(holder.walker);
      }
      holder = challenger;
      owner = walker.number;
      --walker.room;
    }
  }

  // By time, then by a tie-break that differs from slot to slot, because reals of equal weight meet
  // at equal times.
  bool IsEarlier(const Holder& a, const Holder& b, uint32_t slot) {
    const auto rank = [&](const Holder& holder) {
      const Walker& walker = walkers_[holder.walker];
      const uint32_t tie_break = (walker.tie_break ^ slot * 0x9e3779b1u) >> 1;
      return std::tuple(TimeOf(walker, holder.visit), tie_break, holder.walker);
    };
    return rank(a) < rank(b);
  }

  Ring& ring_;
  uint32_t slots_;
  VisitTimes times_;
  std::vector<Walker> walkers_;
  std::vector<uint32_t> active_;     // walkers with room
  std::vector<uint32_t> claimants_;  // walkers with room who have not claimed all their visits
  std::vector<uint32_t> free_;       // slots without owner
  std::vector<Visit> visits_;        // of the current window, by walker
  std::vector<Holder> holders_;      // of the slots that were free when the window began
};

}  // namespace

void FillFreeSlots(std::span<const Contender> contenders, Ring& ring) {
  Matching(contenders, ring).Run();
}

}  // namespace lb::model
