// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/test_run.h"

#include <fmt/format.h>

#include <array>

#include "tests/bench/contenders.h"
#include "tests/bench/wrapper.h"

namespace lb::bench {
namespace {

constexpr int kBurstsPerRun = 5;
// The interface that test runs arrive on: loopback.
constexpr int kIngressInterface = 1;

StatusOr<double> RunContender(Wrapper& wrapper, const Contenders& contenders, Contender contender,
                              uint32_t packets) {
  const uint64_t before = contenders.counted();
  auto ns = wrapper.Run(contenders.fd(contender), contenders.expected(contender), packets);
  if (!ns.ok()) return Annotate(ns.status(), ToString(contender));
  const uint64_t counted = contenders.counted() - before;
  if (const uint64_t sent = IsLbd(contender) ? packets : 0; counted != sent) {
    return Internal(fmt::format("lbd counted {} packets of {}", counted, sent));
  }
  return *ns / packets;
}

// The effect of one packet, and of the next one, which the first must not have spoilt.
Status CheckEffects(Wrapper& wrapper, const Contenders& contenders) {
  for (const Contender contender : kContenders) {
    for (const uint32_t packets : {1, 2}) {
      LB_RETURN_IF_ERROR(RunContender(wrapper, contenders, contender, packets).status());
    }
  }
  return OkStatus();
}

Status CheckServerIds(const Contenders& contenders, const Case& c) {
  const uint64_t routed = contenders.routed_by_id();
  if (routed == (c.server_ids ? contenders.counted() : 0)) return OkStatus();
  return Internal(fmt::format("{} packets of {} were routed by id", routed, contenders.counted()));
}

// Where all flows are recorded they are, and nowhere else is any.
Status CheckTracking(const Contenders& contenders, const Case& c) {
  const uint64_t tracked = contenders.Tracked();
  const bool always = c.tracking == model::Tracking::kAlways;
  if (always ? tracked >= c.flows * 0.99 : tracked == 0) return OkStatus();
  return Internal(fmt::format("{} flows are tracked", tracked));
}

}  // namespace

StatusOr<std::vector<Result>> MeasureByTestRun(const Case& c, int runs) {
  const dataplane::NextHop hop{.destination = testing::kGatewayMac,
                               .source = testing::kBalancerMac,
                               .ifindex = kIngressInterface,
                               .mtu = 1500};
  LB_ASSIGN_OR_RETURN(const Contenders contenders, Contenders::Load(c, hop));
  LB_ASSIGN_OR_RETURN(Wrapper wrapper, Wrapper::Load(c));
  LB_RETURN_IF_ERROR(CheckEffects(wrapper, contenders));
  LB_RETURN_IF_ERROR(wrapper.RunEveryFlow([&](uint32_t packets) {
    return RunContender(wrapper, contenders, Contender::kLbd, packets).status();
  }));

  std::array<std::vector<double>, kContenders.size()> ns;
  for (int run = 0; run < runs; ++run) {
    std::array<std::vector<double>, kContenders.size()> bursts;
    for (int burst = 0; burst < kBurstsPerRun; ++burst) {
      for (size_t i = 0; i < kContenders.size(); ++i) {
        LB_ASSIGN_OR_RETURN(const double value,
                            RunContender(wrapper, contenders, kContenders[i], Wrapper::kBurst));
        bursts[i].push_back(value);
      }
    }
    for (size_t i = 0; i < kContenders.size(); ++i) ns[i].push_back(Median(bursts[i]));
  }
  LB_RETURN_IF_ERROR(CheckTracking(contenders, c));
  LB_RETURN_IF_ERROR(CheckServerIds(contenders, c));
  std::vector<Result> results;
  for (size_t i = 0; i < kContenders.size(); ++i) {
    results.push_back(Summarize(c.name, ToString(kContenders[i]), ns[i]));
  }
  return results;
}

}  // namespace lb::bench
