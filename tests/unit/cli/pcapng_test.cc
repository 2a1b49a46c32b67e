// SPDX-License-Identifier: Apache-2.0
#include "cli/pcapng.h"

#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

namespace lb::cli {
namespace {

uint32_t Word(const std::string& bytes, size_t at) {
  uint32_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof(word));
  return word;
}

// The blocks of a file; each says its length at both ends.
std::vector<std::string> Blocks(const std::string& file) {
  std::vector<std::string> blocks;
  for (size_t at = 0; at + 12 <= file.size();) {
    const uint32_t length = Word(file, at + 4);
    EXPECT_EQ(length % 4, 0u);
    EXPECT_LE(at + length, file.size());
    if (length < 12 || at + length > file.size()) break;
    EXPECT_EQ(Word(file, at + length - 4), length);
    blocks.push_back(file.substr(at, length));
    at += length;
  }
  return blocks;
}

TEST(PcapngTest, AFileHasASectionAnInterfaceAndPackets) {
  std::ostringstream out;
  PcapngWriter writer(out, "test", 2048);
  writer.Write({.time_nanos = (7ull << 32) + 5,
                .frame = "0123456789abc",
                .length = 99,
                .outgoing = true,
                .comment = "why"});
  const auto blocks = Blocks(out.str());
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(Word(blocks[0], 0), 0x0a0d0d0au);
  EXPECT_EQ(Word(blocks[0], 8), 0x1a2b3c4du);
  EXPECT_EQ(Word(blocks[1], 0), 1u);
  EXPECT_EQ(Word(blocks[1], 12), 2048u);
  const std::string& packet = blocks[2];
  EXPECT_EQ(Word(packet, 0), 6u);
  EXPECT_EQ(Word(packet, 12), 7u);  // high, then low half of the time
  EXPECT_EQ(Word(packet, 16), 5u);
  EXPECT_EQ(Word(packet, 20), 13u);
  EXPECT_EQ(Word(packet, 24), 99u);
  EXPECT_EQ(packet.substr(28, 16), std::string("0123456789abc\0\0\0", 16));
  EXPECT_EQ(packet.substr(44, 8), std::string("\2\0\4\0\2\0\0\0", 8));  // flags: outbound
  EXPECT_EQ(packet.substr(52, 8), std::string("\1\0\3\0why\0", 8));     // comment
}

TEST(PcapngTest, WithoutACommentThereIsNoOptionForIt) {
  std::ostringstream out;
  PcapngWriter writer(out, "test", 64);
  writer.Write({.frame = "0123", .length = 4});
  const auto blocks = Blocks(out.str());
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[2].size(), 28u + 4 + 8 + 4 + 4);
}

}  // namespace
}  // namespace lb::cli
