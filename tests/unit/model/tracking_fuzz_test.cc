// SPDX-License-Identifier: Apache-2.0
// Years of changes in seconds: Slots, FlowTable and lb_flow_real() on plain vectors.
#include "tests/support/tracking_fuzz.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "lbd/base/siphash.h"
#include "lbd/model/flow_table.h"
#include "lbd/model/tracking.h"
#include "tests/unit/model/tracking_testing.h"

namespace lb::model {
namespace {

using testing::FuzzOptions;
using testing::FuzzResult;
using testing::TrackedVip;

class ModelVip : public TrackedVip {
 public:
  ModelVip(int ring_bits, size_t buckets)
      : memory_(size_t{1} << ring_bits), slots_(memory_.words(), 0), buckets_(buckets) {}

  std::optional<IpAddress> Send(uint32_t flow, lb_flow_event event) override {
    const uint64_t hash = HashOfFlow(flow);
    const uint8_t before = std::exchange(memory_.refused[SlotOf(hash)], 0);
    const uint16_t number = Forward(memory_, buckets_, hash, event, Tick());
    refusals_ += memory_.refused[SlotOf(hash)];
    memory_.refused[SlotOf(hash)] |= before;
    return NameOf(number);
  }

  void Configure(const Vip& vip, std::shared_ptr<const Ring> ring) override {
    vip_ = vip;
    for (const Real& real : vip.reals) {
      if (numbers_.contains(real.address)) continue;
      uint16_t number = 1;
      while (addresses_.contains(number)) ++number;
      numbers_[real.address] = number;
      addresses_[number] = real.address;
    }
    std::vector<uint16_t> target;
    for (const uint16_t owner : *ring) {
      target.push_back(owner == 0 ? 0 : numbers_.at(vip.reals[owner - 1].address));
    }
    slots_.SetTarget(target, SlotPolicyOf(vip_), seconds_);
    std::set<uint16_t> gone;
    std::erase_if(numbers_, [&](const auto& item) {
      if (vip.FindReal(item.first) != nullptr) return false;
      gone.insert(item.second);
      leaving_[item.second] = 2;
      return true;
    });
    End(gone);
  }

  void Restart(const std::function<void()>& meanwhile) override {
    meanwhile();
    SlotMemory other(memory_.ring.size());
    const Slots before(memory_.words(), seconds_);
    Slots after = before.CopyTo(other.words());
    std::vector<lb_flow_bucket> buckets(buckets_.size());
    FlowTable(buckets).CopyFrom(buckets_);
    std::swap(memory_, other);  // the vectors' elements stay where they are
    slots_ = std::move(after);
    buckets_ = std::move(buckets);
  }

  void Pass(uint32_t seconds) override { seconds_ += seconds; }

  void Sweep() override {
    std::set<uint16_t> gone;
    for (auto& [number, sweeps] : leaving_) {
      gone.insert(number);
      --sweeps;
    }
    std::erase_if(leaving_, [](const auto& item) { return item.second == 0; });
    const FlowTable table(buckets_);
    table.Purge([&](uint16_t number) { return gone.contains(number); });
    const auto census = table.Sweep(slots_, FlowPolicyOf(vip_), Tick());
    slots_.Advance({.entries = census.foreign,
                    .is_down =
                        [&](uint16_t number) {
                          const Real* real = vip_.FindReal(addresses_.at(number));
                          return real != nullptr && real->state == RealState::kDown;
                        }},
                   SlotPolicyOf(vip_), seconds_);
    std::erase_if(addresses_, [&](const auto& item) {
      return gone.contains(item.first) && !leaving_.contains(item.first);
    });
  }

  Standing StandingOf(uint32_t flow) override {
    const uint64_t hash = HashOfFlow(flow);
    const size_t slot = SlotOf(hash);
    const lb_flow_bucket& bucket = buckets_[hash & (buckets_.size() - 1)];
    const int way = lb_flow_find(&bucket, lb_flow_fingerprint(hash));
    Standing standing{.old = NameOf(slots_.old_owner(slot)),
                      .entry = {},
                      .tracked = slots_.tracked(slot),
                      .refused = memory_.refused[slot] != 0};
    if (way >= 0) standing.entry = NameOf(lb_flow_entry_real(bucket.entries[way]));
    return standing;
  }

  void ForgetRefusals() override { std::ranges::fill(memory_.refused, 0); }
  uint64_t refusals() const override { return refusals_; }

