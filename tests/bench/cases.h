// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lb/abi.h"
#include "lbd/dataplane/forwarder.h"
#include "tests/bench/bpf/bench_abi.h"
#include "tests/support/packet_builder.h"

namespace lb::bench {

// Traffic, and the configuration that it meets: rendezvous rings of 100 reals.
struct Case {
  std::string_view name;
  uint32_t flows = 1;  // distinct ones; 0: every packet has a source of its own
  uint32_t vips = 1;   // a power of two, at most 64; the flows are spread over them
  bool v6 = false;     // packets and reals
  model::Protocol protocol = model::Protocol::kTcp;
  uint8_t tcp_flags = 0x10;  // ACK
  model::Tracking tracking = model::Tracking::kAuto;
  bool server_ids = false;          // in QUIC connection ids, which are known
  lb_verdict verdict = LB_FORWARD;  // of every packet
};

inline constexpr uint32_t kRandomSources = 0;

std::span<const Case> Cases();
const Case* FindCase(std::string_view name);

model::Settings SettingsOf(const Case& c);
uint32_t FeaturesOf(const Case& c);
std::vector<dataplane::Service> ServicesOf(const Case& c);
testing::Bytes FrameOf(const Case& c);
// What the programs in tests/bench/bpf make such traffic of; not yet where to.
bench_traffic TrafficOf(const Case& c);

}  // namespace lb::bench
