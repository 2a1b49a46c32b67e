// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/forwarder.h"

#include <bpf/libbpf.h>
#include <glog/logging.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <ctime>
#include <utility>

#include "lbd/dataplane/grace_period.h"
#include "lbd/dataplane/program_clock.h"
#include "lbd/model/tracking.h"

namespace lb::dataplane {
namespace {

// A ring starts on a cache line of its own.
constexpr uint32_t kRingAlignment = 64 / sizeof(uint16_t);
// The smallest part of the flow table: 64 flows.
constexpr int kMinFlowBits = 3;

// Entries of lb_reals for a VIP of `reals` reals: the unused one, and room for a quarter more.
uint32_t RealCapacity(size_t reals) { return 1 + reals + std::max<size_t>(1, reals / 4); }

// Whether both treat all sources alike, be the reals what they are.
bool SamePolicy(const model::Vip& a, const model::Vip& b) {
  return a.sources == b.sources &&
         std::ranges::equal(a.source_routes, b.source_routes,
                            [](const model::SourceRoute& x, const model::SourceRoute& y) {
                              return x.name == y.name && x.sources == y.sources;
                            });
}

// Of the reals of a VIP (`present`, by address, among them all that are wanted) those whose flows
// end: those that are not wanted any more, and some that are down.
template <typename Reals>
std::set<IpAddress> EndingReals(const Reals& present, const model::Vip& wanted) {
  std::set<IpAddress> ending;
  if (present.size() > wanted.reals.size()) {
    for (const auto& [address, real] : present) {
      if (wanted.FindReal(address) == nullptr) ending.insert(address);
    }
  }
  // Without packets that open a connection nothing else would take a dead real's place.
  if (!wanted.key.Serves(model::Protocol::kTcp)) {
    for (const model::Real& real : wanted.reals) {
      if (real.state == model::RealState::kDown) ending.insert(real.address);
    }
  }
  return ending;
}

}  // namespace

uint32_t Forwarder::MonotonicSeconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint32_t>(now.tv_sec);
}

Forwarder::Forwarder(const model::Settings& settings, uint32_t features, const MapSizes& sizes,
                     Clock clock)
    : settings_(settings),
      features_(features),
      sizes_(sizes),
      clock_(std::move(clock)),
      ring_regions_(sizes.ring_slots),
      real_regions_(sizes.reals),
      flow_regions_(sizes.flow_buckets) {}

std::optional<uint32_t> Forwarder::PriorityOf(const model::Settings& settings) {
  if (settings.attach != model::AttachMode::kDispatcher) return std::nullopt;
  return settings.priority;
}

StatusOr<std::unique_ptr<Forwarder>> Forwarder::Create(const model::Settings& settings,
                                                       uint32_t features, uint32_t attempt,
                                                       Clock clock, const ProbePath* probes) {
  const MapSizes sizes = MapSizes::For(settings.limits, libbpf_num_possible_cpus(), features);
  const uint64_t vip_hash_key = SipHash24({attempt, 0}, {});
  std::unique_ptr<Forwarder> self(new Forwarder(settings, features, sizes, std::move(clock)));
  self->probe_path_ = probes;
  const uint64_t counters = uint64_t{sizes.reals} * sizes.cpus;
  const std::tuple<MappedArray*, const char*, uint64_t> maps[] = {
      {&self->vips_map_, "lb_vips", sizeof(lb_vip) * sizes.vips},
      {&self->wide_vips_map_, "lb_wide_vips", sizeof(lb_vip) * sizes.wide_vips},
      {&self->port_rules_map_, "lb_port_rules", sizeof(lb_port_rule) * sizes.port_rules},
      {&self->ring_map_, "lb_ring", sizeof(uint16_t) * sizes.ring_slots},
      {&self->ring_next_map_, "lb_ring_next", sizeof(uint16_t) * sizes.ring_slots},
      {&self->refused_map_, "lb_refused", sizeof(uint8_t) * sizes.ring_slots},
      {&self->flows_map_, "lb_flows", sizeof(lb_flow_bucket) * sizes.flow_buckets},
      {&self->reals_map_, "lb_reals", sizeof(lb_real) * sizes.reals},
      {&self->hops_map_, "lb_next_hops", sizeof(lb_next_hop) * sizes.next_hops},
      {&self->id_configs_map_, "lb_id_configs", sizeof(lb_id_config) * sizes.id_configs},
      {&self->server_ids_map_, "lb_server_ids",
       sizeof(lb_server_id_bucket) * sizes.server_id_buckets},
      {&self->counters_map_, "lb_counters", sizeof(lb_counter) * counters},
      {&self->connections_map_, "lb_connections", sizeof(uint64_t) * counters},
      {&self->drops_map_, "lb_drops", sizeof(uint64_t) * counters},
      {&self->verdicts_map_, "lb_verdicts", sizeof(uint64_t) * LB_VERDICT_SLOTS * sizes.cpus},
      {&self->policies_map_, "lb_policies", sizeof(lb_policy) * sizes.policies},
      {&self->policy_counts_map_, "lb_policy_counts",
       sizeof(lb_policy_count) * sizes.policies * sizes.cpus},
      {&self->source_buckets_map_, "lb_source_buckets",
       sizeof(lb_source_bucket) * sizes.source_buckets},
      {&self->icmp_due_map_, "lb_icmp_due", sizeof(uint64_t)},
      {&self->scratch_map_, "lb_scratch", sizeof(lb_scratch) * sizes.cpus},
  };
  for (const auto& [map, name, bytes] : maps) {
    if (bytes > INT32_MAX) {
      return ResourceExhausted(std::string("limits need more than 2 GiB in BPF map ") + name);
    }
    LB_ASSIGN_OR_RETURN(*map, MappedArray::Create(name, bytes));
  }
  LB_ASSIGN_OR_RETURN(self->scopes_map_, PrefixMap::Create("lb_scopes", sizeof(lb_scope_key),
                                                           sizeof(lb_scope), sizes.scopes));
  LB_ASSIGN_OR_RETURN(self->sources_map_,
                      PrefixMap::Create("lb_sources", sizeof(lb_source_key), sizeof(uint32_t),
                                        sizes.source_prefixes));
  self->config_ = EncodeConfig(settings, sizes, vip_hash_key, features);
  LB_ASSIGN_OR_RETURN(self->program_,
                      Program::Load(self->config_, self->maps(), self->prefix_maps(),
                                    PriorityOf(settings), Program::Build::kForward, probes));
  self->vip_index_ =
      std::make_unique<VipIndex>(VipIndex::Tables{.vips = self->vips_map_.as<lb_vip>(),
                                                  .wide_vips = self->wide_vips_map_.as<lb_vip>(),
                                                  .rules = self->port_rules_map_.as<lb_port_rule>(),
                                                  .scopes = &self->scopes_map_},
                                 vip_hash_key);
  self->policies_ = std::make_unique<PolicyTable>(
      PolicyTable::Tables{.policies = self->policies_map_.as<lb_policy>(),
                          .counts = self->policy_counts_map_.as<lb_policy_count>(),
                          .sources = &self->sources_map_});
  self->hop_table_ = std::make_unique<HopTable>(self->hops_map_.as<lb_next_hop>());
  self->server_ids_ = std::make_unique<ServerIds>(self->id_configs_map_.as<lb_id_config>(),
                                                  self->server_ids_map_.as<lb_server_id_bucket>());
  for (const IpAddress& address : settings.decap.addresses) {
    LB_RETURN_IF_ERROR(self->vip_index_->InsertTunnel(address));
  }
  return self;
}

