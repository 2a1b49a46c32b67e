// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/forwarder.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "lbd/dataplane/grace_period.h"

namespace lb::dataplane {
namespace {

// A ring starts on a cache line of its own.
constexpr uint32_t kRingAlignment = 64 / sizeof(uint16_t);

// Entries of lb_reals for a VIP of `reals` reals: the unused one, and room for a quarter more.
uint32_t RealCapacity(size_t reals) { return 1 + reals + std::max<size_t>(1, reals / 4); }

int RingBitsOf(const Service& service) {
  return std::countr_zero(static_cast<uint32_t>(service.ring->size()));
}

}  // namespace

Forwarder::Forwarder(const model::Settings& settings, const MapSizes& sizes)
    : settings_(settings),
      sizes_(sizes),
      ring_regions_(sizes.ring_slots),
      real_regions_(sizes.reals) {}

StatusOr<std::unique_ptr<Forwarder>> Forwarder::Create(const model::Settings& settings,
                                                       uint32_t attempt) {
  const MapSizes sizes = MapSizes::For(settings.limits, libbpf_num_possible_cpus());
  const uint64_t vip_hash_key = SipHash24({attempt, 0}, {});
  std::unique_ptr<Forwarder> self(new Forwarder(settings, sizes));
  const uint64_t counters = uint64_t{sizes.reals} * sizes.cpus;
  const std::tuple<MappedArray*, const char*, uint64_t> maps[] = {
      {&self->vips_map_, "lb_vips", sizeof(lb_vip) * sizes.vips},
      {&self->ring_map_, "lb_ring", sizeof(uint16_t) * sizes.ring_slots},
      {&self->reals_map_, "lb_reals", sizeof(lb_real) * sizes.reals},
      {&self->hops_map_, "lb_next_hops", sizeof(lb_next_hop) * sizes.next_hops},
      {&self->counters_map_, "lb_counters", sizeof(lb_counter) * counters},
      {&self->verdicts_map_, "lb_verdicts", sizeof(uint64_t) * LB_VERDICT_SLOTS * sizes.cpus},
  };
  for (const auto& [map, name, bytes] : maps) {
    if (bytes > INT32_MAX) {
      return ResourceExhausted(std::string("limits need more than 2 GiB in BPF map ") + name);
    }
    LB_ASSIGN_OR_RETURN(*map, MappedArray::Create(name, bytes));
  }
  LB_ASSIGN_OR_RETURN(self->program_,
                      Program::Load(EncodeConfig(settings, sizes, vip_hash_key), self->maps()));
  self->vip_table_ = std::make_unique<VipTable>(self->vips_map_.as<lb_vip>(), vip_hash_key);
  self->hop_table_ = std::make_unique<HopTable>(self->hops_map_.as<lb_next_hop>());
  return self;
}

std::vector<const MappedArray*> Forwarder::maps() const {
  return {&vips_map_, &ring_map_, &reals_map_, &hops_map_, &counters_map_, &verdicts_map_};
}

uint32_t Forwarder::IndexOf(const InstalledVip& vip, const InstalledReal& real) const {
  return vip.place.real_start + real.number;
}

std::optional<Forwarder::InstalledVip> Forwarder::Allocate(const Service& service) {
  InstalledVip vip;
  vip.place.ring_bits = RingBitsOf(service);
  vip.real_capacity = RealCapacity(service.vip.reals.size());
  const auto ring = ring_regions_.Allocate(service.ring->size(), kRingAlignment);
  const auto reals = real_regions_.Allocate(vip.real_capacity);
  if (!ring || !reals) {
    if (ring) ring_regions_.Free(*ring, service.ring->size());
    if (reals) real_regions_.Free(*reals, vip.real_capacity);
    return std::nullopt;
  }
  vip.place.ring_start = *ring;
  vip.place.real_start = *reals;
  return vip;
}

void Forwarder::Release(const InstalledVip& vip) {
  ring_regions_.Free(vip.place.ring_start, 1u << vip.place.ring_bits);
  real_regions_.Free(vip.place.real_start, vip.real_capacity);
}

bool Forwarder::FitsInPlace(const InstalledVip& vip, const Service& service) {
  if (vip.place.ring_bits != RingBitsOf(service)) return false;
  // Numbers of reals that leave are still in use until the change is in force.
  size_t needed = vip.reals.size();
  for (const model::Real& real : service.vip.reals) needed += !vip.reals.contains(real.address);
  return needed < vip.real_capacity;
}

void Forwarder::AddReals(InstalledVip& vip, const Service& service) {
  std::set<uint16_t> used;
  for (const auto& [address, real] : vip.reals) used.insert(real.number);
  const auto entries = reals_map_.as<lb_real>();
  uint16_t number = 1;
  for (const model::Real& real : service.vip.reals) {
    if (vip.reals.contains(real.address)) continue;
    while (used.contains(number)) ++number;
    InstalledReal added{.number = number++};
    const uint32_t index = IndexOf(vip, added);
    added.baseline = RawCounter(index);
    lb_real entry = EncodeReal(real.address, service.vip.key.address.is_v4(), settings_);
    entry.next_hop = hop_table_->IndexOf(real.address);
    entries[index] = entry;
    vip.reals.emplace(real.address, added);
  }
}

void Forwarder::WriteRing(const InstalledVip& vip, const Service& service) {
  std::vector<uint16_t> number_of{0};
  for (const model::Real& real : service.vip.reals) {
    number_of.push_back(vip.reals.at(real.address).number);
  }
  const auto slots = ring_map_.as<uint16_t>().subspan(vip.place.ring_start, service.ring->size());
  for (size_t i = 0; i < slots.size(); ++i) {
    const uint16_t number = number_of.at((*service.ring)[i]);
    std::atomic_ref<uint16_t> slot(slots[i]);
    if (slot.load(std::memory_order_relaxed) != number)
      slot.store(number, std::memory_order_release);
  }
}

void Forwarder::RemoveReals(InstalledVip& vip, const Service& service) {
  std::erase_if(vip.reals, [&](const auto& item) {
    if (service.vip.FindReal(item.first) != nullptr) return false;
    retired_ += CounterOf(vip, item.second);
    return true;
  });
}

void Forwarder::CarryCounters(const Forwarder& owner, const InstalledVip& from, InstalledVip* to) {
  for (const auto& [address, real] : from.reals) {
    const Counter counted = owner.CounterOf(from, real);
    const bool stays = to != nullptr && to->reals.contains(address);
    (stays ? to->reals.at(address).before : retired_) += counted;
  }
}

Status Forwarder::Update(const std::vector<Service>& services) {
  std::map<model::VipKey, InstalledVip> fresh;  // new VIPs, and those that move to other regions
  std::vector<const Service*> in_place;
  std::set<model::VipKey> wanted;
  std::set<IpAddress> wanted_addresses;
  std::vector<VipTableKey> inserted;

  const auto undo = [&](const Status& why) {
    for (const VipTableKey& key : inserted) vip_table_->Erase(key);
    if (!inserted.empty()) WaitForGracePeriod();
    vip_table_->EndOfGrace();
    for (const auto& [key, vip] : fresh) Release(vip);
    return why;
  };

  // What can fail, on regions and table places that no packet can reach yet.
  for (const Service& service : services) {
    const model::VipKey& key = service.vip.key;
    wanted.insert(key);
    wanted_addresses.insert(key.address);
    const auto current = installed_.find(key);
    if (current != installed_.end()) {
      if (current->second.service == service) continue;
      if (FitsInPlace(current->second, service)) {
        in_place.push_back(&service);
        continue;
      }
    }
    auto vip = Allocate(service);
    if (!vip) return undo(ResourceExhausted("no free region for the ring or the reals"));
    vip->service = service;
    AddReals(*vip, service);
    WriteRing(*vip, service);
    fresh.emplace(key, std::move(*vip));
  }
  const auto insert = [&](const VipTableKey& key, const HashKey& flow_key, uint64_t place) {
    inserted.push_back(key);
    return vip_table_->Insert(key, flow_key, place);
  };
  for (const auto& [key, vip] : fresh) {
    if (installed_.contains(key)) continue;
    const Status status =
        insert(EncodeKey(key), FlowKey(settings_.hash_key, key), EncodePlace(vip.place));
    if (!status.ok()) return undo(status);
  }
  for (const IpAddress& address : wanted_addresses) {
    if (addresses_.contains(address)) continue;
    if (const Status status = insert(AddressKey(address), {}, 0); !status.ok()) return undo(status);
  }

  // From here on nothing fails.
  for (const Service* service : in_place) {
    InstalledVip& vip = installed_.at(service->vip.key);
    AddReals(vip, *service);
    WriteRing(vip, *service);
  }
  for (const auto& [key, vip] : fresh) {
    if (installed_.contains(key)) vip_table_->SetPlace(EncodeKey(key), EncodePlace(vip.place));
  }
  for (const auto& [key, vip] : installed_) {
    if (!wanted.contains(key)) vip_table_->Erase(EncodeKey(key));
  }
  for (const IpAddress& address : addresses_) {
    if (!wanted_addresses.contains(address)) vip_table_->Erase(AddressKey(address));
  }
  WaitForGracePeriod();

  // Now nothing names what has gone, and it may be used again.
  vip_table_->EndOfGrace();
  for (const Service* service : in_place) {
    InstalledVip& vip = installed_.at(service->vip.key);
    RemoveReals(vip, *service);
    vip.service = *service;
  }
  std::erase_if(installed_, [&](auto& item) {
    auto& [key, vip] = item;
    const auto moved = fresh.find(key);
    if (wanted.contains(key) && moved == fresh.end()) return false;
    CarryCounters(*this, vip, moved == fresh.end() ? nullptr : &moved->second);
    Release(vip);
    return true;
  });
  installed_.merge(fresh);
  addresses_ = std::move(wanted_addresses);
  return OkStatus();
}

void Forwarder::SetNextHops(const std::map<IpAddress, NextHop>& hops) {
  hop_table_->Assign(hops);
  const auto entries = reals_map_.as<lb_real>();
  for (const auto& [key, vip] : installed_) {
    for (const auto& [address, real] : vip.reals) {
      std::atomic_ref<__u16>(entries[IndexOf(vip, real)].next_hop)
          .store(hop_table_->IndexOf(address), std::memory_order_release);
    }
  }
  if (!hop_table_->HasUnused()) return;
  WaitForGracePeriod();
  hop_table_->Collect();
}

Counter Forwarder::RawCounter(uint32_t index) const {
  const auto counters = counters_map_.as<lb_counter>();
  Counter sum;
  for (uint32_t cpu = 0; cpu < sizes_.cpus; ++cpu) {
    const lb_counter& counter = counters[size_t{cpu} * sizes_.reals + index];
    sum.packets += __atomic_load_n(&counter.packets, __ATOMIC_RELAXED);
    sum.bytes += __atomic_load_n(&counter.bytes, __ATOMIC_RELAXED);
  }
  return sum;
}

Counter Forwarder::CounterOf(const InstalledVip& vip, const InstalledReal& real) const {
  const Counter raw = RawCounter(IndexOf(vip, real));
  return {real.before.packets + raw.packets - real.baseline.packets,
          real.before.bytes + raw.bytes - real.baseline.bytes};
}

std::vector<VipCounters> Forwarder::ReadVipCounters() const {
  std::vector<VipCounters> result;
  for (const auto& [key, vip] : installed_) {
    VipCounters counters{.key = key, .reals = {}};
    for (const model::Real& real : vip.service.vip.reals) {
      counters.reals.push_back({real.address, CounterOf(vip, vip.reals.at(real.address))});
    }
    result.push_back(std::move(counters));
  }
  return result;
}

std::array<uint64_t, LB_VERDICT_COUNT> Forwarder::ReadVerdicts() const {
  auto result = verdicts_before_;
  const auto counters = verdicts_map_.as<uint64_t>();
  for (uint32_t cpu = 0; cpu < sizes_.cpus; ++cpu) {
    for (size_t verdict = 0; verdict < result.size(); ++verdict) {
      result[verdict] +=
          __atomic_load_n(&counters[size_t{cpu} * LB_VERDICT_SLOTS + verdict], __ATOMIC_RELAXED);
    }
  }
  Counter forwarded = retired_;
  for (const auto& [key, vip] : installed_) {
    for (const auto& [address, real] : vip.reals) forwarded += CounterOf(vip, real);
  }
  result[LB_FORWARD] = forwarded.packets;
  return result;
}

void Forwarder::ContinueCounters(const Forwarder& before) {
  retired_ += before.retired_;
  verdicts_before_ = before.ReadVerdicts();
  for (const auto& [key, vip] : before.installed_) {
    const auto it = installed_.find(key);
    CarryCounters(before, vip, it == installed_.end() ? nullptr : &it->second);
  }
}

}  // namespace lb::dataplane
