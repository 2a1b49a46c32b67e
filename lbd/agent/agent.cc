// SPDX-License-Identifier: Apache-2.0
#include "lbd/agent/agent.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <set>

#include "lb/decap_abi.h"
#include "lbd/dataplane/pin_directory.h"

namespace lb::agent {
namespace {

using dataplane::PinDirectory;

constexpr char kLoopback[] = "lo";

Status CheckInterfaces(const std::vector<std::string>& interfaces) {
  for (const std::string& interface : interfaces) {
    if (if_nametoindex(interface.c_str()) == 0) {
      return NotFound(fmt::format("no interface {}; see: ip link", interface));
    }
  }
  return OkStatus();
}

bool IsHost(const IpPrefix& prefix) { return prefix.length() == (prefix.is_v4() ? 32 : 128); }

}  // namespace

StatusOr<Agent> Agent::Open(const std::string& pin_path, const Decapsulator::Settings& settings) {
  const unsigned loopback = if_nametoindex(kLoopback);
  if (loopback == 0) return NotFound("this host has no interface lo");
  LB_ASSIGN_OR_RETURN(HostAddresses host, HostAddresses::Create());
  LB_ASSIGN_OR_RETURN(PinDirectory pins, PinDirectory::Open(pin_path));
  LB_ASSIGN_OR_RETURN(Decapsulator decapsulator, Decapsulator::Load(std::move(pins), settings));
  return Agent(std::move(decapsulator), std::move(host), static_cast<int>(loopback), pin_path);
}

StatusOr<Agent> Agent::Start(const Options& options) {
  LB_RETURN_IF_ERROR(CheckInterfaces(options.interfaces));
  const bool prefixes = !std::ranges::all_of(options.vips, IsHost);
  LB_ASSIGN_OR_RETURN(Agent agent,
                      Open(options.pin_path, {.gue_port = options.gue_port, .prefixes = prefixes}));
  LB_ASSIGN_OR_RETURN(const auto addresses, agent.decapsulator_.ReadAddresses());
  LB_ASSIGN_OR_RETURN(const auto earlier, agent.decapsulator_.ReadPrefixes());
  const Status status = agent.SetUp(options);
  if (!status.ok()) {
    if (addresses.empty() && earlier.empty()) (void)agent.Detach();
    return status;
  }
  return agent;
}

Status Agent::SetUp(const Options& options) {
  LB_RETURN_IF_ERROR(decapsulator_.Attach(options.interfaces, options.xdp_mode));
  std::vector<IpAddress> hosts;
  std::vector<IpPrefix> prefixes;
  for (const IpPrefix& vip : options.vips) {
    if (IsHost(vip)) {
      hosts.push_back(vip.address());
    } else {
      prefixes.push_back(vip);
    }
  }
  LB_RETURN_IF_ERROR(SetVips(hosts));
  LB_RETURN_IF_ERROR(SetPrefixes(prefixes));
  LB_RETURN_IF_ERROR(SetTunnels());
  return SetServerIds(options.server_ids);
}

Status Agent::SetServerIds(const ServerIdOptions& options) {
  if (!options.any()) return ServerIdProgram::Remove(pin_path_);
  LB_ASSIGN_OR_RETURN(server_ids_, ServerIdProgram::Start(pin_path_, options));
  return OkStatus();
}

Status Agent::SetVips(const std::vector<IpAddress>& vips) {
  LB_ASSIGN_OR_RETURN(const auto known, decapsulator_.ReadAddresses());
  LB_ASSIGN_OR_RETURN(const auto present, host_.List());
  for (const IpAddress& vip : vips) {
    const auto entry = known.find(vip);
    uint32_t flags = entry == known.end() ? 0 : entry->second & LB_DECAP_ADDED;
    const HostAddress on_loopback{loopback_, vip};
    const bool there = std::ranges::find(present, on_loopback) != present.end();
    if (!there) flags = LB_DECAP_ADDED;
    // The note that it is ours comes first, so that a crash in between leaves nothing unnoted.
    LB_RETURN_IF_ERROR(decapsulator_.SetAddress(vip, flags | LB_DECAP_VIP));
    if (!there) LB_RETURN_IF_ERROR(host_.Add(on_loopback));
  }
  for (const auto& [address, flags] : known) {
    const bool wanted = std::ranges::find(vips, address) != vips.end();
    if ((flags & LB_DECAP_VIP) != 0 && !wanted) LB_RETURN_IF_ERROR(RemoveVip(address, flags));
  }
  return OkStatus();
}

Status Agent::SetPrefixes(const std::vector<IpPrefix>& vips) {
  LB_ASSIGN_OR_RETURN(const auto known, decapsulator_.ReadPrefixes());
  for (const IpPrefix& vip : vips) {
    const auto entry = known.find(vip);
    const Status added = host_.AddLocal(vip);
    const bool there = added.code() == absl::StatusCode::kAlreadyExists;
    if (!there) LB_RETURN_IF_ERROR(added);
    const uint32_t flags = there && entry != known.end() ? entry->second & LB_DECAP_ADDED
                           : there                       ? 0
                                                         : LB_DECAP_ADDED;
    const Status status = decapsulator_.SetPrefix(vip, flags | LB_DECAP_VIP);
    if (!status.ok()) {
      if (!there) (void)host_.RemoveLocal(vip);
      return status;
    }
  }
  for (const auto& [prefix, flags] : known) {
    if (std::ranges::find(vips, prefix) == vips.end()) {
      LB_RETURN_IF_ERROR(RemovePrefix(prefix, flags));
    }
  }
  return OkStatus();
}

Status Agent::RemovePrefix(const IpPrefix& prefix, uint32_t flags) {
  if ((flags & LB_DECAP_ADDED) != 0) {
    const Status status = host_.RemoveLocal(prefix);
    if (!status.ok() && status.code() != absl::StatusCode::kNotFound) return status;
  }
  return decapsulator_.RemovePrefix(prefix);
}

Status Agent::RemoveVip(const IpAddress& address, uint32_t flags) {
  if ((flags & LB_DECAP_ADDED) != 0) {
    Status status = host_.Remove({loopback_, address});
    if (!status.ok() && status.code() != absl::StatusCode::kNotFound) return status;
  }
  return decapsulator_.RemoveAddress(address);
}

Status Agent::SetTunnels() {
  LB_ASSIGN_OR_RETURN(const auto present, host_.List());
  LB_ASSIGN_OR_RETURN(const auto known, decapsulator_.ReadAddresses());
  std::set<IpAddress> tunnels;
  for (const HostAddress& host : present) {
    const auto entry = known.find(host.address);
    const bool vip = entry != known.end() && (entry->second & LB_DECAP_VIP) != 0;
    if (!vip && !host.address.is_loopback()) tunnels.insert(host.address);
  }
  for (const IpAddress& address : tunnels) {
    if (!known.contains(address)) {
      LB_RETURN_IF_ERROR(decapsulator_.SetAddress(address, LB_DECAP_TUNNEL));
    }
  }
  for (const auto& [address, flags] : known) {
    if (flags == LB_DECAP_TUNNEL && !tunnels.contains(address)) {
      LB_RETURN_IF_ERROR(decapsulator_.RemoveAddress(address));
    }
  }
  return OkStatus();
}

Status Agent::OnEvents() {
  host_.Drain();
  return SetTunnels();
}

Status Agent::Detach(const std::string& pin_path) {
  LB_ASSIGN_OR_RETURN(Agent agent, Open(pin_path, {}));
  return agent.Detach();
}

StatusOr<std::vector<OutcomeCount>> Agent::ReadCounts() const {
  LB_ASSIGN_OR_RETURN(auto counts, decapsulator_.ReadCounts());
  if (!server_ids_) return counts;
  LB_ASSIGN_OR_RETURN(const auto ids, server_ids_->ReadCounts());
  counts.insert(counts.end(), ids.begin(), ids.end());
  return counts;
}

Status Agent::Detach() {
  LB_RETURN_IF_ERROR(ServerIdProgram::Remove(pin_path_));
  LB_ASSIGN_OR_RETURN(const auto known, decapsulator_.ReadAddresses());
  for (const auto& [address, flags] : known) LB_RETURN_IF_ERROR(RemoveVip(address, flags));
  LB_ASSIGN_OR_RETURN(const auto prefixes, decapsulator_.ReadPrefixes());
  for (const auto& [prefix, flags] : prefixes) LB_RETURN_IF_ERROR(RemovePrefix(prefix, flags));
  return decapsulator_.Remove();
}

}  // namespace lb::agent
