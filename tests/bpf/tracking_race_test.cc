// SPDX-License-Identifier: Apache-2.0
// Two CPUs send while a third party changes slots, sweeps, and hands over to the next process.
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "lbd/model/ring_builder.h"
#include "tests/bpf/balancer.h"

namespace lb::testing {
namespace {

using model::RealState;

constexpr uint8_t kSyn = 0x02, kAck = 0x10, kRst = 0x04;
constexpr int kReals = 8;
constexpr uint32_t kShared = 200;  // flows of both senders
constexpr uint32_t kOwn = 400;     // of each sender, beginning at 1000 and 2000

class TrackingRaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 1; i <= kReals; ++i) {
      vip_.reals.push_back({.address = Real4(i)});
      hops_[Real4(i)] = Gateway();
    }
    Become(dataplane::Forwarder::Create(settings_, 0, 0, clock()).value());
    Update(*owned_);
  }

  dataplane::Forwarder::Clock clock() {
    return [this] { return now_.load(); };
  }
  void Become(std::unique_ptr<dataplane::Forwarder> forwarder) {
    forwarder->SetNextHops(hops_);
    current_ = forwarder.get();
    before_ = std::move(owned_);
    owned_ = std::move(forwarder);
  }
  Services Wanted() const {
    std::vector<model::RingMember> members;
    for (const model::Real& real : vip_.reals) {
      members.push_back({real.address, real.weight, real.state == RealState::kActive});
    }
    const auto& builder = model::GetRingBuilder(model::RingScheme::kRendezvous);
    return {{vip_, std::make_shared<const model::Ring>(
                       model::OverlayHealth(builder.BuildPrimary(members, bits_), members))}};
  }
  void Update(dataplane::Forwarder& forwarder) {
    const Status status = forwarder.Update(Wanted());
    EXPECT_TRUE(status.ok()) << Message(status);
    forwarder.SetNextHops(hops_);
  }

  // The real of a packet; "::" where there is none.
  IpAddress Send(uint32_t flow, uint8_t flags) {
    ++packets_;
    const StatusOr<ProgRun> run = RunProgram(*current_, Flow(flow, vip_.key, flags));
    return run.ok() && run->action == XDP_TX ? RealOf(run->out) : IpAddress();
  }
  // One packet of a flow that is known to live at `real`.
  void Continue(uint32_t flow, const IpAddress& real, uint8_t flags = kAck) {
    const IpAddress to = Send(flow, flags);
    if (to == real) return;
    if (++broken_ > 1) return;
    const std::lock_guard lock(mutex_);
    first_ =
        "flow " + std::to_string(flow) + " of " + real.ToString() + " went to " + to.ToString();
  }

  void Sender(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    std::mt19937 random(static_cast<uint32_t>(cpu));
    std::map<uint32_t, IpAddress> own;
    while (!stop_) {
      for (uint32_t flow = 0; flow < kShared; ++flow) Continue(flow, shared_[flow]);
      for (uint32_t flow = 1000u * (cpu + 1); flow < 1000u * (cpu + 1) + kOwn; ++flow) {
        auto it = own.find(flow);
        if (it == own.end() || random() % 20 == 0) {  // new, or its addresses and ports again
          if (it != own.end() && random() % 2 == 0) Continue(flow, it->second, kRst);
          own[flow] = Send(flow, kSyn);
          ++flows_;
          it = own.find(flow);
        }
        Continue(flow, it->second);
      }
      ++rounds_[cpu];
    }
  }

  // Every flow has sent a packet since.
  void WaitForARound() {
    const std::array<uint64_t, 2> at = {rounds_[0], rounds_[1]};
    for (int cpu = 0; cpu < 2; ++cpu) {
      while (rounds_[cpu] < at[cpu] + 2) std::this_thread::yield();
    }
  }

  void Change(std::mt19937& random) {
    model::Real& real = vip_.reals[random() % vip_.reals.size()];
    switch (random() % 5) {
      case 0:
        real.weight = 50 + random() % 100;
        break;
      case 1:
        real.state = RealState::kDraining;
        break;
      case 2:
        real.state = RealState::kDown;
        break;
      case 3:
        bits_ = 10 + static_cast<int>(random() % 3);
        break;
      default:
        for (model::Real& each : vip_.reals) each.state = RealState::kActive;
    }
    vip_.reals.front().state = RealState::kActive;
    Update(*owned_);
  }

  void TakeOver() {
    auto image = dataplane::Image::Open(owned_->program().id());
    ASSERT_TRUE(image.ok()) << Message(image.status());
    image->Freeze();
    auto fresh = dataplane::Forwarder::Create(settings_, 0, 0, clock()).value();
    fresh->Adopt(*image, Wanted());
    Update(*fresh);
    Become(std::move(fresh));
    WaitForARound();  // nobody runs the program before any more
    owned_->CatchUp(*image);
    before_.reset();
  }

  model::Settings settings_;
  model::Vip vip_{.key = {kVip4, 80, model::Protocol::kTcp}};
  NextHops hops_;
  int bits_ = 10;
  std::atomic<uint32_t> now_ = 1'000'000;
  std::unique_ptr<dataplane::Forwarder> owned_, before_;
  std::atomic<dataplane::Forwarder*> current_ = nullptr;
  std::array<IpAddress, kShared> shared_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> rounds_[2] = {0, 0};
  std::atomic<uint64_t> packets_ = 0, flows_ = 0, broken_ = 0;
  std::mutex mutex_;
  std::string first_;
};

TEST_F(TrackingRaceTest, NoConnectionMovesWhileSlotsChangeUnderTraffic) {
  for (uint32_t flow = 0; flow < kShared; ++flow) shared_[flow] = Send(flow, kSyn);
  std::thread senders[2] = {std::thread([this] { Sender(0); }), std::thread([this] { Sender(1); })};
  std::mt19937 random(1);
  int changes = 0, sweeps = 0, takeovers = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(6);
  while (std::chrono::steady_clock::now() < end && !HasFatalFailure()) {
    if (random() % 3 == 0) Change(random), ++changes;
    if (random() % 12 == 0) TakeOver(), ++takeovers;
    WaitForARound();
    now_ += 180;  // a fifth of the window
    for (const dataplane::MappedArray* map : owned_->maps()) {
      if (map->name() == "lb_flows") AgeFlows(map->as<lb_flow_bucket>(), 10);
    }
    owned_->Sweep(), ++sweeps;
  }
  stop_ = true;
  for (std::thread& sender : senders) sender.join();
  std::printf("flows=%lu packets=%lu changes=%d sweeps=%d takeovers=%d broken=%lu\n", flows_.load(),
              packets_.load(), changes, sweeps, takeovers, broken_.load());
  EXPECT_EQ(broken_, 0u) << first_;
  EXPECT_GT(flows_, 1000u);
  EXPECT_GT(changes, 10);
  EXPECT_GT(takeovers, 0);
}

}  // namespace
}  // namespace lb::testing
