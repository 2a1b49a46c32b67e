// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/diff.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "lbd/model/diff_check.h"

namespace lb::model {
namespace {

std::string MacText(const std::optional<MacAddress>& mac) {
  return mac ? mac->ToString() : "resolved";
}

std::string RingText(const RingOptions& ring) {
  return fmt::format("{}/{}", ToString(ring.scheme),
                     ring.bits == 0 ? "auto" : fmt::format("{}", ring.bits));
}

template <typename T>
std::string Text(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "default";
}

std::string Text(const RateLimit& limit) {
  return limit.per_second == 0
             ? "none"
             : fmt::format("{}/s, burst {}", limit.per_second, limit.effective_burst());
}

std::string BoolText(const std::optional<bool>& value) {
  return value ? fmt::format("{}", *value) : "auto";
}

std::string DecapText(const DecapOptions& decap) {
  std::string text = decap.addresses.empty() ? "none" : "";
  for (const IpAddress& address : decap.addresses) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", address.ToString());
  }
  return decap.gue_port ? fmt::format("{} (GUE on port {})", text, *decap.gue_port) : text;
}

// The real of `vip` with this address, which is probably at `index`.
const Real* Find(const Vip& vip, const IpAddress& address, size_t index) {
  if (index < vip.reals.size() && vip.reals[index].address == address) return &vip.reals[index];
  return vip.FindReal(address);
}

std::string Text(const std::optional<IpAddress>& address) {
  return address ? address->ToString() : "of the interface";
}

class Differ {
 public:
  void Settings(const model::Settings& a, const model::Settings& b) {
    Field("interfaces", fmt::format("[{}]", fmt::join(a.interfaces, ", ")),
          fmt::format("[{}]", fmt::join(b.interfaces, ", ")));
    Field("xdp_mode", ToString(a.xdp_mode), ToString(b.xdp_mode));
    Field("attach", ToString(a.attach), ToString(b.attach));
    Field("chain.map", fmt::format("\"{}\"", a.chain.map), fmt::format("\"{}\"", b.chain.map));
    Field("chain.position", a.chain.position, b.chain.position);
    Field("dispatcher.priority", a.priority, b.priority);
    Field("next_hop.mac", MacText(a.next_hop_mac), MacText(b.next_hop_mac));
    Field("encap.source_v4", a.outer_source_v4.ToString(), b.outer_source_v4.ToString());
    Field("encap.source_v6", a.outer_source_v6.ToString(), b.outer_source_v6.ToString());
    Field("encap.gue_port", a.gue_port, b.gue_port);
    Field("flow_hash", ToString(a.flow_hash), ToString(b.flow_hash));
    Field("packets.vlan", a.packets.vlan, b.packets.vlan);
    Field("packets.ipv6_extensions", a.packets.ipv6_extensions, b.packets.ipv6_extensions);
    Field("packets.multi_buffer", BoolText(a.packets.multi_buffer),
          BoolText(b.packets.multi_buffer));
    Field("icmp.echo", a.icmp.echo, b.icmp.echo);
    Field("icmp.errors", a.icmp.errors, b.icmp.errors);
    Field("icmp.too_big_per_second", a.icmp.too_big_per_second, b.icmp.too_big_per_second);
    Field("decap", DecapText(a.decap), DecapText(b.decap));
    if (a.hash_key != b.hash_key) lines_.emplace_back("~ hash_key");
    Field("limits.vips", a.limits.vips, b.limits.vips);
    Field("limits.reals", a.limits.reals, b.limits.reals);
    Field("limits.ring_slots", a.limits.ring_slots, b.limits.ring_slots);
    Field("limits.flows", a.limits.flows, b.limits.flows);
    Field("limits.source_prefixes", a.limits.source_prefixes, b.limits.source_prefixes);
    Field("limits.sources", a.limits.sources, b.limits.sources);
    Field("limits.fragments", a.limits.fragments, b.limits.fragments);
  }

  void Probes(const ProbeSettings& a, const ProbeSettings& b) {
    const auto ports = [](const ProbeSettings& probes) {
      return fmt::format("{}-{}", probes.first_port, probes.last_port);
    };
    Field("health", ToString(a.mode), ToString(b.mode));
    Field("probes.source_v4", Text(a.source_v4), Text(b.source_v4));
    Field("probes.source_v6", Text(a.source_v6), Text(b.source_v6));
    Field("probes.ports", ports(a), ports(b));
    Field("probes.zero_copy", a.zero_copy, b.zero_copy);
    Field("probes.dataplane_source", a.dataplane_source, b.dataplane_source);
  }

  // Null: there is none.
  void Vip(const model::Vip* before, const model::Vip* after) {
    if (before != nullptr && after != nullptr) {
      Changed(*before, *after);
    } else if (before != nullptr) {
      lines_.push_back("- " + before->key.ToString());
    } else if (after != nullptr) {
      lines_.push_back(fmt::format("+ {} ({} reals)", after->key.ToString(), after->reals.size()));
    }
  }

  std::vector<std::string> Take() { return std::move(lines_); }

