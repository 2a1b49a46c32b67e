// SPDX-License-Identifier: Apache-2.0
#include "lb/flow_hash.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <numeric>

namespace lb::dataplane {
namespace {

// The hash of the flow whose address and ports in the packet are the bytes 0, 1, 2, ...
uint64_t HashOfCountingBytes(uint64_t k0, uint64_t k1, bool v6) {
  std::array<uint8_t, 20> bytes;
  std::iota(bytes.begin(), bytes.end(), 0);
  __u32 source[4] = {};
  __u32 ports;
  std::memcpy(v6 ? &source[0] : &source[3], bytes.data(), v6 ? 16 : 4);
  std::memcpy(&ports, bytes.data() + (v6 ? 16 : 4), 4);
  return lb_flow_hash(k0, k1, source, ports, v6 ? 1 : 0);
}

// CPython 3.11 hashes bytes by SipHash-1-3, without a seed under the key 0:
//   PYTHONHASHSEED=0 python3 -c 'print(hex(hash(bytes(range(8))) % 2**64))'
TEST(FlowHashTest, IsTheSipHash13OfCPython) {
  EXPECT_EQ(HashOfCountingBytes(0, 0, false), 0xead411e67ebe2eea);
  EXPECT_EQ(HashOfCountingBytes(0, 0, true), 0x639e355ae68c0100);
}

// Under the key 00 01 .. 0f of the SipHash paper, from an implementation in Python that gives the
// same as OpenSSL for SipHash-2-4 and as CPython for the vectors above.
TEST(FlowHashTest, DependsOnTheKeyAsThePaperSays) {
  EXPECT_EQ(HashOfCountingBytes(0x0706050403020100, 0x0f0e0d0c0b0a0908, false), 0x369095118d299a8e);
  EXPECT_EQ(HashOfCountingBytes(0x0706050403020100, 0x0f0e0d0c0b0a0908, true), 0xc0dc2f46a6cce040);
}

TEST(FlowHashTest, OfIpv4OnlyTheFourBytesCount) {
  const __u32 mapped[4] = {0, 0, 0xffff0000, 0x0100000a};
  const __u32 other[4] = {1, 2, 3, 0x0100000a};
  EXPECT_EQ(lb_flow_hash(1, 2, mapped, 3, 0), lb_flow_hash(1, 2, other, 3, 0));
}

TEST(FlowHashTest, TheOuterHashHasNoneOfTheBitsThatChooseTheSlot) {
  EXPECT_EQ(lb_outer_hash(0x123456789abcdef0), 0x9abcdef0);
}

}  // namespace
}  // namespace lb::dataplane
