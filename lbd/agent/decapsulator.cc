// SPDX-License-Identifier: Apache-2.0
#include "lbd/agent/decapsulator.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <utility>

#include "lb/decap_abi.h"
#include "real_decap.skel.h"

namespace lb::agent {
namespace {

using dataplane::PinDirectory;
using dataplane::XdpLink;

struct Outcome {
  std::string_view name;
  std::string_view description;
};
constexpr std::array kOutcomes = {
#define LB_OUTCOME(NAME, name, text) Outcome{#name, text},
    LB_DECAP_OUTCOMES(LB_OUTCOME)
#undef LB_OUTCOME
};

Status LoadError(int error, const std::string& pins) {
  switch (error) {
    case EPERM:
    case EACCES:
      return PermissionDenied(
          "load the decapsulation program: Operation not permitted; run as root or with "
          "CAP_NET_ADMIN, "
          "CAP_BPF and CAP_PERFMON");
    case EINVAL:
      return FailedPrecondition(
          fmt::format("load the decapsulation program: Invalid argument; if an lbagent of another "
                      "version left its "
                      "maps in {0}, remove them: lbagent --detach --bpffs {0}",
                      pins));
    default:
      return ErrnoStatus(error, "load the decapsulation program");
  }
}

lb_decap_prefix_key EncodePrefix(const IpPrefix& prefix) {
  lb_decap_prefix_key key{};
  key.prefix_length = prefix.is_v4() ? 96 + prefix.length() : prefix.length();
  std::memcpy(key.address, prefix.address().mapped().data(), sizeof(key.address));
  return key;
}

IpPrefix DecodePrefix(const lb_decap_prefix_key& key) {
  IpAddress::Bytes bytes;
  std::memcpy(bytes.data(), key.address, bytes.size());
  const IpAddress address(bytes);
  const int length = static_cast<int>(key.prefix_length);
  return {address, address.is_v4() ? length - 96 : length};
}

}  // namespace

void Decapsulator::Close::operator()(real_decap_bpf* skeleton) const {
  real_decap_bpf::destroy(skeleton);
}

StatusOr<Decapsulator> Decapsulator::Load(PinDirectory pins, const Settings& settings) {
  Skeleton skeleton(real_decap_bpf::open());
  if (skeleton == nullptr) return ErrnoStatus(errno, "open the decapsulation program");
  skeleton->rodata->lb_decap_gue_port = settings.gue_port;
  skeleton->rodata->lb_decap_prefixes = settings.prefixes;
  bpf_map* map;
  bpf_object__for_each_map(map, skeleton->obj) {
    if (bpf_map__is_internal(map)) continue;  // the settings are those of one program
    const std::string path = fmt::format("{}/{}", pins.path(), bpf_map__name(map));
    if (const int error = bpf_map__set_pin_path(map, path.c_str()); error != 0) {
      return ErrnoStatus(-error, "pin " + path);
    }
  }
  const bool fresh = std::filesystem::is_empty(pins.path());
  if (const int error = real_decap_bpf::load(skeleton.get()); error != 0) {
    if (fresh) LB_RETURN_IF_ERROR(pins.RemoveMaps());
    return LoadError(-error, pins.path());
  }
  return Decapsulator(std::move(pins), std::move(skeleton));
}

StatusOr<Decapsulator::Addresses> Decapsulator::ReadAddresses() const {
  const int fd = bpf_map__fd(skeleton_->maps.lb_decap_ip);
  Addresses addresses;
  IpAddress::Bytes key;
  const void* previous = nullptr;
  while (bpf_map_get_next_key(fd, previous, key.data()) == 0) {
    uint32_t flags;
    if (bpf_map_lookup_elem(fd, key.data(), &flags) != 0) {
      return ErrnoStatus(errno, "read the decapsulation addresses");
    }
    addresses.emplace(IpAddress(key), flags);
    previous = key.data();
  }
  if (errno != ENOENT) return ErrnoStatus(errno, "read the decapsulation addresses");
  return addresses;
}

Status Decapsulator::SetAddress(const IpAddress& address, uint32_t flags) {
  if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.lb_decap_ip), address.mapped().data(), &flags,
                          BPF_ANY) != 0) {
    return ErrnoStatus(errno, "allow decapsulation for " + address.ToString());
  }
  return OkStatus();
}