  size_t StrayEntries() override {
    size_t stray = 0;
    FlowTable(buckets_).Visit([&](uint64_t entry) {
      const int shift = LB_FLOW_FINGERPRINT_BITS - slots_.bits();
      stray += !slots_.tracked(lb_flow_entry_fingerprint(entry) >> shift);
    });
    return stray;
  }

  std::vector<std::optional<IpAddress>> StableOwners() override {
    std::vector<std::optional<IpAddress>> owners;
    if (!slots_.stable()) return owners;
    for (size_t slot = 0; slot < slots_.size(); ++slot) {
      owners.push_back(NameOf(slots_.old_owner(slot)));
    }
    return owners;
  }

 private:
  static uint64_t HashOfFlow(uint32_t flow) {
    const uint8_t bytes[] = {static_cast<uint8_t>(flow), static_cast<uint8_t>(flow >> 8),
                             static_cast<uint8_t>(flow >> 16)};
    return SipHash24({}, bytes);
  }
  size_t SlotOf(uint64_t hash) const { return hash >> (64 - slots_.bits()); }
  uint32_t Tick() const {
    return static_cast<uint32_t>((uint64_t{seconds_} * 1'000'000'000) >> LB_FLOW_TICK_SHIFT);
  }
  std::optional<IpAddress> NameOf(uint16_t number) const {
    if (number == 0) return std::nullopt;
    const auto it = addresses_.find(number);
    EXPECT_NE(it, addresses_.end()) << "number " << number << " is free and still in use";
    return it == addresses_.end() ? std::nullopt : std::optional(it->second);
  }
  void End(const std::set<uint16_t>& numbers) {
    const auto named = [&](uint16_t number) { return numbers.contains(number); };
    slots_.Abandon(named);
    FlowTable(buckets_).Purge(named);
  }

  uint32_t seconds_ = 1'000'000;
  Vip vip_;
  SlotMemory memory_;
  Slots slots_;
  std::vector<lb_flow_bucket> buckets_;
  std::map<IpAddress, uint16_t> numbers_;
  std::map<uint16_t, IpAddress> addresses_;  // of numbers in use
  std::map<uint16_t, int> leaving_;          // sweeps until the number is free
  uint64_t refusals_ = 0;
};

FuzzResult RunModel(const FuzzOptions& options, size_t buckets) {
  ModelVip vip(options.ring_bits, buckets);
  const FuzzResult result = Fuzz(vip, options);
  std::printf("%zu entries: %s\n", buckets * LB_FLOW_WAYS, result.ToString().c_str());
  return result;
}

void ExpectSound(const FuzzResult& result) {
  EXPECT_EQ(result.broken, 0u) << result.first;
  EXPECT_EQ(result.violations, 0u) << result.first;
  EXPECT_TRUE(result.pure) << "the ring depends on history";
}

TEST(TrackingFuzzTest, NoConnectionBreaksWithRoomForAll) {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    const FuzzResult result = RunModel({.seed = seed, .steps = 2000}, 512);
    ExpectSound(result);
    EXPECT_GT(result.flows, 10'000u);
  }
}

TEST(TrackingFuzzTest, NoConnectionBreaksWhereFlowsAreRefused) {
  for (uint32_t seed = 11; seed <= 14; ++seed) {
    for (const size_t buckets : {8, 32}) {
      const FuzzResult result =
          RunModel({.seed = seed, .steps = 2000, .change_percent = 10}, buckets);
      ExpectSound(result);
      EXPECT_GT(result.refusals, 100u);
    }
  }
}

TEST(TrackingFuzzTest, NoConnectionBreaksWhereSlotsAreFewAndChangesMany) {
  for (uint32_t seed = 21; seed <= 24; ++seed) {
    ExpectSound(RunModel({.seed = seed,
                          .steps = 2000,
                          .tuples = 900,
                          .reals = 3,
                          .ring_bits = 4,
                          .change_percent = 80,
                          .restart_percent = 10},
                         64));
  }
}

// Without one of its rules tracking breaks connections: the test can fail.
TEST(TrackingFuzzTest, BitesWhereFlipsDoNotWaitForRefusedFlows) {
  const FuzzResult result =
      RunModel({.seed = 11, .steps = 1000, .change_percent = 10, .defer_flips = false}, 8);
  EXPECT_GT(result.broken, 100u);
  EXPECT_GT(result.violations, 100u);
}

TEST(TrackingFuzzTest, BitesWhereUnknownFlowsAreNotRecorded) {
  const FuzzResult result = RunModel({.seed = 1, .steps = 1000, .record = false}, 512);
  EXPECT_GT(result.broken, 100u);
  EXPECT_GT(result.violations, 100u);
}

}  // namespace
}  // namespace lb::model
