// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/siphash.h"

#include <gtest/gtest.h>

#include <bit>
#include <numeric>
#include <random>
#include <vector>

namespace lb {
namespace {

// The 64 vectors of the authors' reference implementation (vectors.h of SipHash; the one for 15
// bytes is appendix A of the paper), recomputed with OpenSSL 3.0:
//   openssl mac -macopt hexkey:000102...0f -macopt size:8 SIPHASH
// Entry n: the key 00 01 .. 0f, the message 00 01 .. n-1.
constexpr uint64_t kVectors[64] = {
    0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
    0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
    0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
    0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
    0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
    0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
    0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad,
    0xde4daaaca71dc9a5, 0xa6a2506687956571, 0xad87a3535c49ef28, 0x32d892fad841c342,
    0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
    0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
    0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95,
    0xf935451de4f21df2, 0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
    0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72, 0xa192d576b245165a,
    0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea, 0x245731c13ca42499,
    0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
    0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
};

// Figure 2.1 of the paper, word by word.
uint64_t Reference(const HashKey& key, std::vector<uint8_t> message) {
  uint64_t v0 = key.k0 ^ 0x736f6d6570736575, v1 = key.k1 ^ 0x646f72616e646f6d;
  uint64_t v2 = key.k0 ^ 0x6c7967656e657261, v3 = key.k1 ^ 0x7465646279746573;
  const auto rounds = [&](int count) {
    while (count-- > 0) {
      v0 += v1, v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0, v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32);
      v2 += v1, v0 += v3;
      v1 = std::rotl(v1, 17) ^ v2, v3 = std::rotl(v3, 21) ^ v0;
      v2 = std::rotl(v2, 32);
    }
  };
  const auto length = static_cast<uint8_t>(message.size());
  while (message.size() % 8 != 7) message.push_back(0);
  message.push_back(length);
  for (size_t at = 0; at < message.size(); at += 8) {
    uint64_t word = 0;
    for (size_t i = 8; i-- > 0;) word = word << 8 | message[at + i];
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  v2 ^= 0xff;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

TEST(SipHashTest, AgreesWithThePublishedVectors) {
  const HashKey key{.k0 = 0x0706050403020100, .k1 = 0x0f0e0d0c0b0a0908};
  for (size_t size = 0; size < std::size(kVectors); ++size) {
    std::vector<uint8_t> message(size);
    std::iota(message.begin(), message.end(), 0);
    EXPECT_EQ(SipHash24(key, message), kVectors[size]) << size;
  }
}

TEST(SipHashTest, AgreesWithThePaperForAnyKeyAndMessage) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    const HashKey key{.k0 = random(), .k1 = random()};
    std::vector<uint8_t> message(random() % 600);  // the length wraps at 256
    for (uint8_t& byte : message) byte = static_cast<uint8_t>(random());
    ASSERT_EQ(SipHash24(key, message), Reference(key, message)) << message.size();
  }
}

TEST(SipHashTest, EveryBitOfKeyAndMessageMatters) {
  const HashKey key{.k0 = 1, .k1 = 2};
  const std::vector<uint8_t> message(20, 0x5a);
  const uint64_t hash = SipHash24(key, message);
  for (int bit = 0; bit < 64; ++bit) {
    EXPECT_NE(SipHash24({key.k0 ^ uint64_t{1} << bit, key.k1}, message), hash) << bit;
    EXPECT_NE(SipHash24({key.k0, key.k1 ^ uint64_t{1} << bit}, message), hash) << bit;
  }
  for (size_t bit = 0; bit < message.size() * 8; ++bit) {
    std::vector<uint8_t> other = message;
    other[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_NE(SipHash24(key, other), hash) << bit;
  }
}

}  // namespace
}  // namespace lb
