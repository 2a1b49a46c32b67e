// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "lbd/model/limits.h"
#include "lbd/model/validate_check.h"

namespace lb::model {
namespace {

constexpr size_t kMaxInterfaceName = 15;  // IFNAMSIZ - 1
constexpr size_t kMaxInterfaces = 64;
constexpr uint32_t kMaxChainPosition = 1023;
constexpr uint32_t kMaxPriority = 65535;
constexpr size_t kMaxVipName = 63;
// The first three bits of Katran's connection ids, of which the first two are the version, 1 to 3.
constexpr int kFirstKatranConfig = 2;
// A gRPC status travels in headers, which are small.
constexpr size_t kMaxReported = 50;

// The size of the ring; 0 where its bits are out of range.
uint64_t SlotsOf(const Vip& vip) {
  const int bits = RingBits(vip);
  return bits < kMinRingBits || bits > kMaxRingBits ? 0 : uint64_t{1} << bits;
}

bool IsUnicast(const IpAddress& address) {
  return !address.is_unspecified() && !address.is_multicast() && !address.is_loopback() &&
         !address.is_broadcast();
}

bool HasDistinctAddresses(const std::vector<Real>& reals) {
  std::vector<IpAddress> addresses;
  addresses.reserve(reals.size());
  for (const Real& real : reals) addresses.push_back(real.address);
  std::ranges::sort(addresses);
  return std::ranges::adjacent_find(addresses) == addresses.end();
}

class Checker {
 public:
  void CheckSettings(const Settings& settings) {
    std::map<std::string, size_t> seen;
    for (size_t i = 0; i < settings.interfaces.size(); ++i) {
      const std::string& name = settings.interfaces[i];
      const std::string path = fmt::format("interfaces[{}]", i);
      if (name.empty() || name.size() > kMaxInterfaceName) {
        Add(path, fmt::format("must be an interface name of 1..{} characters, got \"{}\"",
                              kMaxInterfaceName, name));
      }
      if (const auto [it, fresh] = seen.emplace(name, i); !fresh) {
        Add(path, fmt::format("\"{}\" is already interfaces[{}]", name, it->second));
      }
    }
    if (settings.interfaces.size() > kMaxInterfaces) {
      Add("interfaces",
          fmt::format("at most {}, got {}", kMaxInterfaces, settings.interfaces.size()));
    }
    CheckAttach(settings);
    if (settings.next_hop_mac &&
        (settings.next_hop_mac->is_zero() || settings.next_hop_mac->is_group())) {
      Add("next_hop.mac", fmt::format("must be the unicast address of a gateway, got {}",
                                      settings.next_hop_mac->ToString()));
    }
    if (!settings.outer_source_v4.is_v4()) {
      Add("encap.source_v4",
          fmt::format("must be an IPv4 prefix, got {}", settings.outer_source_v4.ToString()));
    }
    if (settings.outer_source_v6.is_v4()) {
      Add("encap.source_v6",
          fmt::format("must be an IPv6 prefix, got {}", settings.outer_source_v6.ToString()));
    }
    if (settings.gue_port == 0) Add("encap.gue_port", "must be 1..65535, got 0");
    if (settings.limits.fragments != 0) {
      CheckRange("limits.fragments", settings.limits.fragments, kMinFragments, kMaxFragments);
    }
    CheckRange("icmp.too_big_per_second", settings.icmp.too_big_per_second, 0, kMaxTooBigPerSecond);
    CheckDecap(settings.decap);
    CheckRange("limits.vips", settings.limits.vips, 1, 65536);
    CheckRange("limits.reals", settings.limits.reals, 64, 1 << 20);
    CheckRange("limits.ring_slots", settings.limits.ring_slots, 1 << 14, 1 << 27);
    CheckRange("limits.flows", settings.limits.flows, kMinFlows, kMaxFlows);
    CheckRange("limits.source_prefixes", settings.limits.source_prefixes, 1, kMaxSourcePrefixes);
    CheckRange("limits.sources", settings.limits.sources, 1 << 10, kMaxSources);
  }

