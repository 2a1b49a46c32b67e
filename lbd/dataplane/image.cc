// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/image.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <set>

#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/bpf_info.h"
#include "lbd/dataplane/grace_period.h"
#include "lbd/model/flow_table.h"

namespace lb::dataplane {
namespace {

// The constants of a program: the only map that is not one of the tables.
StatusOr<lb_config> ReadConfig(const UniqueFd& map) {
  bpf_map_info info{};
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(map.get(), &info, &length) != 0) {
    return ErrnoStatus(errno, "ask for a BPF map");
  }
  if (!std::string_view(info.name).ends_with(".rodata")) return NotFound("not the constants");
  std::vector<uint8_t> value(info.value_size);
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(map.get(), &zero, value.data()) != 0) {
    return ErrnoStatus(errno, "read the constants of the program");
  }
  lb_config config{};
  std::memcpy(&config, value.data(), std::min(value.size(), sizeof(config)));
  if (value.size() != sizeof(config) || config.abi_version != LB_ABI_VERSION) {
    return FailedPrecondition("its maps are those of another version");
  }
  return config;
}

template <typename T>
std::span<T> Part(const MappedArray* map, size_t start, size_t count) {
  const std::span<T> all = map->as<T>();
  return start <= all.size() && count <= all.size() - start ? all.subspan(start, count)
                                                            : std::span<T>();
}

}  // namespace

StatusOr<Image> Image::Open(uint32_t program_id) {
  const UniqueFd program(bpf_prog_get_fd_by_id(program_id));
  return Open(program, [](uint32_t id) { return UniqueFd(bpf_map_get_fd_by_id(id)); });
}

StatusOr<Image> Image::Open(const UniqueFd& program, const OpenMap& open_map) {
  if (!program.valid()) return ErrnoStatus(errno, "open the program");
  LB_ASSIGN_OR_RETURN(const auto ids, MapIdsOf(program.get()));
  Image image;
  std::optional<lb_config> config;
  for (const uint32_t id : ids) {
    UniqueFd fd = open_map(id);
    if (!fd.valid()) return ErrnoStatus(errno, fmt::format("open BPF map {}", id));
    if (auto constants = ReadConfig(fd); constants.ok()) {
      config = *constants;
    } else if (constants.status().code() != absl::StatusCode::kNotFound) {
      return constants.status();
    } else {
      auto map = MappedArray::Open(std::move(fd));
      if (map.status().code() == absl::StatusCode::kNotFound) continue;  // made anew
      LB_RETURN_IF_ERROR(map.status());
      image.maps_.push_back(*std::move(map));
    }
  }
  if (!config) return FailedPrecondition("it has no constants");
  image.fast_hash_ = config->fast_hash != 0;
  LB_RETURN_IF_ERROR(image.Read());
  return image;
}

const MappedArray* Image::Find(const std::string& name) const {
  const auto it = std::ranges::find(maps_, name, &MappedArray::name);
  return it == maps_.end() ? nullptr : &*it;
}

Status Image::Read() {
  for (const char* name : {"lb_vips", "lb_wide_vips", "lb_ring", "lb_ring_next", "lb_refused",
                           "lb_reals", "lb_flows"}) {
    if (Find(name) == nullptr) return FailedPrecondition(fmt::format("it has no map {}", name));
  }
  std::set<model::VipKey> seen;
  for (const std::span<lb_vip> entries : Entries()) {
    for (const lb_vip& entry : entries) {
      const auto key = DecodeKey(entry);
      // A VIP of both protocols has two entries, of which that of TCP has the VIP's own key. An
      // entry that was being moved when the daemon died is there twice.
      if (!key || (entry.both_protocols != 0 && entry.protocol != IPPROTO_TCP) ||
          !seen.insert(*key).second) {
        continue;
      }
      LB_RETURN_IF_ERROR(ReadVip(*key, entry));
    }
  }
  return OkStatus();
}

std::vector<std::span<lb_vip>> Image::Entries() const {
  return {Find("lb_vips")->as<lb_vip>(), Find("lb_wide_vips")->as<lb_vip>()};
}

Status Image::ReadVip(const model::VipKey& key, const lb_vip& entry) {
  VipImage vip{.key = key,
               .flow_key = {entry.hash_k0, entry.hash_k1},
               .options = static_cast<uint16_t>(entry.options & LB_HASH_OPTIONS),
               .place = DecodePlace(entry.place),
               .flow_place = DecodeFlowPlace(entry.flows)};
  const size_t slots = size_t{1} << vip.place.ring_bits;
  vip.ring = Part<uint16_t>(Find("lb_ring"), vip.place.ring_start, slots);
  vip.ring_next = Part<uint16_t>(Find("lb_ring_next"), vip.place.ring_start, slots);
  vip.refused = Part<uint8_t>(Find("lb_refused"), vip.place.ring_start, slots);
  vip.flows = Part<lb_flow_bucket>(Find("lb_flows"), vip.flow_place.start, vip.flow_place.size());
  if (vip.ring.empty() || vip.ring_next.empty() || vip.refused.empty()) {
    return FailedPrecondition(fmt::format("the ring of {} is out of bounds", key.ToString()));
  }
  if (vip.flow_place.exists() && vip.flows.empty()) {
    return FailedPrecondition(fmt::format("the flows of {} are out of bounds", key.ToString()));
  }
  ReadReals(vip);
  vips_.push_back(std::move(vip));
  return OkStatus();
}

template <typename Change>
void Image::ChangeFlows(Change change) {
  for (const std::span<lb_vip> entries : Entries()) {
    for (lb_vip& entry : entries) {
      if (DecodeKey(entry)) change(std::atomic_ref<__u64>(entry.flows));
    }
  }
}

void Image::Freeze() {
  ChangeFlows([](std::atomic_ref<__u64> flows) { flows |= LB_FLOWS_FROZEN; });
  WaitForGracePeriod();
}

void Image::Thaw() {
  ChangeFlows([](std::atomic_ref<__u64> flows) { flows &= ~LB_FLOWS_FROZEN; });
}

void Image::ReadReals(VipImage& vip) const {
  for (size_t slot = 0; slot < vip.ring.size(); ++slot) {
    vip.owners.insert(vip.ring[slot] & LB_RING_REAL_MASK);
    const bool tracked = (vip.ring[slot] & LB_RING_TRACK) != 0;
    if (tracked) vip.owners.insert(vip.ring_next[slot]);
    vip.serving.insert(tracked ? vip.ring_next[slot] : vip.ring[slot] & LB_RING_REAL_MASK);
  }
  vip.owners.erase(0);
  vip.serving.erase(0);
  std::set<uint16_t> numbers = vip.owners;
  model::FlowTable(vip.flows).Visit(
      [&](uint64_t entry) { numbers.insert(lb_flow_entry_real(entry)); });
  numbers.erase(0);
  const auto reals = Find("lb_reals")->as<lb_real>();
  for (const uint16_t number : numbers) {
    const size_t index = size_t{vip.place.real_start} + number;
    if (index < reals.size()) vip.reals[number] = DecodeAddress(reals[index].address);
  }
}

}  // namespace lb::dataplane
