// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace lb::testing {

// The Internet checksum (RFC 1071) by its definition, sharing nothing with bpf/csum.h: big-endian
// words, counted modulo 65535, where 0 and 65535 are one number and only a sum of nothing but
// zeros is written 0.
class InternetSum {
 public:
  InternetSum& Add(std::span<const uint8_t> bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) sum_ += i % 2 == 0 ? bytes[i] * 256u : bytes[i];
    return *this;
  }
  InternetSum& Add(uint16_t word) {
    sum_ += word;
    return *this;
  }

  // What to write into the checksum field, which counted as zero.
  uint16_t checksum() const { return static_cast<uint16_t>(0xffff - folded()); }
  // Whether the bytes, checksum included, are what a receiver accepts.
  bool holds() const { return folded() == 0xffff; }

 private:
  uint64_t folded() const { return sum_ == 0 ? 0 : (sum_ - 1) % 0xffff + 1; }

  uint64_t sum_ = 0;
};

}  // namespace lb::testing