  void CheckAttach(const Settings& settings) {
    const auto misplaced = [&](const char* field, AttachMode mode) {
      Add(field, fmt::format("belongs to attach: {}, and attach is {}", ToString(mode),
                             ToString(settings.attach)));
    };
    CheckRange("dispatcher.priority", settings.priority, 0, kMaxPriority);
    if (settings.attach != AttachMode::kDispatcher && settings.priority != kDefaultPriority) {
      misplaced("dispatcher", AttachMode::kDispatcher);
    }
    const Chain& chain = settings.chain;
    if (settings.attach != AttachMode::kChained) {
      if (chain != Chain()) misplaced("chain", AttachMode::kChained);
      return;
    }
    if (!chain.map.starts_with('/')) {
      Add("chain.map", fmt::format("must be the absolute path of a pinned program array, such as "
                                   "/sys/fs/bpf/root_{}, got \"{}\"",
                                   Chain::kInterface, chain.map));
    } else if (settings.interfaces.size() > 1 &&
               chain.map.find(Chain::kInterface) == std::string::npos) {
      Add("chain.map", fmt::format("must contain {}, as each of the {} interfaces has a root "
                                   "program of its own",
                                   Chain::kInterface, settings.interfaces.size()));
    }
    CheckRange("chain.position", chain.position, 0, kMaxChainPosition);
  }

  void CheckDecap(const DecapOptions& decap) {
    if (decap.addresses.size() > kMaxTunnels) {
      Add("decap.addresses",
          fmt::format("at most {} addresses, got {}", kMaxTunnels, decap.addresses.size()));
    }
    std::map<IpAddress, size_t> seen;
    for (size_t i = 0; i < decap.addresses.size(); ++i) {
      const IpAddress& address = decap.addresses[i];
      const std::string path = fmt::format("decap.addresses[{}]", i);
      if (!IsUnicast(address)) {
        Add(path,
            fmt::format("must be a unicast address of this host, got {}", address.ToString()));
      }
      if (const auto [it, fresh] = seen.emplace(address, i); !fresh) {
        Add(path, fmt::format("{} is already decap.addresses[{}]", address.ToString(), it->second));
      }
    }
    if (!decap.gue_port) return;
    CheckRange("decap.gue_port", *decap.gue_port, 1, 65535);
    if (decap.addresses.empty()) Add("decap.gue_port", "needs decap.addresses, where tunnels end");
  }

  // What concerns several VIPs, or VIPs and settings.
  void CheckFragments(const Config& config) {
    for (size_t i = 0; i < config.vips.size(); ++i) {
      const Vip& vip = config.vips[i];
      const std::string path = fmt::format("vips[{}]", i);
      if (std::ranges::count(config.settings.decap.addresses, vip.key.address) > 0) {
        Add(path + ".address", fmt::format("{} is in decap.addresses; a VIP cannot end tunnels",
                                           vip.key.address.ToString()));
      }
      if (vip.fragments != Fragments::kByAddress) continue;
      if (config.settings.limits.fragments == 0) {
        Add(path + ".fragments", "needs limits.fragments above 0");
      }
      if (vip.key.port != 0) {
        Add(path + ".fragments", "by_address needs any_port: later fragments have no port");
      }
    }
  }

  void CheckProbes(const ProbeSettings& probes) {
    CheckSource("probes.source_v4", probes.source_v4, true);
    CheckSource("probes.source_v6", probes.source_v6, false);
    if (probes.first_port < 1024 || probes.last_port < probes.first_port + kMinProbePorts - 1) {
      Add("probes.ports", fmt::format("must be a range of at least {} ports from 1024 on, such as "
                                      "61000-65535, got {}-{}",
                                      kMinProbePorts, probes.first_port, probes.last_port));
    }
  }

  void CheckVip(const Vip& vip, const std::string& path) {
    CheckVipAddress(vip.key, path + ".address");
    if (vip.name.size() > kMaxVipName) {
      Add(path + ".name",
          fmt::format("at most {} characters, got {}", kMaxVipName, vip.name.size()));
    }
    if (vip.ring.bits != 0)
      CheckRange(path + ".ring.bits", vip.ring.bits, kMinRingBits, kMaxRingBits);
    CheckOptional(path + ".flows.window_seconds", vip.flows.window, 1, kMaxWindow);
    CheckOptional(path + ".flows.idle_seconds", vip.flows.idle, kMinIdle, kMaxIdle);
    CheckOptional(path + ".flows.entries", vip.flows.entries, kMinVipFlows, kMaxFlows);
    CheckRange(path + ".slow_start_seconds", vip.slow_start, 0, kMaxSlowStart);
    CheckSources(vip, path + ".sources");
    CheckSourceRoutes(vip, path);
    CheckRange(path + ".min_healthy", vip.health.min_healthy, 1, kMaxRealsPerVip);
    for (size_t i = 0; i < vip.checks.size(); ++i) {
      for (Problem& problem :
           ValidateCheck(vip.checks[i], vip.key, fmt::format("{}.checks[{}]", path, i))) {
        problems_.push_back(std::move(problem));
      }
    }
    if (vip.checks.size() > kMaxChecksPerVip) {
      Add(path + ".checks",
          fmt::format("at most {} checks, got {}", kMaxChecksPerVip, vip.checks.size()));
    }
    CheckRouteById(vip, path);
    CheckReals(vip, path);
  }

