// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <ostream>
#include <string_view>
#include <vector>

#include "lb/abi.h"
#include "lbd/dataplane/forwarder.h"
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

// A loaded forwarder whose frames are followed one by one. Every method fails the test where the
// kernel refuses to play along; none skips.
class Balancer {
 public:
  explicit Balancer(const model::Settings& settings = {});

  dataplane::Forwarder& forwarder() { return *forwarder_; }
  const model::Settings& settings() const { return forwarder_->settings(); }

  // Update() that must succeed, with a next hop through the gateway for every real.
  void Serve(const Services& services);
  void SetNextHops(const NextHops& hops) { forwarder_->SetNextHops(hops); }

  // Sends one frame. Whatever it is, exactly one verdict is counted, the action is the verdict's,
  // and a frame that does not go out leaves the program byte for byte as it came.
  Outcome Send(const Bytes& frame, const ProgRunOptions& options = {});
  // Sends without looking at the counters: faster where very many frames are sent.
  ProgRun SendFast(const Bytes& frame);

  // Packets forwarded to `real` of `vip`.
  dataplane::Counter CounterOf(const model::VipKey& vip, const IpAddress& real) const;

 private:
  std::unique_ptr<dataplane::Forwarder> forwarder_;
};

// The real that an encapsulated frame goes to: its outer destination.
IpAddress RealOf(const Bytes& frame);
IpAddress OuterSourceOf(const Bytes& frame);

// A TCP SYN of a flow numbered 0..: flows differ in source address and port.
Bytes Flow(uint32_t number, const model::VipKey& vip);
IpAddress FlowSource(uint32_t number, const model::VipKey& vip);
uint16_t FlowPort(uint32_t number);

}  // namespace lb::testing
