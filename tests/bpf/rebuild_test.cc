// SPDX-License-Identifier: Apache-2.0
// Maps that were changed step by step say the same as maps that were filled at once.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "lbd/control/ring_cache.h"
#include "lbd/dataplane/forwarder.h"
#include "lbd/dataplane/image.h"
#include "lbd/model/change.h"
#include "tests/unit/model/config_testing.h"

namespace lb::dataplane {
namespace {

using model::Ip;
using model::Key;

constexpr int kSteps = 300;

// The real that each slot leads to, by VIP.
using Picture = std::map<model::VipKey, std::vector<IpAddress>>;

Picture PictureOf(const Forwarder& forwarder) {
  const auto image = Image::Open(forwarder.program().id());
  EXPECT_TRUE(image.ok()) << image.status();
  Picture picture;
  for (const VipImage& vip : image->vips()) {
    std::vector<IpAddress>& slots = picture[vip.key];
    for (const uint16_t word : vip.ring) {
      const auto real = vip.reals.find(word & LB_RING_REAL_MASK);
      slots.push_back(real == vip.reals.end() ? IpAddress() : real->second);
    }
  }
  return picture;
}

std::vector<Service> ServicesOf(const model::Config& config, control::RingCache& rings) {
  std::vector<Service> services;
  for (const model::Vip& vip : config.vips) services.push_back({vip, rings.Get(vip)});
  return services;
}

model::Change AnyChange(std::mt19937& random) {
  const auto key = Key(fmt::format("192.0.2.{}:80/tcp", random() % 4 + 1));
  const auto real = Ip(fmt::format("10.0.0.{}", random() % 9 + 1));
  switch (random() % 7) {
    case 0:
      return model::AddVip{{.key = key,
                            .ring = {.bits = static_cast<int>(8 + random() % 3)},
                            .tracking = model::Tracking::kNone}};
    case 1:
      if (random() % 3 == 0) return model::DeleteVip{key};
      return model::UpdateReal{.vip = key, .address = real, .state = model::RealState::kDown};
    case 2:
      return model::UpdateReal{.vip = key, .address = real, .state = model::RealState::kActive};
    case 3:
      return model::DeleteReal{key, real};
    case 4:
      return model::UpdateReal{.vip = key, .address = real, .weight = random() % 200};
    default:
      return model::AddReal{key, {.address = real}};
  }
}

TEST(RebuildTest, AnySequenceOfChangesLeadsToTheMapsOfARebuild) {
  model::Config config;
  config.settings.limits = {.vips = 16, .reals = 256, .ring_slots = 1 << 14, .flows = 1 << 10};
  std::mt19937 random(3);
  control::RingCache rings;
  auto stepwise = Forwarder::Create(config.settings);
  ASSERT_TRUE(stepwise.ok()) << stepwise.status();
  int made = 0;
  for (int step = 0; step < kSteps; ++step) {
    if (!model::Make(config, AnyChange(random)).ok()) continue;
    ++made;
    const Status status = (*stepwise)->Update(ServicesOf(config, rings));
    ASSERT_TRUE(status.ok()) << status;
    if (step % 3 == 0) (*stepwise)->Sweep();
    if (step % 10 != 0) continue;
    auto rebuilt = Forwarder::Create(config.settings);
    ASSERT_TRUE(rebuilt.ok()) << rebuilt.status();
    ASSERT_TRUE((*rebuilt)->Update(ServicesOf(config, rings)).ok());
    ASSERT_EQ(PictureOf(**stepwise), PictureOf(**rebuilt)) << "step " << step;
  }
  EXPECT_GT(made, kSteps / 5);
}

}  // namespace
}  // namespace lb::dataplane