  // Those that `wanted` says yes to, and in what good VIPs can be wrong together.
  template <typename Wanted>
  void CheckVips(const Config& config, Wanted wanted) {
    for (size_t i = 0; i < config.vips.size(); ++i) {
      const Vip& vip = config.vips[i];
      if (wanted(vip.key)) CheckVip(vip, fmt::format("vips[{}]", i));
    }
    CheckOverlaps(config.vips);
    CheckL2(config);
    CheckFragments(config);
    CheckTotals(config);
  }

  // No packet may belong to two VIPs of which none is the more exact one.
  void CheckOverlaps(const std::vector<Vip>& vips) {
    PortMap taken;
    for (size_t i = 0; i < vips.size(); ++i) {
      const VipKey& key = vips[i].key;
      std::optional<size_t> other;
      for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
        if (!key.Serves(protocol)) continue;
        const int kind = key.port == 0 ? 0 : key.is_range() ? 1 : 2;
        const auto found = Take(taken[{key.prefix(), protocol, kind}], key.ports(), i);
        if (found && !other) other = found;
      }
      if (!other) continue;
      const VipKey& first = vips[*other].key;
      Add(fmt::format("vips[{}]", i),
          first == key ? fmt::format("{} is already vips[{}]", key.ToString(), *other)
                       : fmt::format("{} overlaps {}, which is vips[{}]; give each port and "
                                     "protocol of an address to one of them",
                                     key.ToString(), first.ToString(), *other));
    }
  }

  // What the MAC address of a gateway leads to is not the real itself.
  void CheckL2(const Config& config) {
    if (!config.settings.next_hop_mac) return;
    for (size_t i = 0; i < config.vips.size(); ++i) {
      const Vip& vip = config.vips[i];
      CheckNoL2(vip.reals, fmt::format("vips[{}]", i));
      for (size_t j = 0; j < vip.source_routes.size(); ++j) {
        CheckNoL2(vip.source_routes[j].reals, fmt::format("vips[{}].source_routes[{}]", i, j));
      }
    }
  }

  void CheckTotals(const Config& config) {
    const Limits& limits = config.settings.limits;
    uint64_t slots = 0;
    uint64_t vips = 0;  // one of both protocols needs two places
    for (const Vip& vip : config.vips) {
      slots += SlotsOf(vip);
      for (const SourceRoute& route : vip.source_routes) slots += SlotsOf(RouteVip(vip, route));
      vips += (1 + vip.source_routes.size()) * (vip.key.protocol == Protocol::kTcpUdp ? 2 : 1);
    }
    CheckLimit("vips", vips, limits.vips, "VIPs", "limits.vips");
    CheckLimit("vips", config.CountReals(), limits.reals, "reals in all VIPs together",
               "limits.reals");
    uint64_t prefixes = 0;
    for (const Vip& vip : config.vips) {
      prefixes += vip.sources.allow.size() + vip.sources.deny.size();
      for (const SourceRoute& route : vip.source_routes) prefixes += route.sources.size();
    }
    CheckLimit("vips", prefixes, limits.source_prefixes,
               "prefixes on the lists of sources of all VIPs together", "limits.source_prefixes");
    CheckLimit("vips", slots, limits.ring_slots, "ring slots in all VIPs together",
               "limits.ring_slots");
  }

  void Add(std::string path, std::string message) {
    problems_.push_back({std::move(path), std::move(message)});
  }

  std::vector<Problem> Take() { return std::move(problems_); }

 private:
  // First port -> last port and VIP, disjoint; for each prefix, protocol and kind of ports.
  using PortRanges = std::map<uint16_t, std::pair<uint16_t, size_t>>;
  using PortMap = std::map<std::tuple<IpPrefix, Protocol, int>, PortRanges>;

