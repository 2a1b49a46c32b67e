// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "lbd/api/convert_check.h"
#include "lbd/model/find_route.h"

namespace lb::api {
namespace {

using model::Problem;

constexpr size_t kHashKeyDigits = 32;

// Reads messages and collects what is wrong with them.
class Reader {
 public:
  model::Settings ReadSettings(const v1::Config& proto) {
    model::Settings settings;
    settings.interfaces.assign(proto.interfaces().begin(), proto.interfaces().end());
    settings.xdp_mode = ReadMode(proto.xdp_mode());
    settings.attach = ReadAttach(proto.attach());
    settings.chain = {.map = proto.chain().map(), .position = proto.chain().position()};
    if (proto.dispatcher().has_priority()) settings.priority = proto.dispatcher().priority();
    settings.flow_hash = ReadFlowHash(proto.flow_hash());
    if (!proto.next_hop().mac().empty()) {
      auto mac = MacAddress::Parse(proto.next_hop().mac());
      if (mac.ok()) {
        settings.next_hop_mac = *mac;
      } else {
        Add("next_hop.mac", Message(mac.status()));
      }
    }
    ReadPrefix(proto.encap().source_v4(), "encap.source_v4", settings.outer_source_v4);
    ReadPrefix(proto.encap().source_v6(), "encap.source_v6", settings.outer_source_v6);
    if (proto.encap().has_gue_port()) {
      settings.gue_port = static_cast<uint16_t>(proto.encap().gue_port());
      if (proto.encap().gue_port() > 65535) {
        Add("encap.gue_port", fmt::format("must be 1..65535, got {}", proto.encap().gue_port()));
      }
    }
    ReadPackets(proto.packets(), settings.packets);
    if (proto.icmp().has_echo()) settings.icmp.echo = proto.icmp().echo();
    if (proto.icmp().has_errors()) settings.icmp.errors = proto.icmp().errors();
    if (proto.icmp().has_too_big_per_second()) {
      settings.icmp.too_big_per_second = proto.icmp().too_big_per_second();
    }
    ReadDecap(proto.decap(), settings.decap);
    const v1::Limits& limits = proto.limits();
    if (limits.has_vips()) settings.limits.vips = limits.vips();
    if (limits.has_reals()) settings.limits.reals = limits.reals();
    if (limits.has_ring_slots()) settings.limits.ring_slots = limits.ring_slots();
    if (limits.has_flows()) settings.limits.flows = limits.flows();
    if (limits.has_source_prefixes()) settings.limits.source_prefixes = limits.source_prefixes();
    if (limits.has_sources()) settings.limits.sources = limits.sources();
    if (limits.has_fragments()) settings.limits.fragments = limits.fragments();
    return settings;
  }

  model::ProbeSettings ReadProbes(const v1::Config& proto) {
    return ProbesFromProto(proto, problems_);
  }

  std::optional<HashKey> ReadHashKey(const std::string& digits) {
    if (digits.empty()) return std::nullopt;
    HashKey key;
    const char* begin = digits.data();
    const auto word = [](const char* from, uint64_t& out) {
      const auto [end, error] = std::from_chars(from, from + 16, out, 16);
      return error == std::errc() && end == from + 16;
    };
    if (digits.size() != kHashKeyDigits || !word(begin, key.k0) || !word(begin + 16, key.k1)) {
      // The value is a secret: it is not repeated.
      Add("hash_key",
          fmt::format("must be {} hex digits, got {} characters; make one with: openssl "
                      "rand -hex 16",
                      kHashKeyDigits, digits.size()));
      return std::nullopt;
    }
    return key;
  }

  // A VipKey or a Vip: they name the same fields.
  template <typename Proto>
  model::VipKey ReadKey(const Proto& proto, const std::string& path) {
    model::VipKey key;
    if (proto.address().find('/') != std::string::npos) {
      IpPrefix prefix;
      ReadPrefix(proto.address(), path + ".address", prefix);
      key.SetPrefix(prefix);
    } else {
      key.address = ReadAddress(proto.address(), path + ".address");
    }
    ReadPorts(proto, path, key);
    switch (proto.protocol()) {
      case v1::PROTOCOL_TCP:
        key.protocol = model::Protocol::kTcp;
        break;
      case v1::PROTOCOL_UDP:
        key.protocol = model::Protocol::kUdp;
        break;
      case v1::PROTOCOL_TCP_UDP:
        key.protocol = model::Protocol::kTcpUdp;
        break;
      case v1::PROTOCOL_UNSPECIFIED:
        Add(path + ".protocol", "is required: tcp, udp or tcp_udp");
        break;
      default:
        Add(path + ".protocol",
            fmt::format("must be tcp, udp or tcp_udp, got {}", static_cast<int>(proto.protocol())));
    }
    return key;
  }