 private:
  void Changed(const model::Vip& a, const model::Vip& b) {
    const std::string name = a.key.ToString();
    Field(name + ": name", fmt::format("\"{}\"", a.name), fmt::format("\"{}\"", b.name));
    Field(name + ": ring", RingText(a.ring), RingText(b.ring));
    Field(name + ": hash", ToString(a.hash), ToString(b.hash));
    Field(name + ": tracking", ToString(a.tracking), ToString(b.tracking));
    Field(name + ": flows.window_seconds", Text(a.flows.window), Text(b.flows.window));
    Field(name + ": flows.idle_seconds", Text(a.flows.idle), Text(b.flows.idle));
    Field(name + ": flows.entries", Text(a.flows.entries), Text(b.flows.entries));
    Field(name + ": route_by_id", ToString(a.route_by_id), ToString(b.route_by_id));
    Prefixes(name + ": sources.allow", a.sources.allow, b.sources.allow);
    Prefixes(name + ": sources.deny", a.sources.deny, b.sources.deny);
    Field(name + ": sources.new_flows", Text(a.sources.new_flows), Text(b.sources.new_flows));
    Field(name + ": sources.new_flows_per_source", Text(a.sources.new_flows_per_source),
          Text(b.sources.new_flows_per_source));
    for (const SourceRoute& route : a.source_routes) {
      const std::string subject = fmt::format("{} source route {}", name, route.name);
      const auto after = std::ranges::find(b.source_routes, route.name, &SourceRoute::name);
      if (after == b.source_routes.end()) {
        lines_.push_back("- " + subject);
        continue;
      }
      Prefixes(subject + ": sources", route.sources, after->sources);
      if (route.reals != after->reals) {
        lines_.push_back(fmt::format("~ {}: {} reals -> {} reals", subject, route.reals.size(),
                                     after->reals.size()));
      }
    }
    for (const SourceRoute& route : b.source_routes) {
      if (std::ranges::find(a.source_routes, route.name, &SourceRoute::name) ==
          a.source_routes.end()) {
        lines_.push_back(fmt::format("+ {} source route {} ({} prefixes, {} reals)", name,
                                     route.name, route.sources.size(), route.reals.size()));
      }
    }
    Field(name + ": fragments", ToString(a.fragments), ToString(b.fragments));
    Field(name + ": slow_start_seconds", a.slow_start, b.slow_start);
    for (const std::string& change : DiffChecks(a.checks, b.checks)) {
      lines_.push_back(fmt::format("~ {}: {}", name, change));
    }
    Field(name + ": min_healthy", a.health.min_healthy, b.health.min_healthy);
    Field(name + ": fail_open", a.health.fail_open, b.health.fail_open);
    for (size_t i = 0; i < a.reals.size(); ++i) {
      const Real& real = a.reals[i];
      const Real* after = Find(b, real.address, i);
      if (after != nullptr && *after == real) continue;
      const std::string subject = fmt::format("{} real {}", name, real.address.ToString());
      if (after == nullptr) {
        lines_.push_back("- " + subject);
        continue;
      }
      Field(subject + ": weight", real.weight, after->weight);
      Field(subject + ": state", ToString(real.state), ToString(after->state));
      Field(subject + ": server_id", Text(real.server_id), Text(after->server_id));
      Field(subject + ": encap", ToString(real.encap), ToString(after->encap));
      Field(subject + ": drain_seconds", Text(real.drain), Text(after->drain));
    }
    for (size_t i = 0; i < b.reals.size(); ++i) {
      const IpAddress& address = b.reals[i].address;
      if (Find(a, address, i) == nullptr) {
        lines_.push_back(fmt::format("+ {} real {}", name, address.ToString()));
      }
    }
  }

  // "~ 192.0.2.1:80/tcp: sources.deny +198.51.100.0/24 -203.0.113.7/32"
  void Prefixes(const std::string& what, const std::vector<IpPrefix>& a,
                const std::vector<IpPrefix>& b) {
    const auto missing = [](const std::vector<IpPrefix>& from, const std::vector<IpPrefix>& in,
                            char sign) {
      const std::set<IpPrefix> known(in.begin(), in.end());
      std::string text;
      for (const IpPrefix& prefix : from) {
        if (!known.contains(prefix)) text += fmt::format(" {}{}", sign, prefix.ToString());
      }
      return text;
    };
    const std::string changes = missing(b, a, '+') + missing(a, b, '-');
    if (!changes.empty()) lines_.push_back(fmt::format("~ {}{}", what, changes));
  }

  template <typename T>
  void Field(const std::string& what, const T& a, const T& b) {
    if (a != b) lines_.push_back(fmt::format("~ {} {} -> {}", what, a, b));
  }

  std::vector<std::string> lines_;
};

// The VIP of `config` with this key, which is probably at `index`.
const Vip* Find(const Config& config, const VipKey& key, size_t index) {
  if (index < config.vips.size() && config.vips[index].key == key) return &config.vips[index];
  return config.FindVip(key);
}

}  // namespace

std::vector<std::string> Diff(const Config& before, const Config& after) {
  Differ differ;
  differ.Settings(before.settings, after.settings);
  differ.Probes(before.probes, after.probes);
  for (size_t i = 0; i < before.vips.size(); ++i) {
    const Vip& vip = before.vips[i];
    const Vip* now = Find(after, vip.key, i);
    if (now == nullptr || *now != vip) differ.Vip(&vip, now);
  }
  for (size_t i = 0; i < after.vips.size(); ++i) {
    if (Find(before, after.vips[i].key, i) == nullptr) differ.Vip(nullptr, &after.vips[i]);
  }
  return differ.Take();
}

std::vector<std::string> DiffVip(const Vip* before, const Vip* after) {
  Differ differ;
  differ.Vip(before, after);
  return differ.Take();
}

}  // namespace lb::model