Status Decapsulator::RemoveAddress(const IpAddress& address) {
  if (bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.lb_decap_ip), address.mapped().data()) != 0 &&
      errno != ENOENT) {
    return ErrnoStatus(errno, "end decapsulation for " + address.ToString());
  }
  return OkStatus();
}

StatusOr<Decapsulator::Prefixes> Decapsulator::ReadPrefixes() const {
  const int fd = bpf_map__fd(skeleton_->maps.lb_decap_prefix);
  Prefixes prefixes;
  lb_decap_prefix_key key;
  const void* previous = nullptr;
  while (bpf_map_get_next_key(fd, previous, &key) == 0) {
    uint32_t flags;
    if (bpf_map_lookup_elem(fd, &key, &flags) != 0) {
      return ErrnoStatus(errno, "read the decapsulation prefixes");
    }
    prefixes.emplace(DecodePrefix(key), flags);
    previous = &key;
  }
  if (errno != ENOENT) return ErrnoStatus(errno, "read the decapsulation prefixes");
  return prefixes;
}

Status Decapsulator::SetPrefix(const IpPrefix& prefix, uint32_t flags) {
  const lb_decap_prefix_key key = EncodePrefix(prefix);
  if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.lb_decap_prefix), &key, &flags, BPF_ANY) !=
      0) {
    return ErrnoStatus(errno, "allow decapsulation for " + prefix.ToString());
  }
  return OkStatus();
}

Status Decapsulator::RemovePrefix(const IpPrefix& prefix) {
  const lb_decap_prefix_key key = EncodePrefix(prefix);
  if (bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.lb_decap_prefix), &key) != 0 &&
      errno != ENOENT) {
    return ErrnoStatus(errno, "end decapsulation for " + prefix.ToString());
  }
  return OkStatus();
}

Status Decapsulator::Attach(const std::vector<std::string>& interfaces, model::XdpMode mode) {
  for (const std::string& interface : interfaces) {
    const int ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    if (ifindex == 0) return NotFound(fmt::format("no interface {}; see: ip link", interface));
    const std::string pin = pins_.LinkPath(interface);
    const int program = bpf_program__fd(skeleton_->progs.real_decap);
    LB_ASSIGN_OR_RETURN(std::optional<XdpLink> link, XdpLink::Adopt(pin, ifindex));
    if (link) {
      LB_RETURN_IF_ERROR(link->Replace(program));
    } else {
      LB_ASSIGN_OR_RETURN(link, XdpLink::Attach(interface, ifindex, program, mode, pin));
    }
  }
  for (const std::string& interface : pins_.PinnedInterfaces()) {
    if (std::ranges::find(interfaces, interface) == interfaces.end()) {
      LB_RETURN_IF_ERROR(DetachFrom(interface));
    }
  }
  return OkStatus();
}

Status Decapsulator::DetachFrom(const std::string& interface) {
  const int ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  LB_ASSIGN_OR_RETURN(std::optional<XdpLink> link,
                      XdpLink::Adopt(pins_.LinkPath(interface), ifindex));
  return link ? link->Detach() : OkStatus();
}

StatusOr<std::vector<OutcomeCount>> Decapsulator::ReadCounts() const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return ErrnoStatus(-cpus, "count the CPUs");
  std::vector<uint64_t> per_cpu(static_cast<size_t>(cpus));
  std::vector<OutcomeCount> counts;
  for (uint32_t i = 0; i < kOutcomes.size(); ++i) {
    if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.lb_decap_count), &i, per_cpu.data()) != 0) {
      return ErrnoStatus(errno, "read the decapsulation counters");
    }
    counts.push_back({kOutcomes[i].name, kOutcomes[i].description,
                      std::accumulate(per_cpu.begin(), per_cpu.end(), uint64_t{0})});
  }
  return counts;
}

Status Decapsulator::Remove() {
  for (const std::string& interface : pins_.PinnedInterfaces()) {
    LB_RETURN_IF_ERROR(DetachFrom(interface));
  }
  return pins_.RemoveMaps();
}

}  // namespace lb::agent