  model::Vip ReadVip(const v1::Vip& proto, const std::string& path) {
    model::Vip vip;
    vip.key = ReadKey(proto, path);
    vip.name = proto.name();
    vip.ring.scheme = ReadScheme(proto.ring().scheme(), path + ".ring.scheme");
    vip.ring.bits = ReadBits(proto.ring(), path + ".ring.bits");
    vip.hash = ReadHashPolicy(proto.hash(), path + ".hash");
    vip.tracking = ReadTracking(proto.tracking(), path + ".tracking");
    if (proto.flows().has_window_seconds()) vip.flows.window = proto.flows().window_seconds();
    if (proto.flows().has_idle_seconds()) vip.flows.idle = proto.flows().idle_seconds();
    if (proto.flows().has_entries()) vip.flows.entries = proto.flows().entries();
    vip.route_by_id = ReadRouteById(proto.route_by_id(), path + ".route_by_id");
    for (int i = 0; i < proto.source_routes_size(); ++i) {
      vip.source_routes.push_back(
          ReadSourceRoute(proto.source_routes(i), fmt::format("{}.source_routes[{}]", path, i)));
    }
    vip.sources = ReadSources(proto.sources(), path + ".sources");
    vip.fragments = ReadFragments(proto.fragments(), path + ".fragments");
    vip.slow_start = proto.slow_start_seconds();
    for (int i = 0; i < proto.checks_size(); ++i) {
      vip.checks.push_back(
          CheckFromProto(proto.checks(i), fmt::format("{}.checks[{}]", path, i), problems_));
    }
    if (proto.has_min_healthy()) vip.health.min_healthy = proto.min_healthy();
    vip.health.fail_open = proto.fail_open();
    for (int i = 0; i < proto.reals_size(); ++i) {
      vip.reals.push_back(ReadReal(proto.reals(i), fmt::format("{}.reals[{}]", path, i)));
    }
    return vip;
  }

  model::SourceRoute ReadSourceRoute(const v1::SourceRoute& proto, const std::string& path) {
    model::SourceRoute route{.name = proto.name()};
    for (int i = 0; i < proto.sources_size(); ++i) {
      ReadPrefix(proto.sources(i), fmt::format("{}.sources[{}]", path, i),
                 route.sources.emplace_back());
    }
    for (int i = 0; i < proto.reals_size(); ++i) {
      route.reals.push_back(ReadReal(proto.reals(i), fmt::format("{}.reals[{}]", path, i)));
    }
    return route;
  }

  model::SourcePolicy ReadSources(const v1::SourcePolicy& proto, const std::string& path) {
    const auto read_list = [&](const auto& texts, const std::string& list_path) {
      std::vector<IpPrefix> prefixes;
      for (int i = 0; i < texts.size(); ++i) {
        ReadPrefix(texts[i], fmt::format("{}[{}]", list_path, i), prefixes.emplace_back());
      }
      return prefixes;
    };
    const auto read_rate = [](const v1::RateLimit& limit) {
      return model::RateLimit{.per_second = limit.per_second(), .burst = limit.burst()};
    };
    return {.allow = read_list(proto.allow(), path + ".allow"),
            .deny = read_list(proto.deny(), path + ".deny"),
            .new_flows = read_rate(proto.new_flows()),
            .new_flows_per_source = read_rate(proto.new_flows_per_source())};
  }

  model::Real ReadReal(const v1::Real& proto, const std::string& path) {
    model::Real real;
    real.address = ReadAddress(proto.address(), path + ".address");
    if (proto.has_weight()) real.weight = proto.weight();
    real.state = ReadState(proto.state(), path + ".state");
    if (proto.has_server_id()) real.server_id = proto.server_id();
    if (proto.has_drain_seconds()) real.drain = proto.drain_seconds();
    real.encap = ReadEncap(proto.encap(), path + ".encap");
    return real;
  }

  IpAddress ReadAddress(const std::string& text, const std::string& path) {
    if (text.empty()) {
      Add(path, "is required");
      return {};
    }
    auto address = IpAddress::Parse(text);
    if (!address.ok()) {
      Add(path, Message(address.status()));
      return {};
    }
    return *address;
  }

  model::RouteById ReadRouteById(const v1::RouteById& proto, const std::string& path) {
    model::RouteById route{.quic_katran = proto.quic_katran(), .tcp_option = proto.tcp_option()};
    for (int i = 0; i < proto.quic_lb_size(); ++i) {
      const v1::QuicLb& config = proto.quic_lb(i);
      const std::string config_path = fmt::format("{}.quic_lb[{}]", path, i);
      if (config.config_id() >= model::kQuicLbConfigs) {
        Add(config_path + ".config_id",
            fmt::format("must be 0..{}, got {}", model::kQuicLbConfigs - 1, config.config_id()));
      } else if (config.server_id_length() == 0 ||
                 config.server_id_length() > model::kMaxServerIdBytes) {
        Add(config_path + ".server_id_length",
            fmt::format("must be 1..{}, got {}", model::kMaxServerIdBytes,
                        config.server_id_length()));
      } else if (route.quic_lb[config.config_id()] != 0) {
        Add(config_path + ".config_id", fmt::format("{} is there twice", config.config_id()));
      } else {
        route.quic_lb[config.config_id()] = config.server_id_length();
      }
    }
    return route;
  }

