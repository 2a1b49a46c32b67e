// SPDX-License-Identifier: Apache-2.0
// Years of changes through the loaded program, with restarts of the daemon.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>
#include <map>
#include <set>

#include "lbd/dataplane/encode.h"
#include "lbd/model/flow_table.h"
#include "tests/bpf/balancer.h"
#include "tests/support/tracking_fuzz.h"

namespace lb::testing {
namespace {

using dataplane::Place;

constexpr uint8_t kSyn = 0x02, kAck = 0x10, kFinAck = 0x11, kRst = 0x04;

// One VIP of a forwarder, and its words in the maps.
class LoadedVip : public TrackedVip {
 public:
  LoadedVip(model::VipKey key, uint32_t entries)
      : key_(key), entries_(entries), balancer_(Small()) {}

  std::optional<IpAddress> Send(uint32_t flow, lb_flow_event event) override {
    const uint8_t flags = event == LB_FLOW_OPEN  ? kSyn
                          : event == LB_FLOW_END ? (flow % 2 == 0 ? kFinAck : kRst)
                                                 : kAck;
    const ProgRun run = balancer_.SendFast(Flow(flow, key_, flags));
    if (run.action == XDP_DROP) return std::nullopt;
    EXPECT_EQ(run.action, XDP_TX);
    return RealOf(run.out);
  }

  void Configure(const model::Vip& vip, std::shared_ptr<const model::Ring> ring) override {
    service_ = {vip, std::move(ring)};
    service_.vip.key = key_;
    service_.vip.flows.entries = entries_;
    balancer_.Serve({service_});
  }

  void Restart(const std::function<void()>& meanwhile) override {
    balancer_.Restart({service_}, meanwhile);
  }

  void Pass(uint32_t seconds) override { balancer_.Pass(seconds); }

  void Sweep() override {
    const auto refused = balancer_.Table<uint8_t>("lb_refused");
    refusals_ += std::ranges::count(refused, 1);
    balancer_.Sweep();
  }

  Standing StandingOf(uint32_t flow) override {
    const uint64_t hash = FlowHash(balancer_.settings().hash_key, flow, key_);
    const lb_vip& vip = Entry();
    const Place place = dataplane::DecodePlace(vip.place);
    const size_t index = place.ring_start + (hash >> (64 - place.ring_bits));
    const uint16_t word = balancer_.Table<uint16_t>("lb_ring")[index];
    Standing standing{.old = NameOf(vip, word & LB_RING_REAL_MASK),
                      .entry = {},
                      .tracked = (word & LB_RING_TRACK) != 0,
                      .refused = balancer_.Table<uint8_t>("lb_refused")[index] != 0};
    const auto flows = dataplane::DecodeFlowPlace(vip.flows);
    if (!flows.exists()) return standing;
    const lb_flow_bucket& bucket = balancer_.flow_table()[flows.start + hash % flows.size()];
    const int way = lb_flow_find(&bucket, lb_flow_fingerprint(hash));
    if (way >= 0) standing.entry = NameOf(vip, lb_flow_entry_real(bucket.entries[way]));
    return standing;
  }

  void ForgetRefusals() override { std::ranges::fill(balancer_.Table<uint8_t>("lb_refused"), 0); }
  // Slots in which a sweep found a refusal.
  uint64_t refusals() const override { return refusals_; }

  size_t StrayEntries() override {
    const lb_vip& vip = Entry();
    const Place place = dataplane::DecodePlace(vip.place);
    const auto ring = balancer_.Table<uint16_t>("lb_ring");
    size_t stray = 0;
    model::FlowTable(balancer_.flow_table()).Visit([&](uint64_t entry) {
      const size_t slot =
          lb_flow_entry_fingerprint(entry) >> (LB_FLOW_FINGERPRINT_BITS - place.ring_bits);
      stray += (ring[place.ring_start + slot] & LB_RING_TRACK) == 0;
    });
    return stray;
  }