std::vector<const MappedArray*> Forwarder::maps() const {
  return {&vips_map_,           &wide_vips_map_,  &port_rules_map_, &ring_map_,
          &ring_next_map_,      &refused_map_,    &flows_map_,      &reals_map_,
          &hops_map_,           &id_configs_map_, &server_ids_map_, &counters_map_,
          &connections_map_,    &drops_map_,      &policies_map_,   &policy_counts_map_,
          &source_buckets_map_, &verdicts_map_,   &icmp_due_map_,   &scratch_map_};
}

std::vector<const PrefixMap*> Forwarder::prefix_maps() const {
  return {&scopes_map_, &sources_map_};
}

uint32_t Forwarder::IndexOf(const InstalledVip& vip, const InstalledReal& real) const {
  return vip.place.real_start + real.number;
}

model::Slots::Words Forwarder::WordsAt(const Place& place) const {
  const size_t count = size_t{1} << place.ring_bits;
  return {.ring = ring_map_.as<uint16_t>().subspan(place.ring_start, count),
          .next = ring_next_map_.as<uint16_t>().subspan(place.ring_start, count),
          .refused = refused_map_.as<uint8_t>().subspan(place.ring_start, count)};
}

std::span<lb_flow_bucket> Forwarder::Buckets(const FlowPlace& place) const {
  return flows_map_.as<lb_flow_bucket>().subspan(place.start, place.size());
}

std::optional<Forwarder::InstalledVip> Forwarder::Allocate(size_t slots, size_t numbers) {
  InstalledVip vip;
  vip.place.ring_bits = std::countr_zero(slots);
  vip.real_capacity = RealCapacity(numbers);
  const auto ring = ring_regions_.Allocate(slots, kRingAlignment);
  const auto reals = real_regions_.Allocate(vip.real_capacity);
  if (!ring || !reals) {
    if (ring) ring_regions_.Free(*ring, slots);
    if (reals) real_regions_.Free(*reals, vip.real_capacity);
    return std::nullopt;
  }
  vip.place.ring_start = *ring;
  vip.place.real_start = *reals;
  vip.nobody.baseline = RawCounter(*reals);
  const model::Slots::Words words = WordsAt(vip.place);
  std::ranges::fill(words.ring, 0);
  std::ranges::fill(words.refused, 0);
  vip.slots.emplace(words, clock_());
  return vip;
}

void Forwarder::Release(const InstalledVip& vip) {
  ring_regions_.Free(vip.place.ring_start, 1u << vip.place.ring_bits);
  real_regions_.Free(vip.place.real_start, vip.real_capacity);
}

std::optional<Forwarder::Need> Forwarder::NeedToMove(const InstalledVip& vip,
                                                     const Service& service) {
  // Numbers of reals that leave are still in use.
  size_t numbers = vip.reals.size() + vip.leaving.size();
  for (const model::Real& real : service.vip.reals) numbers += !vip.reals.contains(real.address);
  const size_t slots = std::max(service.ring->size(), vip.slots->size());
  if (slots == vip.slots->size() && numbers < vip.real_capacity) return std::nullopt;
  return Need{slots, std::max<size_t>(numbers, HighestNumber(vip))};
}

uint16_t Forwarder::HighestNumber(const InstalledVip& vip) {
  uint16_t highest = 0;
  for (const auto& [address, real] : vip.reals) highest = std::max(highest, real.number);
  for (const LeavingReal& leaving : vip.leaving) highest = std::max(highest, leaving.real.number);
  return highest;
}

