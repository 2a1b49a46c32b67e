// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/integer_log.h"

#include <array>
#include <bit>

#include "lbd/model/wide_multiply.h"

namespace lb::model {
namespace {

// Numbers here are fractions in units of 2^-63.
constexpr uint64_t kOne = uint64_t{1} << 63;

constexpr uint64_t Times(uint64_t a, uint64_t b) { return MultiplyHigh(a << 1, b); }

// ln(a / b) for b <= a <= 2b, as 2 atanh((a - b) / (a + b)).
constexpr uint64_t LogOfRatio(uint64_t a, uint64_t b) {
  const uint64_t z = static_cast<uint64_t>((uint128{a - b} << 63) / (a + b));
  const uint64_t square = Times(z, z);
  uint64_t sum = 0;
  uint64_t odd = 1;
  for (uint64_t power = z; power != 0; power = Times(square, power), odd += 2) sum += power / odd;
  return 2 * sum;
}

constexpr uint64_t kLog2 = 0x58b90bfbe8e7bcd5;  // ln 2

// ln(1 + j / 128).
constexpr auto kLogTable = [] {
  std::array<uint64_t, 128> table{};
  for (uint64_t j = 0; j < table.size(); ++j) table[j] = LogOfRatio(128 + j, 128);
  return table;
}();

}  // namespace

uint64_t IntegerLog(uint32_t n) {
  // n = 2^exponent * (1 + j / 128) * (1 + f) with f < 1 / 128.
  const int exponent = std::bit_width(n) - 1;
  const uint64_t mantissa = uint64_t{n} << (63 - exponent);
  const uint64_t leading = mantissa >> 56;  // 128 + j
  const uint64_t f = ((mantissa - (leading << 56)) << 7) / leading;

  // ln(1 + f) = f (1 - f (1/2 - f (1/3 - ...))); the ninth term would be below 2^-66.
  uint64_t series = kOne / 8;
  for (uint64_t k = 7; k >= 1; --k) series = kOne / k - Times(f, series);
  const uint64_t fraction = kLogTable[leading - 128] + Times(f, series);

  constexpr int kShift = 63 - kLogFractionBits;
  return static_cast<uint64_t>((uint128{kLog2} * static_cast<uint64_t>(exponent) + fraction) >>
                               kShift);
}

}  // namespace lb::model
