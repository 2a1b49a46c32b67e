// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/server_ids.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <vector>

#include "lbd/dataplane/encode.h"

namespace lb::dataplane {

ServerIds::ServerIds(std::span<lb_id_config> configs, std::span<lb_server_id_bucket> buckets)
    : configs_(configs),
      buckets_(buckets),
      free_configs_(configs.size()),
      free_buckets_(buckets.size()) {
  free_configs_.Allocate(1);  // entry 0 stands for none
}

std::optional<uint8_t> ServerIds::FindSeed(const model::Vip& vip, int bits) {
  const uint32_t mask = (1u << bits) - 1;
  for (uint32_t seed = 0; seed <= std::numeric_limits<uint8_t>::max(); ++seed) {
    std::vector<uint8_t> used(size_t{mask} + 1);
    const bool fits = std::ranges::all_of(vip.reals, [&](const model::Real& real) {
      return !real.server_id ||
             ++used[lb_server_id_hash(*real.server_id, seed) & mask] <= LB_SERVER_ID_WAYS;
    });
    if (fits) return seed;
  }
  return std::nullopt;
}

std::optional<ServerIds::Part> ServerIds::Allocate(const model::Vip& vip) {
  Part part;
  // Two ids in a bucket of eight: a seed that fits is found soon.
  int bits = std::countr_zero(std::bit_ceil(std::max<size_t>(2, vip.reals.size()) / 2));
  auto seed = FindSeed(vip, bits);
  while (!seed) seed = FindSeed(vip, ++bits);
  part.bits = bits;
  part.seed = *seed;
  const auto start = free_buckets_.Allocate(1u << bits);
  const auto config = free_configs_.Allocate(1);
  if (start && config) {
    part.start = *start;
    part.config = *config;
    return part;
  }
  if (start) free_buckets_.Free(*start, 1u << bits);
  if (config) free_configs_.Free(*config, 1);
  return std::nullopt;
}

lb_server_id_bucket& ServerIds::BucketOf(const Part& part, uint64_t id) {
  const uint32_t mask = (1u << part.bits) - 1;
  return buckets_[part.start + (lb_server_id_hash(id, part.seed) & mask)];
}

void ServerIds::Write(const Part& part, const model::RouteById& how, const RealsById& reals) {
  std::ranges::fill(buckets_.subspan(part.start, size_t{1} << part.bits), lb_server_id_bucket{});
  for (const auto& [id, number] : reals) {
    lb_server_id_bucket& bucket = BucketOf(part, id);
    *std::ranges::find(bucket.entries, 0u) = id << LB_SERVER_ID_SHIFT | number;
  }
  lb_id_config config = EncodeRouteById(how);
  config.start = part.start;
  config.bits = part.bits;
  config.seed = part.seed;
  configs_[part.config] = config;
}

void ServerIds::Withdraw(const Part& part, uint64_t id) {
  for (__u64& entry : BucketOf(part, id).entries) {
    if (entry != 0 && entry >> LB_SERVER_ID_SHIFT == id) {
      std::atomic_ref<__u64>(entry).store(0, std::memory_order_relaxed);
    }
  }
}

void ServerIds::Free(const Part& part) {
  free_configs_.Free(part.config, 1);
  free_buckets_.Free(part.start, 1u << part.bits);
}

}  // namespace lb::dataplane