Forwarder::InstalledVip Forwarder::Move(InstalledVip& vip, InstalledVip room) {
  const auto entries = reals_map_.as<lb_real>();
  const InstalledVip before = vip;
  const auto move_real = [&](InstalledReal& real) {
    const uint32_t to = room.place.real_start + real.number;
    entries[to] = entries[IndexOf(before, real)];
    real.before = {};
    real.baseline = RawCounter(to);
  };
  for (auto& [address, real] : vip.reals) move_real(real);
  for (LeavingReal& leaving : vip.leaving) move_real(leaving.real);
  vip.retired = {};  // CarryCounters() takes it from `before`
  vip.slots = before.slots->CopyTo(WordsAt(room.place));
  vip.place = room.place;
  vip.nobody = room.nobody;
  vip.real_capacity = room.real_capacity;
  vip_index_->SetPlace(vip.service.vip.key, EncodePlace(vip.place));
  return before;
}

void Forwarder::AddReals(InstalledVip& vip, const Service& service) {
  std::set<uint16_t> used;
  for (const auto& [address, real] : vip.reals) used.insert(real.number);
  for (const LeavingReal& leaving : vip.leaving) used.insert(leaving.real.number);
  const auto entries = reals_map_.as<lb_real>();
  uint16_t number = 1;
  for (const model::Real& real : service.vip.reals) {
    if (vip.reals.contains(real.address)) continue;
    while (used.contains(number)) ++number;
    InstalledReal added{.number = number++};
    const uint32_t index = IndexOf(vip, added);
    added.baseline = RawCounter(index);
    entries[index] = MakeReal(service.vip.key, real);
    vip.reals.emplace(real.address, added);
  }
}

lb_real Forwarder::MakeReal(const model::VipKey& vip, const model::Real& real) const {
  lb_real entry = EncodeReal(real, vip.address.is_v4(), settings_);
  entry.next_hop = hop_table_->IndexOf(real.address, real.encap == model::Encap::kL2);
  return entry;
}

void Forwarder::ChangeEncap(const InstalledVip& vip) {
  using Words = std::array<uint64_t, sizeof(lb_real) / sizeof(uint64_t)>;
  constexpr size_t kTail = offsetof(lb_real, checksum) / sizeof(uint64_t);
  const auto entries = reals_map_.as<lb_real>();
  const auto words = reals_map_.as<uint64_t>();
  for (const model::Real& real : vip.service.vip.reals) {
    const size_t index = IndexOf(vip, vip.reals.at(real.address));
    if (DecodeEncap(entries[index]) == real.encap) continue;
    const auto wanted = std::bit_cast<Words>(MakeReal(vip.service.vip.key, real));
    std::atomic_ref<uint64_t>(words[index * wanted.size() + kTail])
        .store(wanted[kTail], std::memory_order_release);
  }
}

std::vector<uint16_t> Forwarder::TargetOf(const InstalledVip& vip, const Service& service) const {
  std::vector<uint16_t> number_of{0};
  for (const model::Real& real : service.vip.reals) {
    number_of.push_back(vip.reals.at(real.address).number);
  }
  std::vector<uint16_t> target;
  target.reserve(service.ring->size());
  for (const uint16_t owner : *service.ring) target.push_back(number_of.at(owner));
  return target;
}

VipEntry Forwarder::EntryOf(const InstalledVip& vip) const {
  return {.secret = settings_.hash_key,
          .options = EncodeHashPolicy(vip.service.vip),
          .fragments = EncodeFragments(vip.service.vip),
          .policy = vip.policy,
          .place = EncodePlace(vip.place),
          .flows = EncodeFlowPlace(vip.flow_place)};
}

StatusOr<uint16_t> Forwarder::AddPolicy(const model::Vip& vip) {
  std::vector<PolicyTable::Route> routes;
  for (const model::SourceRoute& route : vip.source_routes) {
    const model::VipKey group = model::RouteVip(vip, route).key;
    for (const model::Protocol protocol : {model::Protocol::kTcp, model::Protocol::kUdp}) {
      if (!vip.key.Serves(protocol)) continue;
      const auto number = static_cast<uint8_t>(protocol);
      const uint32_t entry = vip_index_->WideEntryOf(group, number);
      for (const IpPrefix& source : route.sources) routes.push_back({source, number, entry});
    }
  }
  return policies_->Add(vip.sources, routes);
}

SourceCounts Forwarder::RefusedBy(const InstalledVip& vip) const {
  SourceCounts counts = vip.refused_before;
  return counts += policies_->Read(vip.policy);
}

void Forwarder::SetPolicy(InstalledVip& vip, uint16_t policy) {
  policies_->CarryTokens(vip.policy, policy);
  vip_index_->SetPolicy(vip.service.vip.key, policy);
  // A packet on its way may still count there; that is lost.
  vip.refused_before = RefusedBy(vip);
  policies_->Remove(vip.policy);
  vip.policy = policy;
}

void Forwarder::Bring(InstalledVip& vip, const Service& service) {
  AddReals(vip, service);
  const bool rehash = vip.service.vip.hash != service.vip.hash;
  vip.service = service;
  ChangeEncap(vip);
  if (rehash) {
    // Flows get other slots and other names: nothing that is known of them is of use.
    vip_index_->SetOptions(service.vip.key, EntryOf(vip));
    EndFlows(vip, [](uint16_t) { return true; });
  }
  const std::vector<uint16_t> target = TargetOf(vip, service);
  const model::SlotPolicy policy = model::SlotPolicyOf(service.vip);
  if ((policy.always || vip.slots->NeedsWindow(target, policy)) && !ProvideFlows(vip)) {
    LOG(WARNING) << service.vip.key.ToString()
                 << ": no room to track flows; slots do not change hands until there is some. "
                    "Raise limits.flows";
  }
  if (vip.flow_place.exists() && vip.flow_place.always != policy.always) {
    FlowPlace place = vip.flow_place;
    place.always = policy.always;
    SetFlowPlace(vip, place);
  }
  vip.slots->SetTarget(target, policy, clock_());
}

