// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/bpf_dataplane.h"

#include <absl/cleanup/cleanup.h>
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <glog/logging.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>

#include "lbd/dataplane/chain_slot.h"
#include "lbd/dataplane/dispatcher_hook.h"
#include "lbd/dataplane/explainer.h"
#include "lbd/dataplane/grace_period.h"
#include "lbd/dataplane/verdict.h"
#include "lbd/dataplane/xdp_link.h"

namespace lb::dataplane {
namespace {

// Layouts of the VIP table to try; that even one fails is all but impossible at a quarter full.
constexpr uint32_t kLayouts = 4;
// Routes and links change in bursts.
constexpr long kCoalesceNanos = 5'000'000;
// A neighbour on the same segment answers within a few milliseconds, or not for seconds.
constexpr auto kNeighbourPatience = std::chrono::milliseconds(200);

std::map<IpAddress, NextHop> Resolved(const std::vector<NextHopResult>& results) {
  std::map<IpAddress, NextHop> hops;
  for (const NextHopResult& result : results) {
    if (result.problem.empty()) hops.emplace(result.real, result.hop);
  }
  return hops;
}

uint32_t FeaturesOf(const Desired& desired) {
  uint32_t features = desired.probing ? LB_FEATURE_PROBES : 0;
  for (const Service& service : desired.services) features |= dataplane::FeaturesOf(service.vip);
  return features;
}

// What a driver can surely receive in one buffer.
constexpr uint32_t kOneBufferMtu = 3000;

// The settings as they are loaded: what depends on the interfaces is decided.
model::Settings Effective(model::Settings settings,
                          const std::map<std::string, InterfaceInfo>& interfaces) {
  if (!settings.packets.multi_buffer) {
    settings.packets.multi_buffer = std::ranges::any_of(
        interfaces, [](const auto& item) { return item.second.mtu > kOneBufferMtu; });
  }
  return settings;
}

// Whether both are about the same reals.
bool SameReals(const std::vector<Service>& a, const std::vector<Service>& b) {
  return std::ranges::equal(a, b, [](const Service& x, const Service& y) {
    return std::ranges::equal(x.vip.reals, y.vip.reals, {}, &model::Real::address,
                              &model::Real::address);
  });
}

// The longest packet that every link carries.
constexpr uint32_t kLeastMtu4 = 576;
constexpr uint32_t kLeastMtu6 = 1280;
// By which every packet that all clients may send gets to every real, however it is wrapped.
constexpr uint32_t kAmpleMtu = kLeastMtu6 + 64;

// What is wrong with the MTU of `hop`, where packets that all clients may send do not fit.
std::string MtuProblem(const model::VipKey& vip, model::Encap encap, const NextHopResult& hop) {
  const uint32_t least = vip.address.is_v4() ? kLeastMtu4 : kLeastMtu6;
  const uint32_t need = least + model::EncapOverhead(encap, hop.real.is_v4());
  if (!hop.problem.empty() || hop.hop.mtu >= need) return "";
  return fmt::format(
      "the MTU on the way to {} is {}, and packets of {} bytes to {} need {}; raise it: ip link "
      "set "
      "{} mtu {}",
      hop.real.ToString(), hop.hop.mtu, least, vip.ToString(), need, hop.hop.interface, need);
}

// What an earlier process left for an interface; NOT_FOUND where that is nothing.
StatusOr<std::unique_ptr<XdpHook>> OpenHook(const PinDirectory& pins,
                                            const std::string& interface) {
  auto link = XdpLink::Open(pins.LinkPath(interface));
  if (link.ok()) return std::make_unique<XdpLink>(*std::move(link));
  if (link.status().code() != absl::StatusCode::kNotFound) return link.status();
  if (auto slot = ChainSlot::Open(interface, pins);
      slot.ok() || slot.status().code() != absl::StatusCode::kNotFound) {
    return slot;
  }
  return DispatcherHook::Open(interface, pins);
}

Attachment AttachmentOf(const std::string& interface, const XdpHook& hook) {
  const auto info = GetInterface(interface);
  const bool generic = info.ok() && info->xdp_attached == XdpAttached::kGeneric;
  return {.interface = interface,
          .mode = generic ? model::XdpMode::kGeneric : model::XdpMode::kNative,
          .program_id = hook.program_id(),
          .link_up = info.ok() && info->admin_up && info->running,
          .attach = hook.attach()};
}

}  // namespace

BpfDataplane::BpfDataplane(PinDirectory pins, std::unique_ptr<NextHopResolver> resolver,
                           UniqueFd refresh_timer, UniqueFd sweep_timer, UniqueFd events,
                           std::unique_ptr<ProbePath> probes)
    : pins_(std::move(pins)),
      resolver_(std::move(resolver)),
      refresh_timer_(std::move(refresh_timer)),
      sweep_timer_(std::move(sweep_timer)),
      events_(std::move(events)),
      probes_(std::move(probes)) {}

StatusOr<std::unique_ptr<BpfDataplane>> BpfDataplane::Create(const std::string& pin_path) {
  LB_ASSIGN_OR_RETURN(PinDirectory pins, PinDirectory::Open(pin_path));
  LB_ASSIGN_OR_RETURN(auto resolver, NextHopResolver::Create());
  UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  UniqueFd sweep_timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  UniqueFd events(epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {timer.get(), sweep_timer.get(), resolver->event_fd()}) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(events.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return ErrnoStatus(errno, "watch the events of the network");
    }
  }
  LB_ASSIGN_OR_RETURN(auto probes, ProbePath::Create());
  return std::unique_ptr<BpfDataplane>(new BpfDataplane(std::move(pins), std::move(resolver),
                                                        std::move(timer), std::move(sweep_timer),
                                                        std::move(events), std::move(probes)));
}

