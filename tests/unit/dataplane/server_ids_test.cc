// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/server_ids.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lbd/dataplane/encode.h"

namespace lb::dataplane {
namespace {

class ServerIdsTest : public ::testing::Test {
 protected:
  static model::Vip VipWith(const std::vector<uint64_t>& ids) {
    model::Vip vip;
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto address = IpAddress::Parse(fmt::format("10.0.{}.{}", i / 250, i % 250 + 1));
      vip.reals.push_back({.address = *address, .server_id = ids[i]});
    }
    return vip;
  }
  // As the program looks it up.
  uint32_t Find(const ServerIds::Part& part, uint64_t id) const {
    const lb_id_config& config = configs_[part.config];
    const uint32_t bucket = lb_server_id_hash(id, config.seed) & ((1u << config.bits) - 1);
    return lb_server_id_find(&buckets_[config.start + bucket], id);
  }
  ServerIds::Part Put(const std::vector<uint64_t>& ids) {
    const auto part = server_ids_.Allocate(VipWith(ids));
    EXPECT_TRUE(part.has_value());
    ServerIds::RealsById reals;
    for (size_t i = 0; i < ids.size(); ++i) reals[ids[i]] = static_cast<uint16_t>(i + 1);
    server_ids_.Write(*part, {.tcp_option = true}, reals);
    return *part;
  }

  std::vector<lb_id_config> configs_ = std::vector<lb_id_config>(4);
  std::vector<lb_server_id_bucket> buckets_ = std::vector<lb_server_id_bucket>(1024);
  ServerIds server_ids_{configs_, buckets_};
};

TEST_F(ServerIdsTest, FindsEveryIdAndNoOther) {
  std::vector<uint64_t> ids;
  for (uint64_t i = 0; i < 1000; ++i) ids.push_back(i * 0x1234567 & 0xffffffffffff);
  const auto part = Put(ids);
  EXPECT_NE(part.config, 0);
  for (size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(Find(part, ids[i]), i + 1);
  for (uint64_t id = 1; id < 1000; ++id) ASSERT_EQ(Find(part, id), 0u);
}

TEST_F(ServerIdsTest, IdZeroIsOne) {
  const auto part = Put({5, 0});
  EXPECT_EQ(Find(part, 0), 2u);
  EXPECT_EQ(Find(Put({5}), 0), 0u);
}

TEST_F(ServerIdsTest, WithdrawnIdIsUnknown) {
  const auto part = Put({1, 2, 3});
  server_ids_.Withdraw(part, 2);
  EXPECT_EQ(Find(part, 1), 1u);
  EXPECT_EQ(Find(part, 2), 0u);
  EXPECT_EQ(Find(part, 3), 3u);
}

TEST_F(ServerIdsTest, PartsAreApartAndComeBack) {
  const auto first = Put({1, 2}), second = Put({2, 1}), third = Put({3});
  EXPECT_EQ(Find(first, 1), 1u);
  EXPECT_EQ(Find(second, 1), 2u);
  EXPECT_FALSE(server_ids_.Allocate(VipWith({4})).has_value());
  server_ids_.Free(third);
  const auto fourth = Put({4});
  EXPECT_EQ(fourth.config, third.config);
  EXPECT_EQ(Find(fourth, 3), 0u);
}

TEST_F(ServerIdsTest, MoreThanThereIsRoomForIsRefusedAndTakesNothing) {
  std::vector<uint64_t> ids(4096);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = i;
  EXPECT_FALSE(server_ids_.Allocate(VipWith(ids)).has_value());
  for (int i = 0; i < 3; ++i) Put({1});
}

TEST(EncodeRouteByIdTest, ServerIdsAreWhereTheConnectionIdsHaveThem) {
  const lb_id_config config = EncodeRouteById({.quic_lb = {1, 6}, .quic_katran = true});
  const uint8_t width[] = {8, 48, 16, 16, 24, 24, 32, 32};
  const uint8_t skip[] = {8, 8, 2, 2, 8, 8, 8, 8};
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(config.width[i], width[i]) << i;
    EXPECT_EQ(config.skip[i], skip[i]) << i;
  }
  EXPECT_EQ(config.sources, LB_ID_QUIC);
  EXPECT_EQ(EncodeRouteById({.tcp_option = true}).sources, LB_ID_TCP_OPTION);
}

}  // namespace
}  // namespace lb::dataplane
