// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "lb/abi.h"
#include "lbd/dataplane/region_allocator.h"
#include "lbd/model/vip.h"

namespace lb::dataplane {

// What the program knows of server ids (see lb/server_id.h): a part of its own for each VIP, made
// anew whenever its ids change, so that a packet sees the old ids or the new ones.
// Thread-compatible.
class ServerIds {
 public:
  using RealsById = std::map<uint64_t, uint16_t>;  // VIP-local numbers
  // A part: entry `config` of lb_id_configs, 0 where there is none, and its buckets.
  struct Part {
    uint16_t config = 0;
    uint32_t start = 0;
    uint8_t bits = 0;
    uint8_t seed = 0;

    bool exists() const { return config != 0; }
  };

  // Both are mapped tables, powers of two, zeroed; they outlive this.
  ServerIds(std::span<lb_id_config> configs, std::span<lb_server_id_bucket> buckets);

  // Room for the ids of `vip`, which no packet can reach; empty where there is none.
  std::optional<Part> Allocate(const model::Vip& vip);
  void Write(const Part& part, const model::RouteById& how, const RealsById& reals);
  // Takes one id out of a part that packets use: it is unknown from now on.
  void Withdraw(const Part& part, uint64_t id);
  // Once no packet uses it.
  void Free(const Part& part);

 private:
  // The first seed by which no bucket of 2^bits overflows.
  static std::optional<uint8_t> FindSeed(const model::Vip& vip, int bits);
  lb_server_id_bucket& BucketOf(const Part& part, uint64_t id);

  std::span<lb_id_config> configs_;
  std::span<lb_server_id_bucket> buckets_;
  RegionAllocator free_configs_;
  RegionAllocator free_buckets_;
};

}  // namespace lb::dataplane