std::vector<Attachment> BpfDataplane::AttachmentsAt(const std::string& pin_path) {
  const PinDirectory pins = PinDirectory::Look(pin_path);
  std::vector<Attachment> attachments;
  for (const std::string& interface : pins.PinnedInterfaces()) {
    const auto hook = OpenHook(pins, interface);
    if (hook.ok()) attachments.push_back(AttachmentOf(interface, **hook));
  }
  return attachments;
}

StatusOr<std::vector<std::string>> BpfDataplane::DetachAll(const std::string& pin_path) {
  LB_ASSIGN_OR_RETURN(PinDirectory pins, PinDirectory::Open(pin_path));
  std::vector<std::string> interfaces = pins.PinnedInterfaces();
  for (const std::string& interface : interfaces) {
    LB_ASSIGN_OR_RETURN(const auto hook, OpenHook(pins, interface));
    LB_RETURN_IF_ERROR(hook->Detach());
  }
  LB_RETURN_IF_ERROR(pins.RemoveMaps());
  return interfaces;
}

StatusOr<BpfDataplane::Interfaces> BpfDataplane::FindInterfaces(const model::Settings& settings) {
  Interfaces interfaces;
  std::string problems;
  for (size_t i = 0; i < settings.interfaces.size(); ++i) {
    const std::string& name = settings.interfaces[i];
    auto info = GetInterface(name);
    std::string problem;
    if (!info.ok()) {
      problem = Message(info.status());
    } else if (!info->admin_up) {
      problem = fmt::format("{} is down; bring it up: ip link set {} up", name, name);
    }
    if (problem.empty()) {
      interfaces.emplace(name, *std::move(info));
    } else {
      problems += fmt::format("{}interfaces[{}]: {}", problems.empty() ? "" : "\n", i, problem);
    }
  }
  if (!problems.empty()) return FailedPrecondition(problems);
  return interfaces;
}

