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

namespace lb::dataplane {
namespace {

// The constants of a program: the only map that is not one of the tables. NOT_FOUND: it is one.
StatusOr<HandoverReader> ReadConstants(const UniqueFd& map) {
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
  return HandoverReader::Create(value);
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
  for (const uint32_t id : ids) {
    UniqueFd fd = open_map(id);
    if (!fd.valid()) return ErrnoStatus(errno, fmt::format("open BPF map {}", id));
    if (auto reader = ReadConstants(fd); reader.ok()) {
      image.reader_ = *reader;
    } else if (reader.status().code() != absl::StatusCode::kNotFound) {
      return reader.status();
    } else {
      auto map = MappedArray::Open(std::move(fd));
      if (map.status().code() == absl::StatusCode::kNotFound) continue;  // made anew
      LB_RETURN_IF_ERROR(map.status());
      image.maps_.push_back(*std::move(map));
    }
  }
  if (!image.reader_) return FailedPrecondition("it has no constants");
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
  for (const std::span<uint8_t> vips : VipMaps()) {
    for (size_t i = 0; i < reader_->CountVips(vips); ++i) {
      const lb_vip entry = reader_->ReadVip(vips, i);
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

std::array<std::span<uint8_t>, 2> Image::VipMaps() const {
  return {Find("lb_vips")->as<uint8_t>(), Find("lb_wide_vips")->as<uint8_t>()};
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
  if (vip.ring.empty() || vip.ring_next.empty() || vip.refused.empty()) {
    return FailedPrecondition(fmt::format("the ring of {} is out of bounds", key.ToString()));
  }
  const std::vector<lb_flow_bucket> flows = ReadFlows(vip);
  if (vip.flow_place.exists() && flows.empty()) {
    return FailedPrecondition(fmt::format("the flows of {} are out of bounds", key.ToString()));
  }
  ReadReals(flows, vip);
  vips_.push_back(std::move(vip));
  return OkStatus();
}

std::vector<lb_flow_bucket> Image::ReadFlows(const VipImage& vip) const {
  if (!vip.flow_place.exists()) return {};
  return reader_->ReadBuckets(Find("lb_flows")->as<uint8_t>(), vip.flow_place.start,
                              vip.flow_place.size());
}

template <typename Change>
void Image::ChangeFlows(Change change) {
  for (const std::span<uint8_t> vips : VipMaps()) {
    for (size_t i = 0; i < reader_->CountVips(vips); ++i) {
      if (DecodeKey(reader_->ReadVip(vips, i))) change(reader_->FlowsOf(vips, i));
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

void Image::ReadReals(std::span<const lb_flow_bucket> flows, VipImage& vip) const {
  for (size_t slot = 0; slot < vip.ring.size(); ++slot) {
    vip.owners.insert(vip.ring[slot] & LB_RING_REAL_MASK);
    const bool tracked = (vip.ring[slot] & LB_RING_TRACK) != 0;
    if (tracked) vip.owners.insert(vip.ring_next[slot]);
    vip.serving.insert(tracked ? vip.ring_next[slot] : vip.ring[slot] & LB_RING_REAL_MASK);
  }
  vip.owners.erase(0);
  vip.serving.erase(0);
  std::set<uint16_t> numbers = vip.owners;
  for (const lb_flow_bucket& bucket : flows) {
    for (const uint64_t entry : bucket.entries) numbers.insert(lb_flow_entry_real(entry));
  }
  numbers.erase(0);
  for (const uint16_t number : numbers) {
    const auto real =
        reader_->ReadReal(Find("lb_reals")->as<uint8_t>(), size_t{vip.place.real_start} + number);
    if (real) vip.reals[number] = *real;
  }
}

}  // namespace lb::dataplane
