// SPDX-License-Identifier: Apache-2.0
#include "cli/objects.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <utility>

#include "lbd/config/field_names.h"
#include "lbd/config/scalar.h"
#include "lbd/model/limits.h"
#include "lbd/model/vip.h"

namespace lb::cli {
namespace {

constexpr std::pair<model::Protocol, v1::Protocol> kProtocols[] = {
    {model::Protocol::kTcp, v1::PROTOCOL_TCP},
    {model::Protocol::kUdp, v1::PROTOCOL_UDP},
    {model::Protocol::kTcpUdp, v1::PROTOCOL_TCP_UDP},
};

template <typename Enum>
StatusOr<Enum> ParseEnum(const google::protobuf::EnumDescriptor& type, std::string_view text) {
  const auto* value = config::FindValue(type, text);
  if (value == nullptr || value->number() == 0) {
    return InvalidArgument(fmt::format(
        "want one of {}, got {}", fmt::join(config::ShortNames(type), ", "), config::Quote(text)));
  }
  return static_cast<Enum>(value->number());
}

// A number that this version does not know is from a newer lbd.
std::string EnumText(const google::protobuf::EnumDescriptor& type, int number) {
  const auto* value = type.FindValueByNumber(number);
  return value != nullptr ? config::ShortName(*value) : fmt::format("{}", number);
}

Status SetRealOption(std::string_view name, std::string_view value, v1::Real& real) {
  if (name == "weight") {
    const auto weight = config::ParseNumber<uint32_t>(value);
    if (!weight || *weight > model::kMaxWeight) {
      return InvalidArgument(
          fmt::format("weight: want 0..{}, got {}", model::kMaxWeight, config::Quote(value)));
    }
    real.set_weight(*weight);
    return OkStatus();
  }
  if (name == "server_id") {
    const auto id = config::ParseNumber<uint64_t>(value);
    if (!id) return InvalidArgument("server_id: want a number, got " + config::Quote(value));
    real.set_server_id(*id);
    return OkStatus();
  }
  if (name == "state") {
    const auto state = ParseRealState(value);
    if (!state.ok()) return Annotate(state.status(), "state");
    real.set_state(*state);
    return OkStatus();
  }
  if (name == "encap") {
    const auto encap = ParseEncap(value);
    if (!encap.ok()) return Annotate(encap.status(), "encap");
    real.set_encap(*encap);
    return OkStatus();
  }
  return InvalidArgument(fmt::format(
      "{}: unknown; write a real as ADDRESS[,weight=N][,server_id=N][,state=STATE][,encap=ENCAP]",
      config::Quote(name)));
}

// Cuts `text` at the first `separator` and returns what is before it.
std::string_view TakeUntil(char separator, std::string_view& text) {
  const size_t end = text.find(separator);
  const std::string_view head = text.substr(0, end);
  text = end == std::string_view::npos ? "" : text.substr(end + 1);
  return head;
}

}  // namespace

StatusOr<v1::VipKey> ParseVip(std::string_view text) {
  LB_ASSIGN_OR_RETURN(const model::VipKey key, model::VipKey::Parse(text));
  v1::VipKey vip;
  vip.set_address(key.is_prefix() ? key.prefix().ToString() : key.address.ToString());
  if (key.port == 0) {
    vip.set_any_port(true);
  } else {
    vip.set_port(key.port);
    if (key.is_range()) vip.set_last_port(key.last_port);
  }
  for (const auto& [model, proto] : kProtocols) {
    if (key.protocol == model) vip.set_protocol(proto);
  }
  return vip;
}

StatusOr<v1::Real> ParseReal(std::string_view text) {
  v1::Real real;
  LB_ASSIGN_OR_RETURN(const IpAddress address, IpAddress::Parse(TakeUntil(',', text)));
  real.set_address(address.ToString());
  while (!text.empty()) {
    std::string_view value = TakeUntil(',', text);
    const std::string_view name = TakeUntil('=', value);
    LB_RETURN_IF_ERROR(SetRealOption(name, value, real));
  }
  return real;
}

StatusOr<v1::RouteById> ParseRouteById(std::string_view text) {
  v1::RouteById route;
  if (text == "off") return route;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view item = TakeUntil(',', rest);
    std::string_view numbers = item;
    if (item == "tcp_option") {
      route.set_tcp_option(true);
    } else if (item == "quic_katran") {
      route.set_quic_katran(true);
    } else if (TakeUntil(':', numbers) == "quic_lb") {
      const auto id = config::ParseNumber<uint32_t>(TakeUntil(':', numbers));
      const auto bytes = config::ParseNumber<uint32_t>(numbers);
      if (!id || !bytes) {
        return InvalidArgument("want quic_lb:CONFIG:BYTES, got " + config::Quote(item));
      }
      route.add_quic_lb()->set_config_id(*id);
      route.mutable_quic_lb()->rbegin()->set_server_id_length(*bytes);
    } else {
      return InvalidArgument("want off, tcp_option, quic_katran or quic_lb:CONFIG:BYTES, got " +
                             config::Quote(item));
    }
  }
  return route;
}