void Forwarder::EndFlows(InstalledVip& vip, const std::function<bool(uint16_t)>& number) {
  vip.slots->Abandon(number);
  model::FlowTable(Buckets(vip.flow_place)).Purge(number);
}

void Forwarder::RemoveReals(InstalledVip& vip) {
  std::set<uint16_t> ended;
  for (const IpAddress& address : EndingReals(vip.reals, vip.service.vip)) {
    const auto real = vip.reals.find(address);
    ended.insert(real->second.number);
    if (vip.service.vip.FindReal(address) != nullptr) continue;
    vip.leaving.push_back({real->second});
    vip.reals.erase(real);
  }
  if (!ended.empty()) EndFlows(vip, [&](uint16_t number) { return ended.contains(number); });
}

bool Forwarder::HasIds(const InstalledVip& vip, const Service& service) {
  const model::Vip& configured = service.vip;
  if (configured.route_by_id != vip.service.vip.route_by_id) return false;
  if (!configured.route_by_id.any()) return true;
  return configured.reals.size() == vip.service.vip.reals.size() &&
         std::ranges::all_of(configured.reals, [&](const model::Real& real) {
           const model::Real* before = vip.service.vip.FindReal(real.address);
           return before != nullptr && before->server_id == real.server_id &&
                  !(real.state == model::RealState::kActive && vip.nameless.contains(real.address));
         });
}

ServerIds::Part Forwarder::SetIds(InstalledVip& vip, const ServerIds::Part& part) {
  const model::Vip& configured = vip.service.vip;
  std::erase_if(vip.nameless, [&](const IpAddress& address) {
    const model::Real* real = configured.FindReal(address);
    return real == nullptr || real->state == model::RealState::kActive;
  });
  if (part.exists()) {
    ServerIds::RealsById reals;
    for (const model::Real& real : configured.reals) {
      if (!real.server_id || vip.nameless.contains(real.address)) continue;
      reals[*real.server_id] = vip.reals.at(real.address).number;
    }
    server_ids_->Write(part, configured.route_by_id, reals);
  }
  vip_index_->SetIdConfig(configured.key, part.config);
  return std::exchange(vip.ids, part);
}

std::optional<FlowPlace> Forwarder::AllocateFlows(int bits) {
  const auto start = flow_regions_.Allocate(1u << bits);
  if (!start) return std::nullopt;
  const FlowPlace place{.start = *start, .bits = bits};
  std::ranges::fill(Buckets(place), lb_flow_bucket{});
  return place;
}

void Forwarder::SetFlowPlace(InstalledVip& vip, const FlowPlace& place) {
  vip.flow_place = place;
  vip_index_->SetFlows(vip.service.vip.key, EncodeFlowPlace(place));
}

bool Forwarder::ProvideFlows(InstalledVip& vip) {
  if (vip.flow_place.exists()) return true;
  // By default half of the table is shared out evenly, so that a VIP more finds room.
  const uint32_t share = sizes_.flow_buckets / (2 * std::max<size_t>(1, installed_.size()));
  const uint32_t wanted =
      vip.service.vip.flows.entries
          ? std::min(std::bit_ceil(*vip.service.vip.flows.entries) / LB_FLOW_WAYS,
                     sizes_.flow_buckets)
          : share;
  const int bits = std::max<int>(kMinFlowBits, std::bit_width(wanted) - 1);
  for (int smaller = bits; smaller >= kMinFlowBits; --smaller) {
    auto place = AllocateFlows(smaller);
    if (!place) continue;
    place->always = model::SlotPolicyOf(vip.service.vip).always;
    SetFlowPlace(vip, *place);
    return true;
  }
  return false;
}