  model::RingScheme ReadScheme(v1::RingScheme scheme, const std::string& path) {
    switch (scheme) {
      case v1::RING_SCHEME_UNSPECIFIED:
      case v1::RING_SCHEME_RENDEZVOUS:
        return model::RingScheme::kRendezvous;
      case v1::RING_SCHEME_MAGLEV:
        return model::RingScheme::kMaglev;
      default:
        Add(path, fmt::format("must be rendezvous or maglev, got {}", static_cast<int>(scheme)));
        return {};
    }
  }

  // 0 in the model means "choose"; a written 0 is a mistake.
  int ReadBits(const v1::Ring& ring, const std::string& path) {
    if (!ring.has_bits()) return 0;
    if (ring.bits() < model::kMinRingBits || ring.bits() > model::kMaxRingBits) {
      Add(path, fmt::format("must be {}..{}, got {}", model::kMinRingBits, model::kMaxRingBits,
                            ring.bits()));
      return 0;
    }
    return ring.bits();
  }

  model::RealState ReadState(v1::RealState state, const std::string& path) {
    switch (state) {
      case v1::REAL_STATE_UNSPECIFIED:
      case v1::REAL_STATE_ACTIVE:
        return model::RealState::kActive;
      case v1::REAL_STATE_DRAINING:
        return model::RealState::kDraining;
      case v1::REAL_STATE_DOWN:
        return model::RealState::kDown;
      case v1::REAL_STATE_STANDBY:
        return model::RealState::kStandby;
      default:
        Add(path, fmt::format("must be active, draining, down or standby, got {}",
                              static_cast<int>(state)));
        return {};
    }
  }

  model::Encap ReadEncap(v1::Encapsulation encap, const std::string& path) {
    switch (encap) {
      case v1::ENCAPSULATION_UNSPECIFIED:
      case v1::ENCAPSULATION_IPIP:
        return model::Encap::kIpIp;
      case v1::ENCAPSULATION_GUE:
        return model::Encap::kGue;
      case v1::ENCAPSULATION_GRE:
        return model::Encap::kGre;
      case v1::ENCAPSULATION_L2:
        return model::Encap::kL2;
      default:
        Add(path, fmt::format("must be ipip, gue, gre or l2, got {}", static_cast<int>(encap)));
        return {};
    }
  }

  model::HashPolicy ReadHashPolicy(v1::HashPolicy policy, const std::string& path) {
    switch (policy) {
      case v1::HASH_POLICY_UNSPECIFIED:
      case v1::HASH_POLICY_FIVE_TUPLE:
        return model::HashPolicy::kFiveTuple;
      case v1::HASH_POLICY_SOURCE:
        return model::HashPolicy::kSource;
      case v1::HASH_POLICY_SOURCE_DESTINATION_PORT:
        return model::HashPolicy::kSourceDestinationPort;
      case v1::HASH_POLICY_DESTINATION_PORT:
        return model::HashPolicy::kDestinationPort;
      default:
        Add(path, fmt::format("must be five_tuple, source, source_destination_port or "
                              "destination_port, got {}",
                              static_cast<int>(policy)));
        return {};
    }
  }

  model::Tracking ReadTracking(v1::Tracking tracking, const std::string& path) {
    switch (tracking) {
      case v1::TRACKING_UNSPECIFIED:
      case v1::TRACKING_AUTO:
        return model::Tracking::kAuto;
      case v1::TRACKING_ALWAYS:
        return model::Tracking::kAlways;
      case v1::TRACKING_NONE:
        return model::Tracking::kNone;
      default:
        Add(path, fmt::format("must be auto, always or none, got {}", static_cast<int>(tracking)));
        return {};
    }
  }

  model::Fragments ReadFragments(v1::Fragments fragments, const std::string& path) {
    switch (fragments) {
      case v1::FRAGMENTS_UNSPECIFIED:
      case v1::FRAGMENTS_FOLLOW:
        return model::Fragments::kFollow;
      case v1::FRAGMENTS_BY_ADDRESS:
        return model::Fragments::kByAddress;
      default:
        Add(path, fmt::format("must be follow or by_address, got {}", static_cast<int>(fragments)));
        return {};
    }
  }

  void Add(std::string path, std::string message) {
    problems_.push_back({std::move(path), std::move(message)});
  }

  // Adds what the model objects to in `config`, but for what follows from a field that could not be
  // read.
  void Validate(const model::Config& config) {
    const std::vector<Problem> unreadable = problems_;
    for (Problem& problem : model::Validate(config)) {
      const bool follows = std::ranges::any_of(unreadable, [&](const Problem& cause) {
        const std::string object = cause.path.substr(0, cause.path.find('.'));
        return (cause.path.starts_with(problem.path) && problem.path != "vips") ||
               problem.message.ends_with("is already " + object);
      });
      if (!follows) problems_.push_back(std::move(problem));
    }
  }

