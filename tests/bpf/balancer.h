// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <span>
#include <string_view>
#include <vector>

#include "lb/abi.h"
#include "lbd/dataplane/forwarder.h"
#include "lbd/dataplane/image.h"
#include "tests/support/packet_builder.h"
#include "tests/support/prog_run.h"

std::string_view NameOf(lb_verdict verdict);
void PrintTo(lb_verdict verdict, std::ostream* out);

namespace lb::testing {

using Services = std::vector<dataplane::Service>;
using NextHops = std::map<IpAddress, dataplane::NextHop>;
using Verdicts = std::array<uint64_t, LB_VERDICT_COUNT>;

// What became of a frame.
struct Outcome {
  lb_verdict verdict = LB_VERDICT_COUNT;
  uint32_t action = 0;  // XDP_*
  Bytes out;
};

model::VipKey Key(std::string_view text);

// A VIP whose slots go to `reals` in turn; without reals every slot is empty.
dataplane::Service MakeService(const model::VipKey& key, const std::vector<IpAddress>& reals,
                               int ring_bits = 8);
// A VIP with this very ring.
dataplane::Service MakeService(const model::VipKey& key, const std::vector<IpAddress>& reals,
                               model::Ring ring);

// Through the gateway, out of the interface that test runs arrive on.
dataplane::NextHop Gateway(uint32_t mtu = 1500);

// A loaded forwarder whose frames are followed one by one, and whose time passes when it is told
// to. Every method fails the test where the kernel refuses to play along; none skips.
class Balancer {
 public:
  // The program has these features (LB_FEATURE_*) only.
  explicit Balancer(const model::Settings& settings = {}, uint32_t features = 0);

  dataplane::Forwarder& forwarder() { return *forwarder_; }
  const dataplane::Forwarder& forwarder() const { return *forwarder_; }
  const model::Settings& settings() const { return forwarder_->settings(); }

  // Update() that must succeed, with a next hop through the gateway for every real.
  void Serve(const Services& services);
  void SetNextHops(const NextHops& hops) { forwarder_->SetNextHops(hops); }

  // Lets time pass, for windows as for the ages of flows.
  void Pass(uint32_t seconds);
  void Sweep();
  // So much time, and so many sweeps, that no change and no flow goes on.
  void Settle();
  // Whether the flow table knows any.
  bool HasFlows();
  // The next process takes over; `meanwhile` is what happens while the first still forwards.
  void Restart(const Services& services, const std::function<void()>& meanwhile = {});
  // Each tracked flow of all VIPs.
  std::span<lb_flow_bucket> flow_table() { return Table<lb_flow_bucket>("lb_flows"); }
  template <typename T>
  std::span<T> Table(std::string_view name) const {
    for (const dataplane::MappedArray* map : forwarder_->maps()) {
      if (map->name() == name) return map->as<T>();
    }
    ADD_FAILURE() << "no table " << name;
    return {};
  }

  // Sends one frame. Whatever it is, exactly one verdict is counted, the action is the verdict's,
  // and a frame that does not go out leaves the program byte for byte as it came.
  Outcome Send(const Bytes& frame, const ProgRunOptions& options = {});
  // Sends without looking at the counters: faster where very many frames are sent.
  ProgRun SendFast(const Bytes& frame);

  // Packets forwarded to `real` of `vip`.
  dataplane::Counter CounterOf(const model::VipKey& vip, const IpAddress& real) const;

 private:
  dataplane::Forwarder::Clock clock() {
    return [now = now_] { return *now; };
  }
  NextHops HopsOf(const Services& services) const;
  // Makes all flows so much older, whatever time has really passed.
  void Age(uint64_t ticks);

  std::shared_ptr<uint32_t> now_ = std::make_shared<uint32_t>(1'000'000);
  uint64_t nanos_ = 0;  // of Pass() that are not yet a tick
  uint64_t tick_ = 0;   // of the kernel's clock, when flows were aged
  std::unique_ptr<dataplane::Forwarder> forwarder_;
};

// Makes flows older, even while packets use the table.
void AgeFlows(std::span<lb_flow_bucket> buckets, uint64_t ticks);

// The real that an encapsulated frame goes to: its outer destination.
IpAddress RealOf(const Bytes& frame);
IpAddress OuterSourceOf(const Bytes& frame);

// A packet of a flow numbered 0..: flows differ in source address and port. TCP packets have these
// flags, by default SYN.
Bytes Flow(uint32_t number, const model::VipKey& vip, uint8_t tcp_flags = 0x02);
// Its flow hash, as lb/flow_hash.h has it.
uint64_t FlowHash(const HashKey& secret, uint32_t number, const model::VipKey& vip);
IpAddress FlowSource(uint32_t number, const model::VipKey& vip);
uint16_t FlowPort(uint32_t number);

}  // namespace lb::testing
