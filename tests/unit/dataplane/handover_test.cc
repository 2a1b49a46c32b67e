// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/handover.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <functional>

#include "lbd/dataplane/encode.h"

namespace lb::dataplane {
namespace {

// What another build may have made of the structs.
struct OtherVip {
  __u64 before[2];
  lb_vip vip;
  __u32 behind[2];
};

struct OtherReal {
  __u32 address[4];
  __u32 behind[3];
};

struct OtherBucket {
  __u64 before;
  __u64 entries[LB_FLOW_WAYS];
};

struct OtherConfig {
  lb_handover handover;
  __u32 before[5];
  __u32 fast_hash;
};

lb_handover OtherLayout() {
  lb_handover layout = MakeHandover();
  layout.config_fast_hash = offsetof(OtherConfig, fast_hash);
  layout.real_size = sizeof(OtherReal);
  layout.real_address = offsetof(OtherReal, address);
  layout.bucket_size = sizeof(OtherBucket);
  layout.bucket_entries = offsetof(OtherBucket, entries);
  layout.vip_size = sizeof(OtherVip);
#define LB_MOVE(field) layout.vip_##field += offsetof(OtherVip, vip);
  LB_HANDOVER_VIP_FIELDS(LB_MOVE)
#undef LB_MOVE
  return layout;
}

template <typename T, size_t kCount>
std::span<uint8_t> BytesOf(std::span<T, kCount> values) {
  return {reinterpret_cast<uint8_t*>(values.data()), values.size_bytes()};
}

StatusOr<HandoverReader> ReaderOf(const lb_handover& layout, uint32_t fast_hash = 0) {
  OtherConfig config{.handover = layout, .fast_hash = fast_hash};
  return HandoverReader::Create(BytesOf(std::span(&config, 1)));
}

StatusOr<HandoverReader> After(const std::function<void(lb_handover&)>& spoil) {
  lb_handover layout = OtherLayout();
  spoil(layout);
  return ReaderOf(layout);
}

TEST(HandoverTest, VipsOfAnotherLayoutAreRead) {
  const HandoverReader reader = ReaderOf(OtherLayout()).value();
  const lb_vip vip = EncodeVip(model::VipKey::Parse("192.0.2.0/24:80-90/tcp").value(),
                               model::Protocol::kTcp, {.place = 0x123456789, .flows = 77});
  OtherVip vips[3] = {};
  vips[2].vip = vip;
  const std::span<uint8_t> bytes = BytesOf(std::span(vips));
  ASSERT_EQ(reader.CountVips(bytes), 3u);
  EXPECT_FALSE(DecodeKey(reader.ReadVip(bytes, 1)));
  const lb_vip read = reader.ReadVip(bytes, 2);
  EXPECT_EQ(DecodeKey(read), DecodeKey(vip));
  EXPECT_EQ(read.place, vip.place);
  EXPECT_EQ(read.hash_k0, vip.hash_k0);
  EXPECT_EQ(read.hash_k1, vip.hash_k1);
  EXPECT_EQ(read.flows, 77u);
  reader.FlowsOf(bytes, 2) |= LB_FLOWS_FROZEN;
  EXPECT_EQ(vips[2].vip.flows, 77u | LB_FLOWS_FROZEN);
}

TEST(HandoverTest, RealsOfAnotherLayoutAreRead) {
  const HandoverReader reader = ReaderOf(OtherLayout()).value();
  OtherReal reals[4] = {};
  const auto address = IpAddress::Parse("2001:db8::7").value();
  std::memcpy(reals[3].address, address.mapped().data(), sizeof(reals[3].address));
  const std::span<uint8_t> bytes = BytesOf(std::span(reals));
  EXPECT_EQ(reader.ReadReal(bytes, 3), address);
  EXPECT_EQ(reader.ReadReal(bytes, 4), std::nullopt);
}

TEST(HandoverTest, FlowsOfAnotherLayoutAreRead) {
  const HandoverReader reader = ReaderOf(OtherLayout()).value();
  OtherBucket buckets[4] = {};
  buckets[2].entries[LB_FLOW_WAYS - 1] = 5;
  const std::span<uint8_t> bytes = BytesOf(std::span(buckets));
  const auto read = reader.ReadBuckets(bytes, 1, 2);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[1].entries[LB_FLOW_WAYS - 1], 5u);
  EXPECT_EQ(read[0].entries[LB_FLOW_WAYS - 1], 0u);
  EXPECT_TRUE(reader.ReadBuckets(bytes, 3, 2).empty());
  EXPECT_TRUE(reader.ReadBuckets(bytes, 5, 1).empty());
}

TEST(HandoverTest, TheHashIsThatOfTheProgram) {
  EXPECT_FALSE(ReaderOf(OtherLayout(), 0)->fast_hash());
  EXPECT_TRUE(ReaderOf(OtherLayout(), 1)->fast_hash());
}

TEST(HandoverTest, OwnConstantsAreUnderstood) {
  lb_config config{.handover = MakeHandover()};
  config.fast_hash = 1;
  const auto reader = HandoverReader::Create(BytesOf(std::span(&config, 1)));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(reader->fast_hash());
}

TEST(HandoverTest, WhatMeansOtherThingsIsRefused) {
  const auto other = After([](lb_handover& layout) { ++layout.version; });
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(other.status().message(), "its maps are those of another version");
  EXPECT_FALSE(HandoverReader::Create({}).ok());
}

TEST(HandoverTest, LayoutsThatCannotBeAreRefused) {
  for (const auto& spoil : std::vector<std::function<void(lb_handover&)>>{
           [](lb_handover& layout) { layout.vip_size = 0; },
           [](lb_handover& layout) { layout.vip_size += 4; },
           [](lb_handover& layout) { layout.vip_address = layout.vip_size - 8; },
           [](lb_handover& layout) { layout.vip_flows += 4; },
           [](lb_handover& layout) { layout.real_size = 12; },
           [](lb_handover& layout) { layout.real_address = 16; },
           [](lb_handover& layout) { layout.bucket_size = 64; },
           [](lb_handover& layout) { layout.bucket_entries = 12; },
           [](lb_handover& layout) { layout.config_fast_hash = sizeof(OtherConfig); }}) {
    EXPECT_EQ(After(spoil).status().message(), "it tells layouts of its maps that cannot be");
  }
}

}  // namespace
}  // namespace lb::dataplane