Status Forwarder::Update(const std::vector<Service>& services) {
  std::map<model::VipKey, InstalledVip> fresh;   // new VIPs
  std::map<model::VipKey, InstalledVip> rooms;   // for VIPs that have to move
  std::map<model::VipKey, ServerIds::Part> ids;  // for VIPs whose server ids are others now
  std::vector<const Service*> changed;
  std::set<model::VipKey> wanted;
  std::vector<model::VipKey> inserted;
  std::map<model::VipKey, uint16_t> policies;  // of VIPs whose policy is another

  const auto undo = [&](const Status& why) {
    for (const model::VipKey& key : inserted) vip_index_->Erase(key);
    for (const auto& [key, policy] : policies) policies_->Remove(policy);
    WaitForGracePeriod();
    vip_index_->EndOfGrace();
    policies_->EndOfGrace();
    for (const auto& [key, vip] : fresh) Release(vip);
    for (const auto& [key, vip] : rooms) Release(vip);
    for (const auto& [key, part] : ids) {
      if (part.exists()) server_ids_->Free(part);
    }
    return why;
  };

  // What can fail, on regions and table places that no packet can reach yet.
  for (const Service& service : services) {
    const model::VipKey& key = service.vip.key;
    wanted.insert(key);
    const auto current = installed_.find(key);
    std::optional<Need> need = Need{service.ring->size(), service.vip.reals.size()};
    if (current != installed_.end()) {
      if (current->second.service == service) continue;
      changed.push_back(&service);
      need = NeedToMove(current->second, service);
    }
    if (current == installed_.end() || !HasIds(current->second, service)) {
      std::optional<ServerIds::Part> part = ServerIds::Part();
      if (service.vip.route_by_id.any()) part = server_ids_->Allocate(service.vip);
      if (!part) return undo(ResourceExhausted("no room for the server ids"));
      ids.emplace(key, *part);
    }
    if (!need) continue;
    auto room = Allocate(need->slots, need->numbers);
    if (!room) return undo(ResourceExhausted("no free region for the ring or the reals"));
    if (current == installed_.end()) room->service = service;
    (current == installed_.end() ? fresh : rooms).emplace(key, *std::move(room));
  }
  for (auto& [key, vip] : fresh) {
    AddReals(vip, vip.service);
    vip.slots->SetTarget(TargetOf(vip, vip.service), model::SlotPolicyOf(vip.service.vip),
                         clock_());
  }
  // Source routes first, as the policies of their VIPs name them.
  for (const bool is_route : {true, false}) {
    for (auto& [key, vip] : fresh) {
      if ((key.route != 0) != is_route) continue;
      const auto policy = AddPolicy(vip.service.vip);
      if (!policy.ok()) return undo(policy.status());
      policies.emplace(key, *policy);
      vip.policy = *policy;
      if (const Status status = vip_index_->Insert(key, EntryOf(vip)); !status.ok()) {
        return undo(status);
      }
      inserted.push_back(key);
      SetIds(vip, ids.at(key));
    }
  }
  for (const Service* service : changed) {
    const model::Vip& before = installed_.at(service->vip.key).service.vip;
    if (SamePolicy(before, service->vip)) continue;
    const auto policy = AddPolicy(service->vip);
    if (!policy.ok()) return undo(policy.status());
    policies.emplace(service->vip.key, *policy);
  }
  // Those that were adopted have no ring yet, and are not published either.
  const bool same_vips = fresh.empty() && wanted.size() == installed_.size() &&
                         std::ranges::none_of(changed, [&](const Service* service) {
                           return installed_.at(service->vip.key).service.ring->empty();
                         });
  if (!same_vips) {
    if (const Status status = vip_index_->Publish(wanted); !status.ok()) return undo(status);
  }

  // From here on nothing fails.
  std::vector<std::pair<model::VipKey, InstalledVip>> moved;
  for (auto& [key, room] : rooms) {
    moved.emplace_back(key, Move(installed_.at(key), std::move(room)));
  }
  // All slots of a VIP change where nothing else can write to them.
  if (!moved.empty()) WaitForGracePeriod();
  std::vector<ServerIds::Part> old_ids;
  for (const Service* service : changed) {
    InstalledVip& vip = installed_.at(service->vip.key);
    const model::Fragments fragments = vip.service.vip.fragments;
    if (const auto it = policies.find(service->vip.key); it != policies.end()) {
      SetPolicy(vip, it->second);
    }
    Bring(vip, *service);
    const auto part = ids.find(service->vip.key);
    if (part != ids.end()) old_ids.push_back(SetIds(vip, part->second));
    if (fragments != service->vip.fragments) {
      vip_index_->SetOptions(service->vip.key, EntryOf(vip));
    }
  }
  for (const auto& [key, vip] : installed_) {
    if (wanted.contains(key)) continue;
    vip_index_->Erase(key);
    policies_->Remove(vip.policy);
    old_ids.push_back(vip.ids);
  }
  const bool frees = !same_vips || !moved.empty() || !old_ids.empty() || !policies.empty() ||
                     std::ranges::any_of(changed, [&](const Service* service) {
                       const auto& reals = installed_.at(service->vip.key).reals;
                       return !EndingReals(reals, service->vip).empty();
                     });
  // A run that is under way belongs to a packet that came before; all others see the stores.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!frees) return OkStatus();
  WaitForGracePeriod();

  // Now nothing names what has gone, and it may be used again.
  vip_index_->EndOfGrace();
  policies_->EndOfGrace();
  for (const ServerIds::Part& part : old_ids) {
    if (part.exists()) server_ids_->Free(part);
  }
  for (auto& [key, before] : moved) {
    CarryCounters(*this, before, &installed_.at(key));
    Release(before);
  }
  for (const Service* service : changed) RemoveReals(installed_.at(service->vip.key));
  std::erase_if(installed_, [&](auto& item) {
    auto& [key, vip] = item;
    if (wanted.contains(key)) return false;
    CarryCounters(*this, vip, nullptr);
    Release(vip);
    if (vip.flow_place.exists()) flow_regions_.Free(vip.flow_place.start, vip.flow_place.size());
    return true;
  });
  installed_.merge(fresh);
  for (auto& [key, vip] : installed_) {
    if (model::SlotPolicyOf(vip.service.vip).always) ProvideFlows(vip);
  }
  return OkStatus();
}

bool Forwarder::needs_sweep() const {
  return std::ranges::any_of(installed_, [](const auto& item) {
    const InstalledVip& vip = item.second;
    return !vip.slots->stable() || vip.flow_place.exists() || !vip.leaving.empty() ||
           vip.service.ring->size() < vip.slots->size();
  });
}

void Forwarder::Sweep() {
  std::vector<FlowPlace> released;
  for (auto& [key, vip] : installed_) {
    SweepVip(vip);
    const bool needed = !vip.slots->stable() || vip.census.entries > 0 ||
                        model::SlotPolicyOf(vip.service.vip).always;
    if (!needed && vip.flow_place.exists()) {
      released.push_back(vip.flow_place);
      SetFlowPlace(vip, {});
    }
  }
  if (!released.empty()) WaitForGracePeriod();
  for (const FlowPlace& place : released) flow_regions_.Free(place.start, place.size());
  // There may be room now for those that found none.
  for (auto& [key, vip] : installed_) {
    if (!vip.slots->stable()) ProvideFlows(vip);
  }
}