  // Gives the ports to `vip`, or returns the VIP that has one of them.
  static std::optional<size_t> Take(PortRanges& taken, std::pair<uint16_t, uint16_t> ports,
                                    size_t vip) {
    const auto next = taken.upper_bound(ports.first);
    if (next != taken.begin() && std::prev(next)->second.first >= ports.first) {
      return std::prev(next)->second.second;
    }
    if (next != taken.end() && next->first <= ports.second) return next->second.second;
    taken[ports.first] = {ports.second, vip};
    return std::nullopt;
  }

  void CheckVipAddress(const VipKey& key, const std::string& path) {
    const auto unreachable = [](const IpAddress& address) {
      return address.is_unspecified() || address.is_multicast() || address.is_loopback() ||
             address.is_broadcast();
    };
    const IpPrefix prefix = key.prefix();
    if (!key.is_prefix()) {
      if (unreachable(key.address)) {
        Add(path, fmt::format("must be a unicast address that clients can reach, got {}",
                              key.address.ToString()));
      }
      return;
    }
    const int shortest = prefix.is_v4() ? kMinVipPrefix4 : kMinVipPrefix6;
    if (prefix.length() < shortest) {
      Add(path, fmt::format("the prefix length must be {} or more for {}, got {}", shortest,
                            prefix.is_v4() ? "IPv4" : "IPv6", prefix.length()));
    } else if (unreachable(key.address) || unreachable(prefix.last())) {
      Add(path, fmt::format("must be unicast addresses that clients can reach, got {}",
                            prefix.ToString()));
    }
  }

  void CheckNoL2(const std::vector<Real>& reals, const std::string& path) {
    for (size_t i = 0; i < reals.size(); ++i) {
      if (reals[i].encap != Encap::kL2) continue;
      Add(fmt::format("{}.reals[{}].encap", path, i),
          "l2 needs the MAC address of the real, so next_hop.mac must not be set");
    }
  }

  void CheckReals(const Vip& vip, const std::string& path) {
    if (vip.reals.size() > kMaxRealsPerVip) {
      Add(path + ".reals",
          fmt::format("at most {} reals in one VIP, got {}", kMaxRealsPerVip, vip.reals.size()));
    }
    if (SlotsOf(vip) != 0 && vip.reals.size() > SlotsOf(vip)) {
      Add(path + ".ring.bits",
          fmt::format("2^{} slots are fewer than the {} reals", RingBits(vip), vip.reals.size()));
    }
    const bool distinct = HasDistinctAddresses(vip.reals);
    std::map<IpAddress, size_t> seen;
    for (size_t i = 0; i < vip.reals.size(); ++i) {
      const size_t first = problems_.size();
      CheckReal(vip.reals[i], vip);
      if (!distinct) {
        if (const auto [it, fresh] = seen.emplace(vip.reals[i].address, i); !fresh) {
          Add(".address",
              fmt::format("{} is already reals[{}] of this VIP", it->first.ToString(), it->second));
        }
      }
      for (size_t problem = first; problem < problems_.size(); ++problem) {
        problems_[problem].path.insert(0, fmt::format("{}.reals[{}]", path, i));
      }
    }
  }

  void CheckSources(const Vip& vip, const std::string& path) {
    std::map<IpPrefix, std::string> seen;
    const bool v4 = vip.key.address.is_v4();
    const auto check_list = [&](const std::vector<IpPrefix>& list, std::string_view name) {
      for (size_t i = 0; i < list.size(); ++i) {
        const std::string item = fmt::format("{}[{}]", name, i);
        if (list[i].is_v4() != v4) {
          Add(fmt::format("{}.{}", path, item),
              fmt::format("must be an IPv{} prefix, as the VIP is, got {}", v4 ? 4 : 6,
                          list[i].ToString()));
        }
        if (const auto [it, fresh] = seen.emplace(list[i], item); !fresh) {
          Add(fmt::format("{}.{}", path, item),
              fmt::format("{} is already {}", list[i].ToString(), it->second));
        }
      }
    };
    check_list(vip.sources.allow, "allow");
    check_list(vip.sources.deny, "deny");
    CheckRate(vip.sources.new_flows, vip, path + ".new_flows");
    CheckRate(vip.sources.new_flows_per_source, vip, path + ".new_flows_per_source");
  }

