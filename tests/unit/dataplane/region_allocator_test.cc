// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/region_allocator.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

namespace lb::dataplane {
namespace {

TEST(RegionAllocatorTest, TakesTheFirstFit) {
  RegionAllocator regions(100);
  EXPECT_EQ(regions.Allocate(10), 0u);
  EXPECT_EQ(regions.Allocate(20), 10u);
  EXPECT_EQ(regions.Allocate(10), 30u);
  regions.Free(0, 10);
  regions.Free(30, 10);
  EXPECT_EQ(regions.Allocate(11), 30u);
  EXPECT_EQ(regions.Allocate(10), 0u);
}

TEST(RegionAllocatorTest, HandsOutAllThereIsAndNoMore) {
  RegionAllocator regions(64);
  EXPECT_EQ(regions.Allocate(65), std::nullopt);
  EXPECT_EQ(regions.Allocate(64), 0u);
  EXPECT_EQ(regions.Allocate(1), std::nullopt);
  regions.Free(0, 64);
  EXPECT_EQ(regions.Allocate(64), 0u);
}

TEST(RegionAllocatorTest, NothingHasNoRoom) {
  EXPECT_EQ(RegionAllocator(0).Allocate(1), std::nullopt);
}

TEST(RegionAllocatorTest, RefusedRequestsTakeNothing) {
  RegionAllocator regions(10);
  EXPECT_EQ(regions.Allocate(11), std::nullopt);
  EXPECT_EQ(regions.Allocate(UINT32_MAX), std::nullopt);
  EXPECT_EQ(regions.Allocate(1, UINT32_MAX), 0u);
  EXPECT_EQ(regions.Allocate(1, UINT32_MAX), std::nullopt);
  EXPECT_EQ(regions.Allocate(9), 1u);
}

TEST(RegionAllocatorTest, AlignedRegionsLeaveTheGapToOthers) {
  RegionAllocator regions(128);
  EXPECT_EQ(regions.Allocate(1), 0u);
  EXPECT_EQ(regions.Allocate(32, 32), 32u);
  EXPECT_EQ(regions.Allocate(31), 1u);
  EXPECT_EQ(regions.Allocate(64, 64), 64u);
  EXPECT_EQ(regions.Allocate(1), std::nullopt);
}

TEST(RegionAllocatorTest, NeighboursMergeInWhateverOrderTheyComeBack) {
  constexpr int kOrders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : kOrders) {
    RegionAllocator regions(30);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(regions.Allocate(10));
    for (const int i : order) regions.Free(10 * i, 10);
    EXPECT_EQ(regions.Allocate(30), 0u) << order[0] << order[1] << order[2];
  }
}

TEST(RegionAllocatorTest, WorksUpToTheEndOfTheNumbers) {
  RegionAllocator regions(UINT32_MAX);
  EXPECT_EQ(regions.Allocate(1u << 31), 0u);
  EXPECT_EQ(regions.Allocate(1u << 31), std::nullopt);
  EXPECT_EQ(regions.Allocate((1u << 31) - 1), 1u << 31);
  regions.Free(1u << 31, (1u << 31) - 1);
  EXPECT_EQ(regions.Allocate(2, 1u << 31), 1u << 31);
}

// The same in the simplest way: one flag per element.
class Model {
 public:
  explicit Model(uint32_t size) : taken_(size, false) {}

  std::optional<uint32_t> Allocate(uint32_t length, uint32_t alignment) {
    for (uint32_t start = 0; start + length <= taken_.size(); start += alignment) {
      if (!IsFree(start, length)) continue;
      Mark(start, length, true);
      return start;
    }
    return std::nullopt;
  }
  void Free(uint32_t start, uint32_t length) { Mark(start, length, false); }

 private:
  bool IsFree(uint32_t start, uint32_t length) const {
    for (uint32_t i = start; i < start + length; ++i) {
      if (taken_[i]) return false;
    }
    return true;
  }
  void Mark(uint32_t start, uint32_t length, bool taken) {
    for (uint32_t i = start; i < start + length; ++i) taken_[i] = taken;
  }

  std::vector<bool> taken_;
};

TEST(RegionAllocatorTest, DoesWhatTheSimplestAllocatorDoes) {
  constexpr uint32_t kSize = 512;
  int refused = 0;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    RegionAllocator regions(kSize);
    Model model(kSize);
    std::vector<std::pair<uint32_t, uint32_t>> held;
    for (int step = 0; step < 2000; ++step) {
      if (!held.empty() && random() % 2 == 0) {
        std::swap(held[random() % held.size()], held.back());
        const auto [start, length] = held.back();
        held.pop_back();
        regions.Free(start, length);
        model.Free(start, length);
        continue;
      }
      const uint32_t length = 1 + random() % 64;
      const uint32_t alignment = random() % 2 == 0 ? 1 : 1 + random() % 40;
      const auto start = regions.Allocate(length, alignment);
      ASSERT_EQ(start, model.Allocate(length, alignment)) << "seed " << seed << " step " << step;
      if (start) {
        held.emplace_back(*start, length);
      } else {
        ++refused;
      }
    }
    for (const auto& [start, length] : held) regions.Free(start, length);
    EXPECT_EQ(regions.Allocate(kSize), 0u) << "seed " << seed;
  }
  EXPECT_GT(refused, 100);  // the test reaches exhaustion
}

}  // namespace
}  // namespace lb::dataplane
