// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/handover.h"

#include <cstddef>
#include <cstring>

#include "lbd/dataplane/encode.h"

namespace lb::dataplane {
namespace {

bool Fits(size_t offset, size_t size, size_t alignment, size_t whole) {
  return offset % alignment == 0 && whole % alignment == 0 && offset + size <= whole;
}

// Whether every field is inside its struct, and aligned.
bool IsSound(const lb_handover& layout) {
  bool sound = Fits(layout.real_address, sizeof(lb_real::address), 4, layout.real_size) &&
               Fits(layout.bucket_entries, sizeof(lb_flow_bucket::entries), 8, layout.bucket_size);
#define LB_CHECK(field)                                            \
  sound = sound && Fits(layout.vip_##field, sizeof(lb_vip::field), \
                        alignof(decltype(lb_vip::field)), layout.vip_size);
  LB_HANDOVER_VIP_FIELDS(LB_CHECK)
#undef LB_CHECK
  return sound;
}

}  // namespace

lb_handover MakeHandover() {
  lb_handover layout{.version = LB_HANDOVER_VERSION,
                     .config_fast_hash = offsetof(lb_config, fast_hash),
                     .real_size = sizeof(lb_real),
                     .real_address = offsetof(lb_real, address),
                     .bucket_size = sizeof(lb_flow_bucket),
                     .bucket_entries = offsetof(lb_flow_bucket, entries),
                     .vip_size = sizeof(lb_vip)};
#define LB_SET(field) layout.vip_##field = offsetof(lb_vip, field);
  LB_HANDOVER_VIP_FIELDS(LB_SET)
#undef LB_SET
  return layout;
}

StatusOr<HandoverReader> HandoverReader::Create(std::span<const uint8_t> constants) {
  lb_handover layout{};
  if (constants.size() >= sizeof(layout)) std::memcpy(&layout, constants.data(), sizeof(layout));
  if (layout.version != LB_HANDOVER_VERSION) {
    return FailedPrecondition("its maps are those of another version");
  }
  uint32_t fast_hash = 0;
  if (!IsSound(layout) ||
      !Fits(layout.config_fast_hash, sizeof(fast_hash), alignof(uint32_t), constants.size())) {
    return FailedPrecondition("it tells layouts of its maps that cannot be");
  }
  std::memcpy(&fast_hash, &constants[layout.config_fast_hash], sizeof(fast_hash));
  return HandoverReader(layout, fast_hash != 0);
}

lb_vip HandoverReader::ReadVip(std::span<const uint8_t> vips, size_t index) const {
  const uint8_t* const entry = vips.data() + index * layout_.vip_size;
  lb_vip vip{};
#define LB_READ(field) std::memcpy(&vip.field, entry + layout_.vip_##field, sizeof(vip.field));
  LB_HANDOVER_VIP_FIELDS(LB_READ)
#undef LB_READ
  return vip;
}

std::atomic_ref<__u64> HandoverReader::FlowsOf(std::span<uint8_t> vips, size_t index) const {
  uint8_t* const entry = vips.data() + index * layout_.vip_size;
  return std::atomic_ref(*reinterpret_cast<__u64*>(entry + layout_.vip_flows));
}

std::optional<IpAddress> HandoverReader::ReadReal(std::span<const uint8_t> reals,
                                                  size_t index) const {
  if (index >= reals.size() / layout_.real_size) return std::nullopt;
  lb_real real{};
  std::memcpy(&real.address, &reals[index * layout_.real_size + layout_.real_address],
              sizeof(real.address));
  return DecodeAddress(real.address);
}

std::vector<lb_flow_bucket> HandoverReader::ReadBuckets(std::span<uint8_t> flows, size_t start,
                                                        size_t count) const {
  const size_t all = flows.size() / layout_.bucket_size;
  if (start > all || count > all - start) return {};
  std::vector<lb_flow_bucket> buckets(count);
  for (size_t i = 0; i < count; ++i) {
    uint8_t* const bucket = &flows[(start + i) * layout_.bucket_size + layout_.bucket_entries];
    auto* const entries = reinterpret_cast<__u64*>(bucket);
    for (size_t way = 0; way < LB_FLOW_WAYS; ++way) {
      buckets[i].entries[way] = std::atomic_ref(entries[way]).load(std::memory_order_relaxed);
    }
  }
  return buckets;
}

}  // namespace lb::dataplane