  std::vector<std::optional<IpAddress>> StableOwners() override {
    const lb_vip& vip = Entry();
    const Place place = dataplane::DecodePlace(vip.place);
    const auto ring = balancer_.Table<uint16_t>("lb_ring");
    std::vector<std::optional<IpAddress>> owners;
    for (size_t slot = 0; slot < size_t{1} << place.ring_bits; ++slot) {
      const uint16_t word = ring[place.ring_start + slot];
      if ((word & LB_RING_TRACK) != 0) return {};
      owners.push_back(NameOf(vip, word));
    }
    return owners;
  }

 private:
  static model::Settings Small() {
    model::Settings settings;
    settings.limits = {.vips = 4, .reals = 256, .ring_slots = 1 << 14, .flows = 1 << 14};
    return settings;
  }
  const lb_vip& Entry() const {
    for (const lb_vip& vip : balancer_.Table<lb_vip>("lb_vips")) {
      if (dataplane::DecodeKey(vip) == key_) return vip;
    }
    ADD_FAILURE() << "the VIP is gone";
    static const lb_vip none{};
    return none;
  }
  std::optional<IpAddress> NameOf(const lb_vip& vip, uint16_t number) const {
    if (number == 0) return std::nullopt;
    const Place place = dataplane::DecodePlace(vip.place);
    const auto reals = balancer_.Table<lb_real>("lb_reals");
    return dataplane::DecodeAddress(reals[place.real_start + number].address);
  }

  model::VipKey key_;
  uint32_t entries_;
  Balancer balancer_;
  dataplane::Service service_;
  uint64_t refusals_ = 0;
};

FuzzResult RunLoaded(const char* key, uint32_t entries, const FuzzOptions& options) {
  LoadedVip vip(Key(key), entries);
  const FuzzResult result = Fuzz(vip, options);
  std::printf("%s, %u entries: %s\n", key, entries, result.ToString().c_str());
  return result;
}

void ExpectSound(const FuzzResult& result) {
  EXPECT_EQ(result.broken, 0u) << result.first;
  EXPECT_EQ(result.violations, 0u) << result.first;
  EXPECT_TRUE(result.pure) << result.first;
}

class LoadedTrackingFuzzTest : public ::testing::TestWithParam<const char*> {
 protected:
  const bool udp_ = Key(GetParam()).protocol == model::Protocol::kUdp;
};
INSTANTIATE_TEST_SUITE_P(Vips, LoadedTrackingFuzzTest,
                         ::testing::Values("192.0.2.80:80/tcp", "[2001:db8:5::80]:80/tcp",
                                           "192.0.2.80:53/udp"));

TEST_P(LoadedTrackingFuzzTest, NoConnectionBreaksWithRoomForAll) {
  ExpectSound(RunLoaded(GetParam(), 4096, {.seed = 1, .more_bits = 2, .udp = udp_}));
}

TEST_P(LoadedTrackingFuzzTest, NoConnectionBreaksWhereFlowsAreRefused) {
  const FuzzResult result =
      RunLoaded(GetParam(), 64, {.seed = 11, .more_bits = 1, .change_percent = 10, .udp = udp_});
  ExpectSound(result);
  EXPECT_GT(result.refusals, 100u);
}

TEST_P(LoadedTrackingFuzzTest, NoConnectionBreaksWhereChangesAreMany) {
  ExpectSound(RunLoaded(GetParam(), 512,
                        {.seed = 21,
                         .steps = 200,
                         .tuples = 900,
                         .reals = 3,
                         .change_percent = 80,
                         .restart_percent = 10,
                         .udp = udp_}));
}

// Without one of its rules tracking breaks connections: the test can fail.
TEST_P(LoadedTrackingFuzzTest, BitesWhereFlipsDoNotWaitForRefusedFlows) {
  const FuzzResult result = RunLoaded(
      GetParam(), 64, {.seed = 11, .change_percent = 10, .udp = udp_, .defer_flips = false});
  EXPECT_GT(result.broken, 100u);
  EXPECT_GT(result.violations, 100u);
}

}  // namespace
}  // namespace lb::testing
