// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/model/config_testing.h"

namespace lb::model {
namespace {

using absl::StatusCode;

const VipKey kWeb = Key("192.0.2.1:80/tcp");
const VipKey kDns = Key("[2001:db8::53]:53/udp");
const VipKey kNone = Key("192.0.2.9:80/tcp");
const IpAddress kReal1 = Ip("10.0.0.1");
const IpAddress kReal2 = Ip("10.0.0.2");
const IpAddress kReal3 = Ip("10.0.0.3");

class ChangeTest : public testing::Test {
 protected:
  ChangeTest() {
    before_.settings.interfaces = {"eth0"};
    before_.vips[0].name = "web";
    expected_ = before_;
  }

  // Checks that `change` turns `before_` into `expected_`, and leaves its argument alone.
  void Expect(const Change& change) {
    const Config argument = before_;
    const auto after = Apply(argument, change);
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(*after, expected_);
    EXPECT_EQ(argument, before_);
  }

  void ExpectRefused(const Change& change, StatusCode code, std::string_view message) {
    const Config argument = before_;
    const auto after = Apply(argument, change);
    EXPECT_EQ(after.status().code(), code);
    EXPECT_EQ(Message(after.status()), message);
    EXPECT_EQ(argument, before_);
  }

  Config before_ = ConfigOf({VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "10.0.0.2"}),
                             VipOf("[2001:db8::53]:53/udp", {"10.0.0.1"})});
  Config expected_;
};

TEST_F(ChangeTest, ReplaceConfigReplacesAllButTheKey) {
  before_.settings.hash_key = expected_.settings.hash_key = {1, 2};
  Config other = ConfigOf({VipOf("192.0.2.3:80")});
  other.settings.interfaces = {"eth7"};
  other.settings.hash_key = {3, 4};
  expected_ = other;
  expected_.settings.hash_key = {1, 2};
  Expect(ReplaceConfig{.config = other});
}

TEST_F(ChangeTest, ReplaceConfigReplacesAKeyThatIsGiven) {
  const Config other = ConfigOf({});
  expected_ = other;
  expected_.settings.hash_key = {5, 6};
  Expect(ReplaceConfig{.config = other, .hash_key = HashKey{5, 6}});
}

TEST_F(ChangeTest, ReplaceConfigByItselfChangesNothing) {
  Expect(ReplaceConfig{.config = before_});
}

TEST_F(ChangeTest, ABadReplacementIsRefusedByThePathsOfTheDocument) {
  Config other = before_;
  other.vips[1].reals[0].weight = 2000000;
  ExpectRefused(ReplaceConfig{.config = other}, StatusCode::kInvalidArgument,
                "vips[1].reals[0].weight: must be 0..1000000, got 2000000");
}

TEST_F(ChangeTest, AddVipAddsAtTheEnd) {
  const Vip vip = VipOf("192.0.2.1:81/tcp", {"10.0.0.3"});
  expected_.vips.push_back(vip);
  Expect(AddVip{vip});
}

TEST_F(ChangeTest, AddVipRefusesAKeyThatExists) {
  ExpectRefused(AddVip{VipOf("192.0.2.1:80/tcp")}, StatusCode::kAlreadyExists,
                "VIP 192.0.2.1:80/tcp exists");
}

TEST_F(ChangeTest, ABadVipIsRefusedByItsNameNotByItsIndex) {
  ExpectRefused(AddVip{VipOf("192.0.2.1:81/tcp", {"10.0.0.3", "10.0.0.3"})},
                StatusCode::kInvalidArgument,
                "192.0.2.1:81/tcp.reals[1].address: 10.0.0.3 is already reals[0] of this VIP");
}

TEST_F(ChangeTest, AddVipStaysWithinTheLimits) {
  before_.settings.limits.vips = 2;
  ExpectRefused(AddVip{VipOf("192.0.2.1:81/tcp")}, StatusCode::kInvalidArgument,
                "vips: 3 VIPs, but limits.vips is 2; raise it");
}

TEST_F(ChangeTest, UpdateVipChangesWhatIsGivenOnly) {
  expected_.vips[0].name = "shop";
  Expect(UpdateVip{.key = kWeb, .name = "shop"});

  expected_ = before_;
  expected_.vips[0].ring.scheme = RingScheme::kMaglev;
  Expect(UpdateVip{.key = kWeb, .ring_scheme = RingScheme::kMaglev});

  expected_ = before_;
  expected_.vips[0].ring.bits = 12;
  Expect(UpdateVip{.key = kWeb, .ring_bits = 12});

  expected_ = before_;
  expected_.vips[0].reals = {{.address = kReal3, .weight = 7}};
  Expect(UpdateVip{.key = kWeb, .reals = expected_.vips[0].reals});
}

TEST_F(ChangeTest, UpdateVipChangesEverythingAtOnce) {
  expected_.vips[1] = {
      .key = kDns, .name = "dns", .ring = {.scheme = RingScheme::kMaglev, .bits = 10}, .reals = {}};
  Expect(UpdateVip{.key = kDns,
                   .name = "dns",
                   .ring_scheme = RingScheme::kMaglev,
                   .ring_bits = 10,
                   .reals = std::vector<Real>()});
}

TEST_F(ChangeTest, UpdateVipWithNothingChangesNothing) { Expect(UpdateVip{.key = kWeb}); }

TEST_F(ChangeTest, UpdateVipNeedsTheVip) {
  ExpectRefused(UpdateVip{.key = kNone, .name = "x"}, StatusCode::kNotFound,
                "no VIP 192.0.2.9:80/tcp");
}

