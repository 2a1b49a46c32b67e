// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/permutation.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/unit/model/ring_testing.h"

namespace lb::model {
namespace {

Permutation PermutationOf(int real, int bits) {
  RealKey key(AddressOf(real));
  return Permutation(key, bits);
}

TEST(PermutationTest, ReachesEveryNumberOnceAndBack) {
  for (int bits = 2; bits <= kMaxRingBits; ++bits) {
    const Permutation permutation = PermutationOf(bits, bits);
    std::vector<bool> seen(size_t{1} << bits, false);
    for (uint32_t x = 0; x < seen.size(); ++x) {
      const uint32_t y = permutation(x);
      ASSERT_LT(y, seen.size());
      ASSERT_FALSE(seen[y]);
      ASSERT_EQ(permutation.Inverse(y), x);
      seen[y] = true;
    }
  }
}

// If the permutations were random, one in 256 pairs of reals would visit the same slot at the same
// turn: chi-square over the 256 possible distances of their slots must look like chance.
TEST(PermutationTest, PermutationsOfTwoRealsAreIndependent) {
  constexpr int kReals = 400;
  std::vector<double> count(256, 0);
  for (int real = 0; real < kReals; ++real) {
    const Permutation a = PermutationOf(real, 8);
    const Permutation b = PermutationOf(real + 1, 8);
    for (uint32_t turn = 0; turn < 256; ++turn) ++count[a(turn) ^ b(turn)];
  }
  double chi_square = 0;
  for (double n : count) chi_square += (n - kReals) * (n - kReals) / kReals;
  EXPECT_LT(chi_square, 255 + 6 * 22.6);  // mean + 6 sigma
  EXPECT_GT(chi_square, 255 - 6 * 22.6);
}

}  // namespace
}  // namespace lb::model