  Status status() const { return model::ToStatus(problems_); }
  std::vector<Problem> Take() { return std::move(problems_); }

 private:
  static void ReadPackets(const v1::Packets& proto, model::PacketOptions& packets) {
    if (proto.has_vlan()) packets.vlan = proto.vlan();
    if (proto.has_ipv6_extensions()) packets.ipv6_extensions = proto.ipv6_extensions();
    if (proto.has_multi_buffer()) packets.multi_buffer = proto.multi_buffer();
  }

  void ReadDecap(const v1::Decap& proto, model::DecapOptions& decap) {
    for (int i = 0; i < proto.addresses_size(); ++i) {
      decap.addresses.push_back(
          ReadAddress(proto.addresses(i), fmt::format("decap.addresses[{}]", i)));
    }
    if (!proto.has_gue_port()) return;
    if (proto.gue_port() == 0 || proto.gue_port() > 65535) {
      Add("decap.gue_port", fmt::format("must be 1..65535, got {}", proto.gue_port()));
    } else {
      decap.gue_port = static_cast<uint16_t>(proto.gue_port());
    }
  }

  template <typename Proto>
  void ReadPorts(const Proto& proto, const std::string& path, model::VipKey& key) {
    key.port = proto.any_port() ? 0 : proto.port();
    if (proto.any_port()) {
      for (const auto& [set, name] :
           {std::pair(proto.has_port(), ".port"), std::pair(proto.has_last_port(), ".last_port")}) {
        if (set) Add(path + name, "must not be set together with any_port");
      }
    } else if (!proto.has_port()) {
      Add(path + ".port", "is required: 1..65535, or any_port: true for every port");
    } else if (proto.port() == 0 || proto.port() > 65535) {
      Add(path + ".port",
          fmt::format(
              "must be 1..65535, got {}{}", proto.port(),
              proto.port() == 0 ? "; for every port leave it out and set any_port: true" : ""));
    } else if (proto.has_last_port()) {
      key.last_port = proto.last_port();
      if (proto.last_port() <= proto.port() || proto.last_port() > 65535) {
        Add(path + ".last_port",
            proto.port() == 65535
                ? fmt::format("must not be set where port is 65535, got {}", proto.last_port())
                : fmt::format("must be {}..65535, got {}", proto.port() + 1, proto.last_port()));
      }
    }
  }

  model::FlowHash ReadFlowHash(v1::FlowHash hash) {
    switch (hash) {
      case v1::FLOW_HASH_UNSPECIFIED:
      case v1::FLOW_HASH_SIPHASH:
        return model::FlowHash::kSipHash;
      case v1::FLOW_HASH_FAST:
        return model::FlowHash::kFast;
      default:
        Add("flow_hash", fmt::format("must be siphash or fast, got {}", static_cast<int>(hash)));
        return {};
    }
  }

  model::XdpMode ReadMode(v1::XdpMode mode) {
    switch (mode) {
      case v1::XDP_MODE_UNSPECIFIED:
      case v1::XDP_MODE_NATIVE:
        return model::XdpMode::kNative;
      case v1::XDP_MODE_GENERIC:
        return model::XdpMode::kGeneric;
      case v1::XDP_MODE_AUTO:
        return model::XdpMode::kAuto;
      default:
        Add("xdp_mode",
            fmt::format("must be native, generic or auto, got {}", static_cast<int>(mode)));
        return {};
    }
  }

  model::AttachMode ReadAttach(v1::AttachMode mode) {
    switch (mode) {
      case v1::ATTACH_MODE_UNSPECIFIED:
      case v1::ATTACH_MODE_DIRECT:
        return model::AttachMode::kDirect;
      case v1::ATTACH_MODE_DISPATCHER:
        return model::AttachMode::kDispatcher;
      case v1::ATTACH_MODE_CHAINED:
        return model::AttachMode::kChained;
      default:
        Add("attach",
            fmt::format("must be direct, dispatcher or chained, got {}", static_cast<int>(mode)));
        return {};
    }
  }

  void ReadPrefix(const std::string& text, const std::string& path, IpPrefix& prefix) {
    if (text.empty()) return;
    auto parsed = IpPrefix::Parse(text);
    if (parsed.ok()) {
      prefix = *parsed;
    } else {
      Add(path, Message(parsed.status()));
    }
  }

  std::vector<Problem> problems_;
};

// The fields of an update: those of the mask, or all.
class Mask {
 public:
  Mask(const google::protobuf::FieldMask& mask, std::set<std::string> known)
      : known_(std::move(known)) {
    asked_.insert(mask.paths().begin(), mask.paths().end());
  }

  Status Check() const {
    for (const std::string& path : asked_) {
      if (!known_.contains(path)) {
        return InvalidArgument(
            fmt::format("update_mask: no field \"{}\" can be updated; there are {}", path,
                        fmt::join(known_, ", ")));
      }
    }
    return OkStatus();
  }

  bool Has(const std::string& path) const { return asked_.empty() || asked_.contains(path); }