void Forwarder::SweepVip(InstalledVip& vip) {
  const model::Vip& configured = vip.service.vip;
  const model::FlowTable flows(Buckets(vip.flow_place));
  std::set<uint16_t> gone;
  std::set<uint16_t> down;
  for (const LeavingReal& leaving : vip.leaving) gone.insert(leaving.real.number);
  for (const model::Real& real : configured.reals) {
    if (real.state == model::RealState::kDown) down.insert(vip.reals.at(real.address).number);
  }
  // Entries that were on their way when the real went.
  if (!gone.empty()) flows.Purge([&](uint16_t number) { return gone.contains(number); });
  vip.census = flows.Sweep(*vip.slots, model::FlowPolicyOf(configured), ProgramTick());
  vip.flow_peak = std::max(vip.flow_peak, vip.census.entries);
  vip.slots->Advance({.entries = vip.census.foreign,
                      .is_down = [&](uint16_t number) { return down.contains(number); }},
                     model::SlotPolicyOf(configured), clock_());
  std::erase_if(vip.leaving, [&](LeavingReal& leaving) {
    if (--leaving.sweeps > 0) return false;
    vip.retired += CounterOf(vip, leaving.real);
    return true;
  });
  Shrink(vip);
}

void Forwarder::Shrink(InstalledVip& vip) {
  const size_t wanted = vip.service.ring->size();
  if (wanted >= vip.slots->size() || !vip.slots->CanShrinkTo(wanted)) return;
  auto room = Allocate(wanted, HighestNumber(vip));
  if (!room) return;
  const InstalledVip before = Move(vip, *std::move(room));
  WaitForGracePeriod();
  CarryCounters(*this, before, &vip);
  Release(before);
}

uint64_t Forwarder::PurgeFlows(const model::VipKey& key, const std::optional<IpAddress>& real) {
  const auto it = installed_.find(key);
  if (it == installed_.end()) return 0;
  InstalledVip& vip = it->second;
  std::optional<uint16_t> only;
  if (real) {
    const auto found = vip.reals.find(*real);
    if (found == vip.reals.end()) return 0;
    only = found->second.number;
    const model::Real* configured = vip.service.vip.FindReal(*real);
    if (vip.ids.exists() && configured->state != model::RealState::kActive &&
        vip.nameless.insert(*real).second) {
      server_ids_->Withdraw(vip.ids, *configured->server_id);
    }
  }
  const auto named = [&](uint16_t number) { return !only || number == *only; };
  vip.slots->Abandon(named);
  return model::FlowTable(Buckets(vip.flow_place)).Purge(named);
}

bool Forwarder::SpeaksOfTheSameFlows(const Image& image) const {
  return image.fast_hash() == (settings_.flow_hash == model::FlowHash::kFast);
}

void Forwarder::Adopt(const Image& image, const std::vector<Service>& services) {
  if (!SpeaksOfTheSameFlows(image)) return;
  for (const VipImage& from : image.vips()) {
    const auto service =
        std::ranges::find(services, from.key, [](const Service& item) { return item.vip.key; });
    if (service == services.end() || from.flow_key != FlowKey(settings_.hash_key, from.key) ||
        from.options != EncodeHashPolicy(service->vip)) {
      continue;
    }
    const size_t highest = from.reals.empty() ? 0 : from.reals.rbegin()->first;
    // Large enough for what Update() will ask for: there may be no room to move once more.
    auto room = Allocate(std::max(from.ring.size(), service->ring->size()),
                         std::max(highest, from.reals.size() + service->vip.reals.size()));
    if (!room) continue;
    InstalledVip& vip = *room;
    // Equal to no service, so that Update() has something to do.
    vip.service = {.vip = {.key = from.key, .hash = service->vip.hash},
                   .ring = std::make_shared<const model::Ring>()};
    const model::Slots before({.ring = from.ring, .next = from.ring_next, .refused = from.refused},
                              clock_());
    vip.slots = before.CopyTo(WordsAt(vip.place));
    const auto entries = reals_map_.as<lb_real>();
    const auto take = [&](uint16_t number, const IpAddress& address) {
      const InstalledReal real{.number = number};
      const model::Real* configured = service->vip.FindReal(address);
      entries[IndexOf(vip, real)] =
          MakeReal(from.key, configured != nullptr ? *configured : model::Real{.address = address});
      if (vip.reals.emplace(address, real).second) {
        vip.service.vip.reals.push_back({.address = address});
      } else {
        vip.leaving.push_back({real});  // it came back before the number that it had was free
      }
    };
    for (const bool owner : {true, false}) {
      for (const auto& [number, address] : from.reals) {
        if (from.owners.contains(number) == owner) take(number, address);
      }
    }
    if (from.flow_place.exists()) {
      if (const auto place = AllocateFlows(from.flow_place.bits)) vip.flow_place = *place;
      vip.flow_place.always = from.flow_place.always;
      if (vip.flow_place.exists()) {
        model::FlowTable(Buckets(vip.flow_place)).CopyFrom(image.ReadFlows(from));
      }
    }
    // Where it has no place, Update() will say so.
    if (!vip_index_->Insert(from.key, EntryOf(vip)).ok()) continue;
    installed_.emplace(from.key, std::move(vip));
  }
}