TEST_F(ChangeTest, ABadUpdateIsRefusedAsAWhole) {
  ExpectRefused(UpdateVip{.key = kDns, .name = "dns", .ring_bits = 7}, StatusCode::kInvalidArgument,
                "[2001:db8::53]:53/udp.ring.bits: must be 8..20, got 7");
}

TEST_F(ChangeTest, DeleteVipRemovesItWithItsReals) {
  expected_.vips.erase(expected_.vips.begin());
  Expect(DeleteVip{kWeb});
}

TEST_F(ChangeTest, DeleteVipNeedsTheVip) {
  ExpectRefused(DeleteVip{kNone}, StatusCode::kNotFound, "no VIP 192.0.2.9:80/tcp");
  ExpectRefused(DeleteVip{Key("192.0.2.1:80/udp")}, StatusCode::kNotFound,
                "no VIP 192.0.2.1:80/udp");
}

TEST_F(ChangeTest, AddRealAddsToItsVipOnly) {
  const Real real{.address = kReal3, .weight = 50, .state = RealState::kDown};
  expected_.vips[0].reals.push_back(real);
  Expect(AddReal{.vip = kWeb, .real = real});
}

TEST_F(ChangeTest, AddRealRefusesAnAddressThatTheVipHas) {
  ExpectRefused(AddReal{.vip = kWeb, .real = {.address = kReal2}}, StatusCode::kAlreadyExists,
                "VIP 192.0.2.1:80/tcp has the real 10.0.0.2");
}

TEST_F(ChangeTest, TwoVipsMayHaveTheSameReal) {
  expected_.vips[1].reals.push_back({.address = kReal2});
  Expect(AddReal{.vip = kDns, .real = {.address = kReal2}});
}

TEST_F(ChangeTest, AddRealNeedsTheVip) {
  ExpectRefused(AddReal{.vip = kNone, .real = {.address = kReal3}}, StatusCode::kNotFound,
                "no VIP 192.0.2.9:80/tcp");
}

TEST_F(ChangeTest, ABadRealIsRefused) {
  ExpectRefused(AddReal{.vip = kWeb, .real = {.address = kReal3, .weight = 1000001}},
                StatusCode::kInvalidArgument,
                "192.0.2.1:80/tcp.reals[2].weight: must be 0..1000000, got 1000001");
  ExpectRefused(AddReal{.vip = kWeb, .real = {.address = kWeb.address}},
                StatusCode::kInvalidArgument,
                "192.0.2.1:80/tcp.reals[2].address: is the VIP itself; a real needs an address of "
                "its own");
}

TEST_F(ChangeTest, UpdateRealChangesWhatIsGivenOnly) {
  expected_.vips[0].reals[1].weight = 0;
  Expect(UpdateReal{.vip = kWeb, .address = kReal2, .weight = 0});

  expected_ = before_;
  expected_.vips[0].reals[1].state = RealState::kDown;
  Expect(UpdateReal{.vip = kWeb, .address = kReal2, .state = RealState::kDown});

  expected_ = before_;
  Expect(UpdateReal{.vip = kWeb, .address = kReal2});
}

TEST_F(ChangeTest, UpdateRealNeedsTheVipAndTheReal) {
  ExpectRefused(UpdateReal{.vip = kNone, .address = kReal1}, StatusCode::kNotFound,
                "no VIP 192.0.2.9:80/tcp");
  ExpectRefused(UpdateReal{.vip = kDns, .address = kReal2}, StatusCode::kNotFound,
                "VIP [2001:db8::53]:53/udp has no real 10.0.0.2");
}

TEST_F(ChangeTest, ABadWeightIsRefused) {
  ExpectRefused(UpdateReal{.vip = kWeb, .address = kReal2, .weight = 1000001},
                StatusCode::kInvalidArgument,
                "192.0.2.1:80/tcp.reals[1].weight: must be 0..1000000, got 1000001");
}

TEST_F(ChangeTest, DeleteRealRemovesItFromItsVipOnly) {
  expected_.vips[0].reals.erase(expected_.vips[0].reals.begin());
  Expect(DeleteReal{.vip = kWeb, .address = kReal1});
}

TEST_F(ChangeTest, TheLastRealMayGo) {
  expected_.vips[1].reals.clear();
  Expect(DeleteReal{.vip = kDns, .address = kReal1});
}

TEST_F(ChangeTest, DeleteRealNeedsTheVipAndTheReal) {
  ExpectRefused(DeleteReal{.vip = kNone, .address = kReal1}, StatusCode::kNotFound,
                "no VIP 192.0.2.9:80/tcp");
  ExpectRefused(DeleteReal{.vip = kDns, .address = kReal2}, StatusCode::kNotFound,
                "VIP [2001:db8::53]:53/udp has no real 10.0.0.2");
}

TEST_F(ChangeTest, AddingAndDeletingComesBack) {
  const Config added = Apply(before_, AddVip{VipOf("192.0.2.9:80", {"10.0.0.1"})}).value();
  EXPECT_NE(added, before_);
  EXPECT_EQ(Apply(added, DeleteVip{kNone}).value(), before_);

  const Config more = Apply(before_, AddReal{kWeb, {.address = kReal3}}).value();
  EXPECT_NE(more, before_);
  EXPECT_EQ(Apply(more, DeleteReal{kWeb, kReal3}).value(), before_);
}

}  // namespace
}  // namespace lb::model