  void CheckSourceRoutes(const Vip& vip, const std::string& vip_path) {
    if (!vip.source_routes.empty() && vip.route_by_id.any()) {
      Add(vip_path + ".source_routes", "cannot be used together with route_by_id");
    }
    std::map<uint16_t, size_t> numbers;
    std::map<IpPrefix, size_t> prefixes;
    for (size_t i = 0; i < vip.source_routes.size(); ++i) {
      const SourceRoute& route = vip.source_routes[i];
      const std::string path = fmt::format("{}.source_routes[{}]", vip_path, i);
      if (route.name.empty() || route.name.size() > kMaxVipName) {
        Add(path + ".name",
            fmt::format("must have 1..{} characters, got {}", kMaxVipName, route.name.size()));
      }
      if (const auto [it, fresh] = numbers.emplace(RouteNumber(route.name), i); !fresh) {
        Add(path + ".name",
            fmt::format("\"{}\" cannot be told from \"{}\", source_routes[{}]; "
                        "choose another",
                        route.name, vip.source_routes[it->second].name, it->second));
      }
      if (route.sources.empty()) Add(path + ".sources", "is required: prefixes of clients");
      for (size_t j = 0; j < route.sources.size(); ++j) {
        const std::string source_path = fmt::format("{}.sources[{}]", path, j);
        const IpPrefix& source = route.sources[j];
        if (source.is_v4() != vip.key.address.is_v4()) {
          Add(source_path, fmt::format("must be an IPv{} prefix, as the VIP is, got {}",
                                       vip.key.address.is_v4() ? 4 : 6, source.ToString()));
        }
        if (const auto [it, fresh] = prefixes.emplace(source, i); !fresh) {
          Add(source_path,
              fmt::format("{} is already in source_routes[{}]", source.ToString(), it->second));
        }
      }
      Vip group = RouteVip(vip, route);
      group.reals = route.reals;
      CheckReals(group, path);
    }
  }

  void CheckRate(const RateLimit& limit, const Vip& vip, const std::string& path) {
    CheckRange(path + ".per_second", limit.per_second, 0, kMaxRate);
    if (limit.per_second == 0 && limit.burst != 0) {
      Add(path + ".burst", "belongs to per_second, which is not set");
    } else if (limit.per_second != 0 && limit.per_second <= kMaxRate) {
      CheckRange(path + ".burst", limit.burst, 0, int64_t{limit.per_second} * kMaxBurstSeconds);
    }
    if (limit.per_second != 0 && !vip.key.Serves(Protocol::kTcp)) {
      Add(path, "needs TCP: no packet of UDP opens a flow");
    }
  }

  // Paths begin at the real: there may be many, and almost all are good.
  void CheckReal(const Real& real, const Vip& vip) {
    const IpAddress& address = real.address;
    if (address.is_unspecified() || address.is_multicast() || address.is_loopback() ||
        address.is_broadcast()) {
      Add(".address",
          fmt::format("must be the unicast address of a real server, got {}", address.ToString()));
    } else if (vip.key.prefix().Contains(address)) {
      Add(".address", vip.key.is_prefix()
                          ? fmt::format("{} is an address of the VIP; a real needs one of its own",
                                        address.ToString())
                          : "is the VIP itself; a real needs an address of its own");
    }
    if (real.encap == Encap::kL2 && address.is_v4() != vip.key.address.is_v4()) {
      Add(".encap",
          fmt::format(
              "l2 does not change the packet: the address of the real must be IPv{}, as the "
              "VIP is",
              vip.key.address.is_v4() ? 4 : 6));
    }
    CheckRange(".weight", real.weight, 0, kMaxWeight);
    CheckOptional(".drain_seconds", real.drain, 1, kMaxDrain);
    if (real.drain && real.state != RealState::kDraining) {
      Add(".drain_seconds",
          fmt::format("belongs to state draining, and the state is {}", ToString(real.state)));
    }
  }

  void CheckRouteById(const Vip& vip, const std::string& vip_path) {
    const RouteById& route = vip.route_by_id;
    const std::string path = vip_path + ".route_by_id";
    if (route.tcp_option && !vip.key.Serves(Protocol::kTcp)) {
      Add(path + ".tcp_option", "is for TCP, and the VIP is not");
    }
    if (route.quic() && !vip.key.Serves(Protocol::kUdp)) {
      Add(path, "quic_lb and quic_katran are for UDP, and the VIP is not");
    }
    for (int config = 0; config < kQuicLbConfigs; ++config) {
      const int bytes = route.quic_lb[config];
      const std::string config_path = fmt::format("{}.quic_lb (config_id {})", path, config);
      if (bytes == 0) continue;
      CheckRange(config_path + ".server_id_length", bytes, 1, kMaxServerIdBytes);
      if (route.quic_katran && config >= kFirstKatranConfig) {
        Add(config_path, "begins as connection ids of quic_katran do; use config_id 0 or 1");
      }
    }
    if (route.any()) CheckServerIds(vip, vip_path);
  }

