// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "lbd/model/ring_builder.h"

namespace lb::model {
namespace {

std::vector<RingMember> Members(int64_t count) {
  std::vector<RingMember> members;
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t bytes[] = {10, 0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)};
    members.push_back({.address = *IpAddress::FromBytes(bytes), .weight = 100});
  }
  return members;
}

void BM_Primary(benchmark::State& state, RingScheme scheme) {
  const auto members = Members(state.range(0));
  const auto bits = static_cast<int>(state.range(1));
  for (auto _ : state) {
    benchmark::DoNotOptimize(GetRingBuilder(scheme).BuildPrimary(members, bits));
  }
}

void BM_OverlayOneDown(benchmark::State& state, RingScheme scheme) {
  auto members = Members(state.range(0));
  const auto bits = static_cast<int>(state.range(1));
  const Ring primary = GetRingBuilder(scheme).BuildPrimary(members, bits);
  members[1].usable = false;
  for (auto _ : state) benchmark::DoNotOptimize(OverlayHealth(primary, members));
}

void RealsAndBits(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"reals", "bits"})->Unit(benchmark::kMillisecond);
  for (int bits : {14, 16, 18}) {
    for (int reals : {10, 100, 1000}) bench->Args({reals, bits});
  }
}

BENCHMARK_CAPTURE(BM_Primary, rendezvous, RingScheme::kRendezvous)->Apply(RealsAndBits);
BENCHMARK_CAPTURE(BM_Primary, maglev, RingScheme::kMaglev)->Apply(RealsAndBits);
BENCHMARK_CAPTURE(BM_OverlayOneDown, rendezvous, RingScheme::kRendezvous)->Apply(RealsAndBits);
BENCHMARK_CAPTURE(BM_OverlayOneDown, maglev, RingScheme::kMaglev)->Apply(RealsAndBits);

}  // namespace
}  // namespace lb::model