std::vector<NextHopResult> BpfDataplane::ResolveAll(const Desired& desired,
                                                    const Interfaces& interfaces) {
  std::set<IpAddress> reals;
  for (const Service& service : desired.services) {
    for (const model::Real& real : service.vip.reals) reals.insert(real.address);
  }
  const auto& names = desired.settings.interfaces;
  if (!desired.settings.next_hop_mac) {
    auto results = resolver_->ResolveAll(std::vector<IpAddress>(reals.begin(), reals.end()));
    for (NextHopResult& result : results) {
      if (result.problem.empty() && std::ranges::find(names, result.hop.interface) == names.end()) {
        result.problem = fmt::format("the route to {} leaves by {}, which is not in interfaces",
                                     result.real.ToString(), result.hop.interface);
      }
    }
    return results;
  }
  std::vector<NextHopResult> results;
  for (const IpAddress& real : reals) {
    NextHopResult result{.real = real, .hop = {}, .problem = {}};
    if (names.empty()) {
      result.problem = "interfaces is empty";
    } else {
      const InterfaceInfo& info = interfaces.at(names.front());
      result.hop = {.destination = *desired.settings.next_hop_mac,
                    .source = info.mac,
                    .ifindex = info.index,
                    .interface = info.name,
                    .mtu = info.mtu,
                    .via = std::nullopt};
    }
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<NextHopResult> BpfDataplane::ResolvePatiently(const Desired& desired,
                                                          const Interfaces& interfaces) {
  const auto deadline = std::chrono::steady_clock::now() + kNeighbourPatience;
  while (true) {
    std::vector<NextHopResult> hops = ResolveAll(desired, interfaces);
    const bool wait = std::ranges::any_of(hops, [&](const NextHopResult& hop) {
      return hop.pending &&
             std::ranges::find(next_hops_, hop.real, &NextHopResult::real) == next_hops_.end();
    });
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (!wait || left.count() <= 0) return hops;
    pollfd waiting{.fd = resolver_->event_fd(), .events = POLLIN, .revents = 0};
    poll(&waiting, 1, static_cast<int>(left.count()));
    resolver_->DrainEvents();
  }
}

uint32_t BpfDataplane::ProgramInForce() const {
  uint32_t program_id = forwarder_ != nullptr ? forwarder_->program().id() : 0;
  for (const std::string& interface : pins_.PinnedInterfaces()) {
    if (program_id != 0) break;
    const auto hook = OpenHook(pins_, interface);
    if (hook.ok()) program_id = (*hook)->program_id();
  }
  return program_id;
}

StatusOr<std::optional<Image>> BpfDataplane::ImageInForce(uint32_t program_id) const {
  if (program_id == 0) return std::nullopt;
  LB_ASSIGN_OR_RETURN(Image image, Image::Open(pins_.OpenProgram(program_id), [&](uint32_t map_id) {
                        return pins_.OpenMap(program_id, map_id);
                      }));
  return std::optional<Image>(std::move(image));
}

void BpfDataplane::ScheduleSweep() {
  if (forwarder_ == nullptr || !forwarder_->needs_sweep()) return;
  itimerspec timer{};
  timerfd_gettime(sweep_timer_.get(), &timer);
  if (timer.it_value.tv_sec != 0 || timer.it_value.tv_nsec != 0) return;
  timer.it_value.tv_sec = Forwarder::kSweepSeconds;
  timerfd_settime(sweep_timer_.get(), 0, &timer, nullptr);
}

StatusOr<std::unique_ptr<Forwarder>> BpfDataplane::Build(const Desired& desired,
                                                         const std::vector<NextHopResult>& hops,
                                                         const std::optional<Image>& image) const {
  Status status;
  for (uint32_t layout = 0; layout < kLayouts; ++layout) {
    LB_ASSIGN_OR_RETURN(auto forwarder,
                        Forwarder::Create(desired.settings, FeaturesOf(desired), layout,
                                          Forwarder::MonotonicSeconds, probes_.get()));
    forwarder->SetNextHops(Resolved(hops));
    if (image) forwarder->Adopt(*image, desired.services);
    status = forwarder->Update(desired.services);
    if (status.ok()) return forwarder;
  }
  return status;
}

void BpfDataplane::OpenPorts(const Program& program, const Interfaces& interfaces) {
  for (const auto& [name, info] : interfaces) {
    const Status status = program.AddPort(info.index);
    if (!status.ok()) LOG(ERROR) << name << ": " << Message(status);
  }
}

StatusOr<std::unique_ptr<XdpHook>> BpfDataplane::AdoptHook(const InterfaceInfo& info) const {
  LB_ASSIGN_OR_RETURN(auto link, XdpLink::Adopt(pins_.LinkPath(info.name), info.index));
  if (link) return std::make_unique<XdpLink>(*std::move(link));
  return OpenHook(pins_, info.name);
}

StatusOr<std::unique_ptr<XdpHook>> BpfDataplane::NewHook(const InterfaceInfo& info,
                                                         const Program& program,
                                                         const model::Settings& settings) const {
  if (settings.attach == model::AttachMode::kChained) {
    return ChainSlot::Attach(info.name, settings.chain, program.fd(), pins_);
  }
  if (settings.attach == model::AttachMode::kDispatcher) {
    return DispatcherHook::Attach(info, settings.xdp_mode, program.fd(), pins_);
  }
  LB_ASSIGN_OR_RETURN(XdpLink link, XdpLink::Attach(info.name, info.index, program.fd(),
                                                    settings.xdp_mode, pins_.LinkPath(info.name)));
  return std::make_unique<XdpLink>(std::move(link));
}

Status BpfDataplane::AttachTo(const InterfaceInfo& info, const Program& program,
                              const model::Settings& settings,
                              std::vector<std::function<void()>>& undo) {
  const std::string& name = info.name;
  if (!hooks_.contains(name)) {
    auto adopted = AdoptHook(info);
    if (adopted.ok()) {
      hooks_[name] = *std::move(adopted);
    } else if (adopted.status().code() != absl::StatusCode::kNotFound) {
      return adopted.status();
    }
  }
  if (const auto it = hooks_.find(name); it != hooks_.end() && it->second->program_id() == 0) {
    // The interface was deleted and made again, or someone else has the slot.
    (void)it->second->Detach();
    hooks_.erase(it);
  }
  if (const auto it = hooks_.find(name); it != hooks_.end()) {
    const auto before = std::make_shared<UniqueFd>(pins_.OpenProgram(it->second->program_id()));
    if (!before->valid()) return ErrnoStatus(errno, "open the program attached to " + name);
    if (it->second->Fits(settings, info)) {
      LB_RETURN_IF_ERROR(it->second->Replace(program.fd(), before->get()));
      undo.emplace_back([this, name, before] { (void)hooks_.at(name)->Replace(before->get()); });
      return OkStatus();
    }
    // A hook stays where it is: this is the one change with a gap.
    LOG(WARNING) << name << ": attaching in another way, packets pass unbalanced for a moment";
    LB_RETURN_IF_ERROR(it->second->Detach());
    std::shared_ptr<XdpHook> old = std::move(it->second);
    hooks_.erase(it);
    undo.emplace_back([this, name, old, before]() mutable {
      if (!old->Reattach(before->get()).ok()) return;
      if (auto hook = OpenHook(pins_, name); hook.ok()) hooks_[name] = *std::move(hook);
    });
  }
  LB_ASSIGN_OR_RETURN(hooks_[name], NewHook(info, program, settings));
  undo.emplace_back([this, name] {
    (void)hooks_.at(name)->Detach();
    hooks_.erase(name);
  });
  return OkStatus();
}

Status BpfDataplane::Attach(const Program& program, const model::Settings& settings,
                            const Interfaces& interfaces) {
  OpenPorts(program, interfaces);
  std::vector<std::function<void()>> undo;
  for (const std::string& name : settings.interfaces) {
    const Status status = AttachTo(interfaces.at(name), program, settings, undo);
    if (status.ok()) continue;
    for (auto it = undo.rbegin(); it != undo.rend(); ++it) (*it)();
    std::erase_if(hooks_, [](const auto& item) { return item.second == nullptr; });
    return status;
  }
  std::erase_if(hooks_, [&](const auto& item) {
    if (interfaces.contains(item.first)) return false;
    if (const Status status = item.second->Detach(); !status.ok()) LOG(ERROR) << Message(status);
    return true;
  });
  return OkStatus();
}

Status BpfDataplane::Apply(const Desired& desired) {
  LB_ASSIGN_OR_RETURN(const Interfaces interfaces, FindInterfaces(desired.settings));
  const bool same_ways = forwarder_ != nullptr && !refresh_pending_ &&
                         desired.settings == desired_.settings &&
                         SameReals(desired.services, desired_.services);
  std::vector<NextHopResult> hops = same_ways ? next_hops_ : ResolvePatiently(desired, interfaces);
  const auto commit = [&] {
    desired_ = desired;
    next_hops_ = std::move(hops);
  };

  Desired effective = desired;
  effective.settings = Effective(desired.settings, interfaces);
  // A feature that is no longer used stays until the next program.
  const bool has_all =
      forwarder_ != nullptr && (FeaturesOf(desired) & ~forwarder_->features()) == 0;
  if (has_all && forwarder_->settings() == effective.settings) {
    // Reals that leave keep their hop until nothing names them.
    auto known = Resolved(next_hops_);
    auto wanted = Resolved(hops);
    auto both = wanted;
    both.merge(known);
    if (!same_ways) forwarder_->SetNextHops(both);
    Status status = forwarder_->Update(desired.services);
    if (status.ok()) {
      if (!same_ways) forwarder_->SetNextHops(wanted);
      commit();
      ScheduleSweep();
      return status;
    }
    if (!same_ways) forwarder_->SetNextHops(Resolved(next_hops_));
    if (status.code() != absl::StatusCode::kResourceExhausted) return status;
    LOG(INFO) << "Packing the maps anew: " << Message(status);
  }

  // Another program comes, over other tables than those that a capture would go on with.
  if (capture_) {
    *capture_->ended = true;
    StopCapture();
  }
  const uint32_t program_before = ProgramInForce();
  auto opened = ImageInForce(program_before);
  if (!opened.ok()) {
    not_taken_over_ = fmt::format(
        "program {} of another lbd could not be taken over: {}; tracked flows are forgotten, and "
        "connections on slots that were changing hands may have gone to another real",
        program_before, Message(opened.status()));
    LOG(WARNING) << not_taken_over_;
  }
  std::optional<Image> image = opened.ok() ? *std::move(opened) : std::nullopt;
  if (image) image->Freeze();
  const absl::Cleanup thaw = [&] {
    if (image) image->Thaw();
  };
  LB_ASSIGN_OR_RETURN(auto fresh, Build(effective, hops, image));
  // Before it is attached: whoever comes after us, even after a crash right now, can open it.
  LB_RETURN_IF_ERROR(pins_.PinProgram(fresh->program()));
  if (const Status status = Attach(fresh->program(), desired.settings, interfaces); !status.ok()) {
    pins_.KeepProgram(program_before);
    return status;
  }
  WaitForGracePeriod();
  if (image) fresh->CatchUp(*image);
  if (forwarder_ != nullptr) {
    fresh->ContinueCounters(*forwarder_);
    program_before_ = ReadStats().program;
  }
  forwarder_ = std::move(fresh);
  probes_->SetProgram(desired.probing ? forwarder_->program().fd() : -1);
  commit();
  pins_.KeepProgram(forwarder_->program().id());
  if (const Status status = pins_.PinMaps(forwarder_->maps()); !status.ok()) {
    LOG(ERROR) << Message(status);
  }
  ScheduleSweep();
  return OkStatus();
}

Status BpfDataplane::UpdateRings(const std::vector<Service>& services) {
  if (forwarder_ == nullptr) return FailedPrecondition("nothing was applied yet");
  LB_RETURN_IF_ERROR(forwarder_->Update(services));
  desired_.services = services;
  ScheduleSweep();
  return OkStatus();
}

std::set<std::pair<model::VipKey, IpAddress>> BpfDataplane::Serving() const {
  std::set<std::pair<model::VipKey, IpAddress>> serving;
  const auto image = ImageInForce(ProgramInForce());
  if (!image.ok() || !*image) return serving;
  for (const VipImage& vip : (*image)->vips()) {
    for (const uint16_t number : vip.serving) {
      const auto real = vip.reals.find(number);
      if (real != vip.reals.end()) serving.emplace(vip.key, real->second);
    }
  }
  return serving;
}

void BpfDataplane::ReattachLost() {
  for (auto& [name, hook] : hooks_) {
    if (hook->program_id() != 0) continue;
    const auto info = GetInterface(name);
    if (!info.ok() || !info->admin_up) continue;
    (void)hook->Detach();
    auto attached = NewHook(*info, forwarder_->program(), desired_.settings);
    if (!attached.ok()) {
      LOG(ERROR) << Message(attached.status());
      continue;
    }
    LOG(INFO) << name << " is back: attached again";
    hook = *std::move(attached);
  }
}

void BpfDataplane::OnEvents() {
  uint64_t expirations = 0;
  const bool due = read(refresh_timer_.get(), &expirations, sizeof(expirations)) > 0;
  const bool changed = resolver_->DrainEvents();
  if (read(sweep_timer_.get(), &expirations, sizeof(expirations)) > 0 && forwarder_ != nullptr) {
    forwarder_->Sweep();
    ScheduleSweep();
  }
  if (due) {
    refresh_pending_ = false;
    Refresh();
  } else if (changed && !refresh_pending_) {
    refresh_pending_ = true;
    const itimerspec soon{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = kCoalesceNanos}};
    timerfd_settime(refresh_timer_.get(), 0, &soon, nullptr);
  }
}

void BpfDataplane::Refresh() {
  if (forwarder_ == nullptr) return;
  ReattachLost();
  const auto interfaces = FindInterfaces(desired_.settings);
  if (interfaces.ok()) OpenPorts(forwarder_->program(), *interfaces);
  if (interfaces.ok() && capture_) OpenPorts(capture_->program.program(), *interfaces);
  // With a configured MAC nothing but a change of the interface matters, and that needs it to be
  // there.
  if (!interfaces.ok() && desired_.settings.next_hop_mac) return;
  auto hops = ResolveAll(desired_, interfaces.ok() ? *interfaces : Interfaces());
  if (hops == next_hops_) return;
  for (const NextHopResult& hop : hops) {
    const auto before = std::ranges::find(next_hops_, hop.real, &NextHopResult::real);
    if (before != next_hops_.end() && *before == hop) continue;
    if (hop.problem.empty()) {
      LOG(INFO) << "Next hop of " << hop.real.ToString() << ": " << hop.hop.destination.ToString()
                << " on " << hop.hop.interface;
    } else {
      LOG(WARNING) << "No next hop: " << hop.problem;
    }
  }
  forwarder_->SetNextHops(Resolved(hops));
  next_hops_ = std::move(hops);
}

std::vector<Attachment> BpfDataplane::Attachments() const {
  std::vector<Attachment> result;
  for (const auto& [name, hook] : hooks_) {
    result.push_back(AttachmentOf(name, *hook));
  }
  return result;
}

Stats BpfDataplane::ReadStats() const {
  Stats stats;
  std::array<uint64_t, LB_VERDICT_COUNT> packets{};
  if (forwarder_ != nullptr) {
    stats.vips = forwarder_->ReadVipCounters();
    packets = forwarder_->ReadVerdicts(stats.vips);
    stats.cpu_packets = forwarder_->ReadCpuPackets();
    stats.flow_table = forwarder_->ReadFlowTableStats();
    stats.program = forwarder_->program().ReadStats();
  }
  stats.program += program_before_;
  if (capture_) stats.program += capture_->program.program().ReadStats();
  for (const VerdictCounter& verdict : AllVerdicts()) {
    stats.verdicts.push_back(verdict);
    stats.verdicts.back().packets = packets[stats.verdicts.size() - 1];
  }
  std::array<uint64_t, kNotes> notes{};
  if (forwarder_ != nullptr) notes = forwarder_->ReadNotes();
#define LB_NOTE_ROW(NAME, name, text) \
  stats.notes.push_back({#name, text, notes[LB_NOTE_##NAME - LB_NOTE_FIRST]});
  LB_NOTES(LB_NOTE_ROW)
#undef LB_NOTE_ROW
  return stats;
}

std::vector<TrackedFlow> BpfDataplane::ListFlows(const model::VipKey& vip, size_t limit) const {
  return forwarder_ != nullptr ? forwarder_->ListFlows(vip, limit) : std::vector<TrackedFlow>();
}

uint64_t BpfDataplane::PurgeFlows(const model::VipKey& vip, const std::optional<IpAddress>& real) {
  return forwarder_ != nullptr ? forwarder_->PurgeFlows(vip, real) : 0;
}

StatusOr<Explanation> BpfDataplane::Explain(const Frame& frame, const std::string& interface,
                                            const Desired* pending) {
  const auto info = GetInterface(interface);
  const uint32_t ifindex = info.ok() ? info->index : 0;
  if (pending == nullptr) {
    if (forwarder_ == nullptr) return FailedPrecondition("no configuration is in force");
    return dataplane::Explain(*forwarder_, frame, ifindex);
  }
  LB_ASSIGN_OR_RETURN(const Interfaces interfaces, FindInterfaces(pending->settings));
  const std::vector<NextHopResult> hops = ResolveAll(*pending, interfaces);
  // The resolver goes on following what is in force.
  if (const auto own = FindInterfaces(desired_.settings); own.ok())
    (void)ResolveAll(desired_, *own);
  Desired effective = *pending;
  effective.settings = Effective(pending->settings, interfaces);
  auto image = ImageInForce(ProgramInForce());
  LB_ASSIGN_OR_RETURN(const auto scratch,
                      Build(effective, hops, image.ok() ? *std::move(image) : std::nullopt));
  return dataplane::Explain(*scratch, frame, ifindex);
}

Status BpfDataplane::SwitchTo(int program_fd) {
  for (const auto& [name, hook] : hooks_) {
    LB_RETURN_IF_ERROR(hook->Replace(program_fd));
  }
  return OkStatus();
}

StatusOr<std::unique_ptr<CaptureReader>> BpfDataplane::StartCapture(const CaptureFilter& filter) {
  if (forwarder_ == nullptr) return FailedPrecondition("no configuration is in force");
  if (capture_) return FailedPrecondition("another capture is running; there can be one at a time");
  LB_ASSIGN_OR_RETURN(
      TracingProgram program,
      TracingProgram::Load(forwarder_->config(), forwarder_->maps(), forwarder_->prefix_maps(),
                           filter, Forwarder::PriorityOf(desired_.settings), probes_.get(),
                           forwarder_->program().map_fd("lb_fragments")));
  LB_ASSIGN_OR_RETURN(auto reader, CaptureReader::Create(program, forwarder_->maps()));
  if (const auto interfaces = FindInterfaces(desired_.settings); interfaces.ok()) {
    OpenPorts(program.program(), *interfaces);
  }
  // Whoever comes after us, even after a crash right now, can open it.
  Status status = pins_.PinProgram(program.program());
  if (status.ok()) status = SwitchTo(program.program().fd());
  if (!status.ok()) {
    (void)SwitchTo(forwarder_->program().fd());
    pins_.KeepProgram(forwarder_->program().id());
    return status;
  }
  capture_ = Capture{std::move(program), reader->ended_flag()};
  LOG(INFO) << "A capture starts";
  return reader;
}

void BpfDataplane::StopCapture() {
  if (!capture_) return;
  if (const Status status = SwitchTo(forwarder_->program().fd()); !status.ok()) {
    LOG(ERROR) << "End of a capture: " << Message(status);
    return;
  }
  pins_.KeepProgram(forwarder_->program().id());
  program_before_ += capture_->program.program().ReadStats();
  capture_.reset();
  LOG(INFO) << "The capture ends";
}

std::map<std::string, uint64_t> BpfDataplane::MapBytes() const {
  std::map<std::string, uint64_t> bytes;
  if (forwarder_ != nullptr) {
    for (const MappedArray* map : forwarder_->maps()) bytes[map->name()] = map->size_bytes();
  }
  return bytes;
}

std::vector<std::string> BpfDataplane::Warnings() const {
  std::vector<std::string> warnings;
  for (const std::string& interface : pins_.PinnedInterfaces()) {
    if (hooks_.contains(interface)) continue;
    warnings.push_back(
        fmt::format("{} is still forwarding by the configuration of an earlier lbd; add it to "
                    "interfaces to take it "
                    "over, or remove it with lbd --detach",
                    interface));
  }
  if (!not_taken_over_.empty()) warnings.push_back(not_taken_over_);
  std::map<IpAddress, const NextHopResult*> unnamed;
  for (const NextHopResult& hop : next_hops_) {
    if (hop.hop.mtu < kAmpleMtu) unnamed.emplace(hop.real, &hop);
  }
  for (const Service& service : desired_.services) {
    for (const model::Real& real : service.vip.reals) {
      const auto hop = unnamed.find(real.address);
      std::string problem =
          hop == unnamed.end() ? "" : MtuProblem(service.vip.key, real.encap, *hop->second);
      if (problem.empty()) continue;
      warnings.push_back(std::move(problem));
      unnamed.erase(hop);
    }
  }
  for (const auto& [name, hook] : hooks_) {
    const std::string problem = hook->Problem();
    if (!problem.empty()) warnings.push_back(fmt::format("{}: {}", name, problem));
  }
  for (const Attachment& attachment : Attachments()) {
    if (attachment.attach == model::AttachMode::kDirect && attachment.program_id != 0 &&
        attachment.mode == model::XdpMode::kGeneric &&
        desired_.settings.xdp_mode == model::XdpMode::kAuto) {
      warnings.push_back(fmt::format("{} runs in generic mode: its driver has no native XDP",
                                     attachment.interface));
    }
  }
  return warnings;
}

}  // namespace lb::dataplane
