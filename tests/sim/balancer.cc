// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/balancer.h"

#include <algorithm>
#include <bit>

namespace lb::sim {
namespace {

class Lbd : public Balancer {
 public:
  Lbd(int ring_bits, const model::SlotPolicy& policy, uint64_t table_entries)
      : bits_(ring_bits),
        policy_(policy),
        words_{std::vector<uint16_t>(size_t{1} << ring_bits),
               std::vector<uint16_t>(size_t{1} << ring_bits),
               std::vector<uint8_t>(size_t{1} << ring_bits)},
        buckets_(std::bit_ceil(std::max<uint64_t>(1, table_entries / LB_FLOW_WAYS))),
        slots_({words_.ring, words_.next, words_.refused}, 0) {}

  void SetReals(const Reals& reals, double now) override {
    const model::Ring primary =
        model::GetRingBuilder(model::RingScheme::kRendezvous).BuildPrimary(reals, bits_);
    slots_.SetTarget(model::OverlayHealth(primary, reals), policy_, Seconds(now));
  }

  uint16_t Decide(uint64_t flow_hash, lb_flow_event event, double now) override {
    ++figures_.packets;
    const size_t slot = flow_hash >> (64 - bits_);
    const uint16_t word = words_.ring[slot];
    if ((word & LB_RING_TRACK) == 0) return word;
    ++figures_.lookups;
    lb_flow_record record{};
    const uint16_t real = lb_flow_real(
        &buckets_[flow_hash & (buckets_.size() - 1)], lb_flow_fingerprint(flow_hash),
        word & LB_RING_REAL_MASK, words_.next[slot], event, Tick(now), policy_.always, &record);
    const bool refused = record == LB_FLOW_REFUSED;
    words_.refused[slot] |= refused;
    figures_.refused += refused;
    return real;
  }

  void Sweep(double now) override {
    const model::FlowTable flows(buckets_);
    const auto census = flows.Sweep(slots_, {.idle = 3600, .always = policy_.always}, Tick(now));
    figures_.table_peak = std::max(figures_.table_peak, census.entries);
    slots_.Advance({.entries = census.foreign, .is_down = {}}, policy_, Seconds(now));
  }

  void ForgetFlows() override { std::ranges::fill(buckets_, lb_flow_bucket{}); }

 private:
  static uint32_t Seconds(double now) { return static_cast<uint32_t>(now); }
  static uint32_t Tick(double now) {
    return static_cast<uint32_t>(static_cast<uint64_t>(now * 1e9) >> LB_FLOW_TICK_SHIFT);
  }

  struct Words {
    std::vector<uint16_t> ring;
    std::vector<uint16_t> next;
    std::vector<uint8_t> refused;
  };

  int bits_;
  model::SlotPolicy policy_;
  Words words_;
  std::vector<lb_flow_bucket> buckets_;
  model::Slots slots_;
};

class MaglevLru : public Balancer {
 public:
  MaglevLru(int ring_bits, uint64_t table_entries) : bits_(ring_bits), capacity_(table_entries) {}

  void SetReals(const Reals& reals, double /*now*/) override {
    Reals up = reals;
    for (model::RingMember& real : up) {
      if (!real.usable) real.weight = 0;
    }
    ring_ = model::GetRingBuilder(model::RingScheme::kMaglev).BuildPrimary(up, bits_);
  }

  uint16_t Decide(uint64_t flow_hash, lb_flow_event event, double /*now*/) override {
    ++figures_.packets;
    ++figures_.lookups;
    const auto known = table_.find(flow_hash);
    if (known != table_.end() && event != LB_FLOW_OPEN) {
      order_.splice(order_.begin(), order_, known->second.second);
      return known->second.first;
    }
    const uint16_t real = ring_[flow_hash >> (64 - bits_)];
    if (known != table_.end()) {
      known->second.first = real;
      return real;
    }
    if (table_.size() >= capacity_) {
      table_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(flow_hash);
    table_.emplace(flow_hash, std::pair(real, order_.begin()));
    figures_.table_peak = std::max<uint64_t>(figures_.table_peak, table_.size());
    return real;
  }

  void ForgetFlows() override {
    table_.clear();
    order_.clear();
  }

 private:
  int bits_;
  size_t capacity_;
  model::Ring ring_;
  std::list<uint64_t> order_;  // the least recently used last
  std::unordered_map<uint64_t, std::pair<uint16_t, std::list<uint64_t>::iterator>> table_;
};

}  // namespace

std::unique_ptr<Balancer> MakeLbd(int ring_bits, const model::SlotPolicy& policy,
                                  uint64_t table_entries) {
  return std::make_unique<Lbd>(ring_bits, policy, table_entries);
}

std::unique_ptr<Balancer> MakeMaglevLru(int ring_bits, uint64_t table_entries) {
  return std::make_unique<MaglevLru>(ring_bits, table_entries);
}

}  // namespace lb::sim