StatusOr<v1::RateLimit> ParseRate(std::string_view text) {
  const std::string_view whole = text;
  const auto rate = config::ParseNumber<uint32_t>(TakeUntil('/', text));
  const bool has_burst = whole.find('/') != std::string_view::npos;
  const auto burst = has_burst ? config::ParseNumber<uint32_t>(text) : 0;
  if (!rate || !burst || (has_burst && *burst == 0)) {
    return InvalidArgument(fmt::format(
        "want new flows per second, as 100, or with how many at once, as 100/500; got {}",
        config::Quote(whole)));
  }
  v1::RateLimit limit;
  limit.set_per_second(*rate);
  limit.set_burst(*burst);
  return limit;
}

StatusOr<v1::RingScheme> ParseRingScheme(std::string_view text) {
  return ParseEnum<v1::RingScheme>(*v1::RingScheme_descriptor(), text);
}

StatusOr<v1::RealState> ParseRealState(std::string_view text) {
  return ParseEnum<v1::RealState>(*v1::RealState_descriptor(), text);
}

StatusOr<v1::Tracking> ParseTracking(std::string_view text) {
  return ParseEnum<v1::Tracking>(*v1::Tracking_descriptor(), text);
}

StatusOr<v1::HashPolicy> ParseHashPolicy(std::string_view text) {
  return ParseEnum<v1::HashPolicy>(*v1::HashPolicy_descriptor(), text);
}

StatusOr<v1::Encapsulation> ParseEncap(std::string_view text) {
  return ParseEnum<v1::Encapsulation>(*v1::Encapsulation_descriptor(), text);
}

bool IsUp(const v1::RealHealth& real) {
  return real.has_override_up() ? real.override_up() : real.state() == v1::HEALTH_STATE_UP;
}

v1::VipKey KeyOf(const v1::Vip& vip) {
  v1::VipKey key;
  key.set_address(vip.address());
  if (vip.has_port()) key.set_port(vip.port());
  key.set_any_port(vip.any_port());
  if (vip.has_last_port()) key.set_last_port(vip.last_port());
  key.set_protocol(vip.protocol());
  return key;
}

bool SameVip(const v1::VipKey& a, const v1::VipKey& b) { return ToText(a) == ToText(b); }

std::string ToText(const v1::VipKey& vip) {
  model::VipKey key;
  if (const auto prefix = IpPrefix::Parse(vip.address()); prefix.ok()) key.SetPrefix(*prefix);
  key.port = static_cast<uint16_t>(vip.any_port() ? 0 : vip.port());
  key.last_port = static_cast<uint16_t>(vip.last_port());
  for (const auto& [model, proto] : kProtocols) {
    if (vip.protocol() == proto) key.protocol = model;
  }
  return key.ToString();
}

std::string ToText(const v1::Ring& ring) {
  const std::string scheme = ring.scheme() == v1::RING_SCHEME_MAGLEV ? "maglev" : "rendezvous";
  return ring.has_bits() ? fmt::format("{} 2^{}", scheme, ring.bits()) : scheme;
}

std::string ToText(v1::AttachMode mode) { return EnumText(*v1::AttachMode_descriptor(), mode); }
std::string ToText(v1::XdpMode mode) { return EnumText(*v1::XdpMode_descriptor(), mode); }

std::string ToText(v1::RealState state) {
  if (state == v1::REAL_STATE_UNSPECIFIED) state = v1::REAL_STATE_ACTIVE;
  return EnumText(*v1::RealState_descriptor(), state);
}

std::string ToText(v1::Tracking tracking) {
  if (tracking == v1::TRACKING_UNSPECIFIED) tracking = v1::TRACKING_AUTO;
  return EnumText(*v1::Tracking_descriptor(), tracking);
}

std::string ToText(v1::HashPolicy policy) {
  if (policy == v1::HASH_POLICY_UNSPECIFIED) policy = v1::HASH_POLICY_FIVE_TUPLE;
  return EnumText(*v1::HashPolicy_descriptor(), policy);
}

std::string ToText(v1::Encapsulation encap) {
  if (encap == v1::ENCAPSULATION_UNSPECIFIED) encap = v1::ENCAPSULATION_IPIP;
  return EnumText(*v1::Encapsulation_descriptor(), encap);
}

std::string RealName(const v1::VipKey& vip, std::string_view address) {
  return fmt::format("real {} of {}", address, ToText(vip));
}

std::string LocalTime(const google::protobuf::Timestamp& time) {
  const std::time_t seconds = time.seconds();
  std::tm local{};
  localtime_r(&seconds, &local);
  return fmt::format("{:%F %T}.{:03}", local, time.nanos() / 1'000'000);
}

uint32_t WeightOf(const v1::Real& real) {
  return real.has_weight() ? real.weight() : model::Real{}.weight;
}

v1::RealState StateOf(const v1::Real& real) {
  return real.state() == v1::REAL_STATE_UNSPECIFIED ? v1::REAL_STATE_ACTIVE : real.state();
}

}  // namespace lb::cli