void Forwarder::CatchUp(const Image& image) {
  for (const VipImage& from : image.vips()) {
    const auto it = installed_.find(from.key);
    if (it == installed_.end() || from.flow_key != FlowKey(settings_.hash_key, from.key)) continue;
    const FlowPlace& place = it->second.flow_place;
    if (place.bits != from.flow_place.bits) continue;
    model::FlowTable(Buckets(place)).Refresh(image.ReadFlows(from), ProgramTick());
  }
}

void Forwarder::SetNextHops(const std::map<IpAddress, NextHop>& hops) {
  hop_table_->Assign(hops);
  const auto entries = reals_map_.as<lb_real>();
  const auto set = [&](const InstalledVip& vip, const IpAddress& address,
                       const InstalledReal& real) {
    lb_real& entry = entries[IndexOf(vip, real)];
    const bool direct = DecodeEncap(entry) == model::Encap::kL2;
    std::atomic_ref<__u16>(entry.next_hop)
        .store(hop_table_->IndexOf(address, direct), std::memory_order_release);
  };
  for (const auto& [key, vip] : installed_) {
    for (const auto& [address, real] : vip.reals) set(vip, address, real);
    for (const LeavingReal& leaving : vip.leaving) {
      set(vip, DecodeAddress(entries[IndexOf(vip, leaving.real)].address), leaving.real);
    }
  }
  if (!hop_table_->HasUnused()) return;
  WaitForGracePeriod();
  hop_table_->Collect();
}

Counter Forwarder::RawCounter(uint32_t index) const {
  const auto counters = counters_map_.as<lb_counter>();
  const auto connections = connections_map_.as<uint64_t>();
  const auto drops = drops_map_.as<uint64_t>();
  Counter sum;
  for (uint32_t cpu = 0; cpu < sizes_.cpus; ++cpu) {
    const size_t at = size_t{cpu} * sizes_.reals + index;
    sum.packets += __atomic_load_n(&counters[at].packets, __ATOMIC_RELAXED);
    sum.bytes += __atomic_load_n(&counters[at].bytes, __ATOMIC_RELAXED);
    sum.connections += __atomic_load_n(&connections[at], __ATOMIC_RELAXED);
    sum.dropped += __atomic_load_n(&drops[at], __ATOMIC_RELAXED);
  }
  return sum;
}

Counter Forwarder::CounterOf(const InstalledVip& vip, const InstalledReal& real) const {
  const Counter raw = RawCounter(IndexOf(vip, real));
  return {real.before.packets + raw.packets - real.baseline.packets,
          real.before.bytes + raw.bytes - real.baseline.bytes,
          real.before.connections + raw.connections - real.baseline.connections,
          real.before.dropped + raw.dropped - real.baseline.dropped};
}

Counter Forwarder::CountedOutside(const InstalledVip& vip) const {
  Counter counted = vip.retired;
  counted += CounterOf(vip, vip.nobody);
  for (const LeavingReal& leaving : vip.leaving) counted += CounterOf(vip, leaving.real);
  return counted;
}

Counter Forwarder::TotalOf(const InstalledVip& vip) const {
  Counter total = CountedOutside(vip);
  for (const auto& [address, real] : vip.reals) total += CounterOf(vip, real);
  return total;
}

void Forwarder::CarryCounters(const Forwarder& owner, const InstalledVip& from, InstalledVip* to) {
  Counter& retired = to != nullptr ? to->retired : retired_;
  retired += from.retired;
  retired += owner.CounterOf(from, from.nobody);
  for (const auto& [address, real] : from.reals) {
    const Counter counted = owner.CounterOf(from, real);
    const bool stays = to != nullptr && to->reals.contains(address);
    (stays ? to->reals.at(address).before : retired) += counted;
  }
  for (const LeavingReal& leaving : from.leaving) retired += owner.CounterOf(from, leaving.real);
}

std::vector<uint32_t> Forwarder::LeavingSlots(const InstalledVip& vip) {
  std::vector<uint32_t> leaving;
  if (vip.slots->stable()) return leaving;
  leaving.resize(LB_RING_REAL_MASK + size_t{1});
  for (size_t slot = 0; slot < vip.slots->size(); ++slot) {
    const uint16_t owner = vip.slots->old_owner(slot);
    leaving[owner] += owner != vip.slots->next_owner(slot);
  }
  return leaving;
}

std::vector<VipCounters> Forwarder::ReadVipCounters() const {
  std::vector<VipCounters> result;
  result.reserve(installed_.size());
  for (const auto& [key, vip] : installed_) {
    VipCounters counters{.key = key, .total = CountedOutside(vip), .reals = {}};
    const std::vector<uint32_t> leaving = LeavingSlots(vip);
    const auto& flows = vip.census.per_real;
    counters.reals.reserve(vip.service.vip.reals.size());
    for (const model::Real& configured : vip.service.vip.reals) {
      const InstalledReal& real = vip.reals.at(configured.address);
      const Counter counter = CounterOf(vip, real);
      counters.total += counter;
      counters.reals.push_back({.address = configured.address,
                                .counter = counter,
                                .flows = real.number < flows.size() ? flows[real.number] : 0,
                                .leaving_slots = leaving.empty() ? 0 : leaving[real.number]});
    }
    const model::Slots::Counts slots = vip.slots->counts();
    counters.tracking = {.slots = static_cast<uint32_t>(vip.slots->size()),
                         .changing_slots = slots.changing,
                         .settling_slots = slots.settling,
                         .flows = vip.census.entries,
                         .flow_capacity = uint64_t{vip.flow_place.size()} * LB_FLOW_WAYS,
                         .flow_peak = vip.flow_peak};
    counters.sources = RefusedBy(vip);
    result.push_back(std::move(counters));
  }
  return result;
}