  void CheckServerIds(const Vip& vip, const std::string& vip_path) {
    std::map<uint64_t, size_t> seen;
    for (size_t i = 0; i < vip.reals.size(); ++i) {
      const std::string path = fmt::format("{}.reals[{}].server_id", vip_path, i);
      const std::optional<uint64_t> id = vip.reals[i].server_id;
      if (!id) {
        Add(path, "is required where the VIP is routed by id");
        continue;
      }
      if (const auto [it, fresh] = seen.emplace(*id, i); !fresh) {
        Add(path, fmt::format("{} is already that of reals[{}]", *id, it->second));
      }
      CheckFits(*id, vip.route_by_id, path);
    }
  }

  // A server id must fit wherever packets of the VIP carry it.
  void CheckFits(uint64_t id, const RouteById& route, const std::string& path) {
    int bytes = kMaxServerIdBytes;
    std::string why = "route_by_id";
    const auto narrow = [&](int limit, std::string_view name) {
      if (limit >= bytes) return;
      bytes = limit;
      why = name;
    };
    for (int config = 0; config < kQuicLbConfigs; ++config) {
      const int length = route.quic_lb[config];
      if (length > 0) narrow(length, fmt::format("quic_lb (config_id {})", config));
    }
    if (route.quic_katran) narrow(4, "quic_katran");
    if (route.tcp_option) narrow(4, "tcp_option");
    const uint64_t min = route.tcp_option || route.quic_katran ? 1 : 0;
    const uint64_t max = (uint64_t{1} << (8 * bytes)) - 1;
    if (id < min || id > max) {
      Add(path, fmt::format("must be {}..{} for {}, got {}", min, max, why, id));
    }
  }

  void CheckSource(const std::string& path, const std::optional<IpAddress>& address, bool v4) {
    if (!address) return;
    if (address->is_v4() != v4 || address->is_unspecified() || address->is_multicast() ||
        address->is_loopback() || address->is_broadcast()) {
      Add(path, fmt::format("must be a unicast IPv{} address that reals can reach, got {}",
                            v4 ? 4 : 6, address->ToString()));
    }
  }

  void CheckOptional(const std::string& path, const std::optional<uint32_t>& value, int64_t min,
                     int64_t max) {
    if (value) CheckRange(path, *value, min, max);
  }

  void CheckRange(const std::string& path, int64_t value, int64_t min, int64_t max) {
    if (value < min || value > max)
      Add(path, fmt::format("must be {}..{}, got {}", min, max, value));
  }

  void CheckLimit(const std::string& path, uint64_t count, uint64_t limit, std::string_view what,
                  std::string_view name) {
    if (count > limit) {
      Add(path, fmt::format("{} {}, but {} is {}; raise it", count, what, name, limit));
    }
  }

  std::vector<Problem> problems_;
};

}  // namespace

std::string Problem::ToString() const {
  return path.empty() ? message : fmt::format("{}: {}", path, message);
}

std::vector<Problem> Validate(const Config& config) {
  Checker checker;
  checker.CheckSettings(config.settings);
  checker.CheckProbes(config.probes);
  checker.CheckVips(config, [](const VipKey&) { return true; });
  return checker.Take();
}

std::vector<Problem> ValidateChanged(const Config& config, const std::set<VipKey>& changed) {
  Checker checker;
  checker.CheckVips(config, [&](const VipKey& key) { return changed.contains(key); });
  return checker.Take();
}

Status ToStatus(const std::vector<Problem>& problems) {
  if (problems.empty()) return OkStatus();
  std::string text;
  for (size_t i = 0; i < std::min(problems.size(), kMaxReported); ++i) {
    if (!text.empty()) text += '\n';
    text += problems[i].ToString();
  }
  if (problems.size() > kMaxReported) {
    text += fmt::format("\nand {} more problems", problems.size() - kMaxReported);
  }
  return InvalidArgument(text);
}

}  // namespace lb::model