 private:
  std::set<std::string> known_;
  std::set<std::string> asked_;
};

v1::XdpMode ToProto(model::XdpMode mode) {
  switch (mode) {
    case model::XdpMode::kNative:
      return v1::XDP_MODE_NATIVE;
    case model::XdpMode::kGeneric:
      return v1::XDP_MODE_GENERIC;
    case model::XdpMode::kAuto:
      return v1::XDP_MODE_AUTO;
  }
  return v1::XDP_MODE_UNSPECIFIED;
}

v1::AttachMode ToProto(model::AttachMode mode) {
  switch (mode) {
    case model::AttachMode::kDirect:
      return v1::ATTACH_MODE_DIRECT;
    case model::AttachMode::kDispatcher:
      return v1::ATTACH_MODE_DISPATCHER;
    case model::AttachMode::kChained:
      return v1::ATTACH_MODE_CHAINED;
  }
  return v1::ATTACH_MODE_UNSPECIFIED;
}

v1::RealState ToProto(model::RealState state) {
  switch (state) {
    case model::RealState::kActive:
      return v1::REAL_STATE_ACTIVE;
    case model::RealState::kDraining:
      return v1::REAL_STATE_DRAINING;
    case model::RealState::kDown:
      return v1::REAL_STATE_DOWN;
    case model::RealState::kStandby:
      return v1::REAL_STATE_STANDBY;
  }
  return v1::REAL_STATE_UNSPECIFIED;
}

v1::Encapsulation ToProto(model::Encap encap) {
  switch (encap) {
    case model::Encap::kIpIp:
      return v1::ENCAPSULATION_IPIP;
    case model::Encap::kGue:
      return v1::ENCAPSULATION_GUE;
    case model::Encap::kGre:
      return v1::ENCAPSULATION_GRE;
    case model::Encap::kL2:
      return v1::ENCAPSULATION_L2;
  }
  return v1::ENCAPSULATION_UNSPECIFIED;
}

v1::Tracking ToProto(model::Tracking tracking) {
  switch (tracking) {
    case model::Tracking::kAuto:
      return v1::TRACKING_AUTO;
    case model::Tracking::kAlways:
      return v1::TRACKING_ALWAYS;
    case model::Tracking::kNone:
      return v1::TRACKING_NONE;
  }
  return v1::TRACKING_UNSPECIFIED;
}

v1::Protocol ToProto(model::Protocol protocol) {
  switch (protocol) {
    case model::Protocol::kTcp:
      return v1::PROTOCOL_TCP;
    case model::Protocol::kUdp:
      return v1::PROTOCOL_UDP;
    case model::Protocol::kTcpUdp:
      return v1::PROTOCOL_TCP_UDP;
  }
  return v1::PROTOCOL_UNSPECIFIED;
}

v1::HashPolicy ToProto(model::HashPolicy policy) {
  switch (policy) {
    case model::HashPolicy::kFiveTuple:
      return v1::HASH_POLICY_FIVE_TUPLE;
    case model::HashPolicy::kSource:
      return v1::HASH_POLICY_SOURCE;
    case model::HashPolicy::kSourceDestinationPort:
      return v1::HASH_POLICY_SOURCE_DESTINATION_PORT;
    case model::HashPolicy::kDestinationPort:
      return v1::HASH_POLICY_DESTINATION_PORT;
  }
  return v1::HASH_POLICY_UNSPECIFIED;
}

template <typename Proto>
void WriteKey(const model::VipKey& key, Proto& proto) {
  proto.set_address(key.is_prefix() ? key.prefix().ToString() : key.address.ToString());
  if (key.port == 0) {
    proto.set_any_port(true);
  } else {
    proto.set_port(key.port);
    if (key.is_range()) proto.set_last_port(key.last_port);
  }
  proto.set_protocol(ToProto(key.protocol));
}

v1::TrackingStats ToProto(const dataplane::TrackingStats& stats) {
  v1::TrackingStats proto;
  proto.set_slots(stats.slots);
  proto.set_changing_slots(stats.changing_slots);
  proto.set_settling_slots(stats.settling_slots);
  proto.set_flows(stats.flows);
  proto.set_flow_capacity(stats.flow_capacity);
  proto.set_flow_peak(stats.flow_peak);
  return proto;
}

void WriteCounter(const dataplane::Counter& counter, v1::Counter& proto) {
  proto.set_packets(counter.packets);
  proto.set_bytes(counter.bytes);
  proto.set_connections(counter.connections);
  proto.set_dropped(counter.dropped);
}

}  // namespace

ConvertedConfig ConfigFromProto(const v1::Config& proto) {
  Reader reader;
  ConvertedConfig result;
  result.change.config.settings = reader.ReadSettings(proto);
  result.change.config.probes = reader.ReadProbes(proto);
  result.change.hash_key = reader.ReadHashKey(proto.hash_key());
  for (int i = 0; i < proto.vips_size(); ++i) {
    result.change.config.vips.push_back(reader.ReadVip(proto.vips(i), fmt::format("vips[{}]", i)));
  }
  reader.Validate(result.change.config);
  result.problems = reader.Take();
  return result;
}

StatusOr<model::Change> ChangeFromProto(const v1::ApplyConfigRequest& request) {
  // The default configuration is empty: a request without any would delete every VIP.
  if (!request.has_config()) return InvalidArgument("config: is required");
  ConvertedConfig converted = ConfigFromProto(request.config());
  LB_RETURN_IF_ERROR(model::ToStatus(converted.problems));
  return model::Change(std::move(converted.change));
}

StatusOr<model::Change> ChangeFromProto(const v1::AddVipRequest& request) {
  Reader reader;
  model::AddVip change{reader.ReadVip(request.vip(), "vip")};
  LB_RETURN_IF_ERROR(reader.status());
  return model::Change(std::move(change));
}

StatusOr<model::Change> ChangeFromProto(const v1::UpdateVipRequest& request) {
  const Mask mask(request.update_mask(),
                  {"name", "ring", "ring.scheme", "ring.bits", "hash", "tracking", "flows",
                   "route_by_id", "fragments", "slow_start_seconds", "checks", "min_healthy",
                   "fail_open", "reals", "sources", "source_routes"});
  LB_RETURN_IF_ERROR(mask.Check());
  Reader reader;
  const model::Vip vip = reader.ReadVip(request.vip(), "vip");
  LB_RETURN_IF_ERROR(reader.status());
  model::UpdateVip change{.key = vip.key};
  if (mask.Has("name")) change.name = vip.name;
  if (mask.Has("ring") || mask.Has("ring.scheme")) change.ring_scheme = vip.ring.scheme;
  if (mask.Has("ring") || mask.Has("ring.bits")) change.ring_bits = vip.ring.bits;
  if (mask.Has("hash")) change.hash = vip.hash;
  if (mask.Has("tracking")) change.tracking = vip.tracking;
  if (mask.Has("flows")) change.flows = vip.flows;
  if (mask.Has("route_by_id")) change.route_by_id = vip.route_by_id;
  if (mask.Has("source_routes")) change.source_routes = vip.source_routes;
  if (mask.Has("sources")) change.sources = vip.sources;
  if (mask.Has("fragments")) change.fragments = vip.fragments;
  if (mask.Has("slow_start_seconds")) change.slow_start = vip.slow_start;
  if (mask.Has("checks")) change.checks = vip.checks;
  if (mask.Has("min_healthy")) change.min_healthy = vip.health.min_healthy;
  if (mask.Has("fail_open")) change.fail_open = vip.health.fail_open;
  if (mask.Has("reals")) change.reals = vip.reals;
  return model::Change(std::move(change));
}

StatusOr<model::Change> ChangeFromProto(const v1::DeleteVipRequest& request) {
  LB_ASSIGN_OR_RETURN(const model::VipKey key, VipKeyFromProto(request.vip(), "vip"));
  return model::Change(model::DeleteVip{key});
}

StatusOr<model::Change> ChangeFromProto(const v1::AddRealRequest& request) {
  Reader reader;
  model::AddReal change{reader.ReadKey(request.vip(), "vip"),
                        reader.ReadReal(request.real(), "real")};
  LB_RETURN_IF_ERROR(reader.status());
  return model::Change(change);
}

StatusOr<model::Change> ChangeFromProto(const v1::UpdateRealRequest& request) {
  const Mask mask(request.update_mask(), {"weight", "state", "server_id", "encap"});
  LB_RETURN_IF_ERROR(mask.Check());
  Reader reader;
  const model::VipKey key = reader.ReadKey(request.vip(), "vip");
  const model::Real real = reader.ReadReal(request.real(), "real");
  LB_RETURN_IF_ERROR(reader.status());
  model::UpdateReal change{.vip = key, .address = real.address};
  if (mask.Has("weight")) change.weight = real.weight;
  if (mask.Has("server_id")) change.server_id = real.server_id;
  if (mask.Has("encap")) change.encap = real.encap;
  if (mask.Has("state")) {
    change.state = real.state;
    change.drain = real.drain;
  }
  return model::Change(change);
}

StatusOr<model::Change> ChangeFromProto(const v1::DeleteRealRequest& request) {
  Reader reader;
  model::DeleteReal change{reader.ReadKey(request.vip(), "vip"),
                           reader.ReadAddress(request.address(), "address")};
  LB_RETURN_IF_ERROR(reader.status());
  return model::Change(change);
}

StatusOr<IpAddress> AddressFromProto(const std::string& text, const std::string& path) {
  Reader reader;
  const IpAddress address = reader.ReadAddress(text, path);
  LB_RETURN_IF_ERROR(reader.status());
  return address;
}

StatusOr<model::VipKey> VipKeyFromProto(const v1::VipKey& proto, const std::string& path) {
  Reader reader;
  const model::VipKey key = reader.ReadKey(proto, path);
  LB_RETURN_IF_ERROR(reader.status());
  return key;
}

v1::Real ToProto(const model::Real& real) {
  v1::Real proto;
  proto.set_address(real.address.ToString());
  proto.set_weight(real.weight);
  proto.set_state(ToProto(real.state));
  if (real.server_id) proto.set_server_id(*real.server_id);
  if (real.drain) proto.set_drain_seconds(*real.drain);
  proto.set_encap(ToProto(real.encap));
  return proto;
}

v1::VipKey ToProto(const model::VipKey& key) {
  v1::VipKey proto;
  WriteKey(key, proto);
  return proto;
}

v1::SourcePolicy ToProto(const model::SourcePolicy& policy) {
  v1::SourcePolicy proto;
  for (const IpPrefix& prefix : policy.allow) proto.add_allow(prefix.ToString());
  for (const IpPrefix& prefix : policy.deny) proto.add_deny(prefix.ToString());
  const auto write = [](const model::RateLimit& limit, v1::RateLimit& out) {
    out.set_per_second(limit.per_second);
    out.set_burst(limit.burst);
  };
  if (policy.new_flows.per_second != 0) write(policy.new_flows, *proto.mutable_new_flows());
  if (policy.new_flows_per_source.per_second != 0) {
    write(policy.new_flows_per_source, *proto.mutable_new_flows_per_source());
  }
  return proto;
}

v1::Vip ToProto(const model::Vip& vip) {
  v1::Vip proto;
  WriteKey(vip.key, proto);
  proto.set_name(vip.name);
  proto.mutable_ring()->set_scheme(vip.ring.scheme == model::RingScheme::kRendezvous
                                       ? v1::RING_SCHEME_RENDEZVOUS
                                       : v1::RING_SCHEME_MAGLEV);
  if (vip.ring.bits != 0) proto.mutable_ring()->set_bits(vip.ring.bits);
  proto.set_hash(ToProto(vip.hash));
  proto.set_tracking(ToProto(vip.tracking));
  if (vip.flows.window) proto.mutable_flows()->set_window_seconds(*vip.flows.window);
  if (vip.flows.idle) proto.mutable_flows()->set_idle_seconds(*vip.flows.idle);
  if (vip.flows.entries) proto.mutable_flows()->set_entries(*vip.flows.entries);
  for (int config = 0; config < model::kQuicLbConfigs; ++config) {
    if (vip.route_by_id.quic_lb[config] == 0) continue;
    v1::QuicLb& quic_lb = *proto.mutable_route_by_id()->add_quic_lb();
    quic_lb.set_config_id(config);
    quic_lb.set_server_id_length(vip.route_by_id.quic_lb[config]);
  }
  if (vip.route_by_id.quic_katran) proto.mutable_route_by_id()->set_quic_katran(true);
  if (vip.route_by_id.tcp_option) proto.mutable_route_by_id()->set_tcp_option(true);
  for (const model::SourceRoute& route : vip.source_routes) {
    v1::SourceRoute& out = *proto.add_source_routes();
    out.set_name(route.name);
    for (const IpPrefix& source : route.sources) out.add_sources(source.ToString());
    for (const model::Real& real : route.reals) *out.add_reals() = ToProto(real);
  }
  if (!vip.sources.empty()) *proto.mutable_sources() = ToProto(vip.sources);
  proto.set_fragments(vip.fragments == model::Fragments::kByAddress ? v1::FRAGMENTS_BY_ADDRESS
                                                                    : v1::FRAGMENTS_FOLLOW);
  proto.set_slow_start_seconds(vip.slow_start);
  for (const model::HealthCheck& check : vip.checks) *proto.add_checks() = ToProto(check);
  proto.set_min_healthy(vip.health.min_healthy);
  proto.set_fail_open(vip.health.fail_open);
  for (const model::Real& real : vip.reals) *proto.add_reals() = ToProto(real);
  return proto;
}

namespace {

void WriteStages(const model::Settings& settings, v1::Config& proto) {
  const model::PacketOptions& packets = settings.packets;
  proto.mutable_packets()->set_vlan(packets.vlan);
  proto.mutable_packets()->set_ipv6_extensions(packets.ipv6_extensions);
  if (packets.multi_buffer) proto.mutable_packets()->set_multi_buffer(*packets.multi_buffer);
  proto.mutable_icmp()->set_echo(settings.icmp.echo);
  proto.mutable_icmp()->set_errors(settings.icmp.errors);
  proto.mutable_icmp()->set_too_big_per_second(settings.icmp.too_big_per_second);
  for (const IpAddress& address : settings.decap.addresses) {
    proto.mutable_decap()->add_addresses(address.ToString());
  }
  if (settings.decap.gue_port) proto.mutable_decap()->set_gue_port(*settings.decap.gue_port);
}

}  // namespace

v1::Config ToProto(const model::Config& config) {
  const model::Settings& settings = config.settings;
  v1::Config proto;
  for (const std::string& name : settings.interfaces) proto.add_interfaces(name);
  proto.set_xdp_mode(ToProto(settings.xdp_mode));
  if (settings.attach != model::AttachMode::kDirect) proto.set_attach(ToProto(settings.attach));
  if (settings.attach == model::AttachMode::kDispatcher) {
    proto.mutable_dispatcher()->set_priority(settings.priority);
  }
  if (settings.attach == model::AttachMode::kChained) {
    proto.mutable_chain()->set_map(settings.chain.map);
    proto.mutable_chain()->set_position(settings.chain.position);
  }
  proto.set_flow_hash(settings.flow_hash == model::FlowHash::kFast ? v1::FLOW_HASH_FAST
                                                                   : v1::FLOW_HASH_SIPHASH);
  if (settings.next_hop_mac) proto.mutable_next_hop()->set_mac(settings.next_hop_mac->ToString());
  proto.mutable_encap()->set_source_v4(settings.outer_source_v4.ToString());
  proto.mutable_encap()->set_source_v6(settings.outer_source_v6.ToString());
  proto.mutable_encap()->set_gue_port(settings.gue_port);
  proto.mutable_limits()->set_vips(settings.limits.vips);
  proto.mutable_limits()->set_reals(settings.limits.reals);
  proto.mutable_limits()->set_ring_slots(settings.limits.ring_slots);
  proto.mutable_limits()->set_flows(settings.limits.flows);
  proto.mutable_limits()->set_source_prefixes(settings.limits.source_prefixes);
  proto.mutable_limits()->set_sources(settings.limits.sources);
  proto.mutable_limits()->set_fragments(settings.limits.fragments);
  WriteStages(settings, proto);
  WriteProbes(config.probes, proto);
  for (const model::Vip& vip : config.vips) *proto.add_vips() = ToProto(vip);
  return proto;
}

v1::Attachment ToProto(const dataplane::Attachment& attachment) {
  v1::Attachment proto;
  proto.set_interface(attachment.interface);
  proto.set_mode(ToProto(attachment.mode));
  proto.set_attach(ToProto(attachment.attach));
  proto.set_program_id(attachment.program_id);
  proto.set_link_up(attachment.link_up);
  return proto;
}

v1::NextHopStatus ToProto(const dataplane::NextHopResult& result) {
  v1::NextHopStatus proto;
  proto.set_real(result.real.ToString());
  proto.set_problem(result.problem);
  if (result.hop.via) proto.set_via(result.hop.via->ToString());
  proto.set_interface(result.hop.interface);
  if (!result.problem.empty()) return proto;
  proto.set_mac(result.hop.destination.ToString());
  proto.set_mtu(result.hop.mtu);
  return proto;
}

v1::Flow ToProto(const dataplane::TrackedFlow& flow) {
  v1::Flow proto;
  proto.set_real(flow.real.ToString());
  proto.set_slot(flow.slot);
  proto.set_hash(fmt::format("{:010x}", flow.fingerprint));
  proto.set_idle_seconds(flow.idle_seconds);
  proto.set_ended(flow.ended);
  return proto;
}

v1::GetStatsResponse ToProto(const dataplane::Stats& stats, const model::Config& config) {
  v1::GetStatsResponse proto;
  for (const dataplane::VipCounters& vip : stats.vips) {
    v1::VipStats& row = *proto.add_vips();
    *row.mutable_vip() = ToProto(vip.key);
    model::VipKey key = vip.key;
    key.route = 0;
    if (const model::Vip* configured = config.FindVip(key)) {
      row.set_name(configured->name);
      const model::SourceRoute* route = model::FindRoute(*configured, vip.key.route);
      if (route != nullptr) row.set_source_route(route->name);
    }
    for (const dataplane::RealCounter& real : vip.reals) {
      v1::RealStats& real_row = *row.add_reals();
      real_row.set_address(real.address.ToString());
      WriteCounter(real.counter, *real_row.mutable_counter());
      real_row.set_flows(real.flows);
    }
    WriteCounter(vip.total, *row.mutable_total());
    *row.mutable_tracking() = ToProto(vip.tracking);
    row.mutable_sources()->set_denied(vip.sources.denied);
    row.mutable_sources()->set_limited(vip.sources.limited);
    row.mutable_sources()->set_source_limited(vip.sources.source_limited);
  }
  for (const dataplane::VerdictCounter& verdict : stats.verdicts) {
    v1::VerdictStats& row = *proto.add_verdicts();
    row.set_verdict(std::string(verdict.verdict));
    row.set_action(std::string(verdict.action));
    row.set_description(std::string(verdict.description));
    row.set_packets(verdict.packets);
  }
  for (const dataplane::NoteCounter& note : stats.notes) {
    v1::NoteStats& row = *proto.add_notes();
    row.set_note(std::string(note.note));
    row.set_description(std::string(note.description));
    row.set_packets(note.packets);
  }
  for (const uint64_t packets : stats.cpu_packets) proto.add_cpu_packets(packets);
  proto.mutable_flow_table()->set_inserted(stats.flow_table.inserted);
  proto.mutable_flow_table()->set_evicted(stats.flow_table.evicted);
  proto.mutable_flow_table()->set_refused(stats.flow_table.refused);
  return proto;
}

}  // namespace lb::api