std::array<uint64_t, LB_VERDICT_COUNT> Forwarder::ReadVerdicts() const {
  uint64_t forwarded = 0;
  for (const auto& [key, vip] : installed_) forwarded += TotalOf(vip).packets;
  return VerdictsBeside(forwarded);
}

std::array<uint64_t, LB_VERDICT_COUNT> Forwarder::ReadVerdicts(
    std::span<const VipCounters> vips) const {
  uint64_t forwarded = 0;
  for (const VipCounters& vip : vips) forwarded += vip.total.packets;
  return VerdictsBeside(forwarded);
}

std::array<uint64_t, LB_VERDICT_COUNT> Forwarder::VerdictsBeside(uint64_t forwarded) const {
  auto result = verdicts_before_;
  for (size_t verdict = 0; verdict < result.size(); ++verdict) {
    result[verdict] += RawVerdict(verdict);
  }
  result[LB_FORWARD] = retired_.packets + forwarded;
  return result;
}

std::array<uint64_t, kNotes> Forwarder::ReadNotes() const {
  auto result = notes_before_;
  const auto counters = verdicts_map_.as<uint64_t>();
  for (uint32_t cpu = 0; cpu < sizes_.cpus; ++cpu) {
    for (size_t note = 0; note < result.size(); ++note) {
      const size_t slot = size_t{cpu} * LB_VERDICT_SLOTS + LB_NOTE_FIRST + note;
      result[note] += __atomic_load_n(&counters[slot], __ATOMIC_RELAXED);
    }
  }
  return result;
}

uint64_t Forwarder::RawVerdict(size_t slot) const {
  const auto counters = verdicts_map_.as<uint64_t>();
  uint64_t sum = 0;
  for (uint32_t cpu = 0; cpu < sizes_.cpus; ++cpu) {
    sum += __atomic_load_n(&counters[size_t{cpu} * LB_VERDICT_SLOTS + slot], __ATOMIC_RELAXED);
  }
  return sum;
}

FlowTableStats Forwarder::ReadFlowTableStats() const {
  FlowTableStats stats = flow_table_before_;
  const uint64_t evicted = RawVerdict(LB_VERDICT_SLOT_RECORDS + LB_FLOW_EVICTED);
  stats.inserted += RawVerdict(LB_VERDICT_SLOT_RECORDS + LB_FLOW_INSERTED) + evicted;
  stats.evicted += evicted;
  stats.refused += RawVerdict(LB_VERDICT_SLOT_RECORDS + LB_FLOW_REFUSED);
  return stats;
}

std::vector<uint64_t> Forwarder::ReadCpuPackets() const {
  std::vector<uint64_t> packets(sizes_.cpus);
  const auto verdicts = verdicts_map_.as<uint64_t>();
  const auto counters = counters_map_.as<lb_counter>();
  for (size_t cpu = 0; cpu < packets.size(); ++cpu) {
    if (cpu < cpu_packets_before_.size()) packets[cpu] = cpu_packets_before_[cpu];
    for (size_t verdict = 0; verdict < LB_VERDICT_COUNT; ++verdict) {
      packets[cpu] +=
          __atomic_load_n(&verdicts[cpu * LB_VERDICT_SLOTS + verdict], __ATOMIC_RELAXED);
    }
    for (const lb_counter& counter : counters.subspan(cpu * sizes_.reals, sizes_.reals)) {
      packets[cpu] += __atomic_load_n(&counter.packets, __ATOMIC_RELAXED);
    }
  }
  return packets;
}

void Forwarder::ContinueCounters(const Forwarder& before) {
  retired_ += before.retired_;
  verdicts_before_ = before.ReadVerdicts();
  notes_before_ = before.ReadNotes();
  flow_table_before_ = before.ReadFlowTableStats();
  cpu_packets_before_ = before.ReadCpuPackets();
  for (const auto& [key, vip] : before.installed_) {
    const auto it = installed_.find(key);
    CarryCounters(before, vip, it == installed_.end() ? nullptr : &it->second);
  }
  for (auto& [key, vip] : installed_) {
    if (const auto it = before.installed_.find(key); it != before.installed_.end()) {
      vip.refused_before += before.RefusedBy(it->second);
      vip.flow_peak = std::max(vip.flow_peak, it->second.flow_peak);
    }
  }
}

std::vector<TrackedFlow> Forwarder::ListFlows(const model::VipKey& key, size_t limit) const {
  std::vector<TrackedFlow> flows;
  const auto it = installed_.find(key);
  if (it == installed_.end()) return flows;
  const InstalledVip& vip = it->second;
  std::map<uint16_t, IpAddress> addresses;
  for (const auto& [address, real] : vip.reals) addresses[real.number] = address;
  const uint32_t tick = ProgramTick();
  model::FlowTable(Buckets(vip.flow_place)).Visit([&](uint64_t entry) {
    const auto real = addresses.find(lb_flow_entry_real(entry));
    if (flows.size() >= limit || real == addresses.end()) return;
    const uint64_t fingerprint = lb_flow_entry_fingerprint(entry);
    flows.push_back(
        {.slot =
             static_cast<uint32_t>(fingerprint >> (LB_FLOW_FINGERPRINT_BITS - vip.slots->bits())),
         .fingerprint = fingerprint,
         .real = real->second,
         .idle_seconds = static_cast<uint32_t>(
             (uint64_t{lb_flow_entry_age(entry, tick)} << LB_FLOW_TICK_SHIFT) / 1'000'000'000),
         .ended = (entry & LB_FLOW_ENDED) != 0});
  });
  return flows;
}

}  // namespace lb::dataplane
