// SPDX-License-Identifier: Apache-2.0
#include "cli/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "lbd/base/ip_address.h"
#include "lbd/config/scalar.h"

namespace lb::cli {
namespace {

struct Endpoint {
  std::string address;
  uint32_t port = 0;
};

// "192.0.2.1:80", "[2001:db8::1]:80"
std::optional<Endpoint> ParseEndpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::Parse(host);
  const auto port = config::ParseNumber<uint16_t>(text.substr(colon + 1));
  if (!address.ok() || !port) return std::nullopt;
  return Endpoint{address->ToString(), *port};
}

// Collects VIPs, and what is wrong, line by line.
class Importer {
 public:
  void Line(std::string_view text, size_t number) {
    number_ = number;
    std::istringstream in{std::string(text)};
    words_.clear();
    for (std::string word; in >> word;) words_.push_back(word);
    text_ = text;
  }

  const std::vector<std::string>& words() const { return words_; }
  // The word after `option`, which may stand anywhere.
  std::optional<std::string> ValueOf(std::string_view option) const {
    const auto it = std::ranges::find(words_, option);
    if (it == words_.end() || it + 1 == words_.end()) return std::nullopt;
    return *(it + 1);
  }
  bool Has(std::string_view option) const {
    return std::ranges::find(words_, option) != words_.end();
  }

  void Wrong(std::string_view why) {
    errors_ += fmt::format("{}line {}: {}: {}", errors_.empty() ? "" : "\n", number_, why,
                           config::Quote(text_));
  }
  void Note(std::string_view what) {
    result_.notes.push_back(fmt::format("line {}: {}", number_, what));
  }

  v1::Vip* AddVip(const Endpoint& endpoint, v1::Protocol protocol) {
    v1::Vip* vip = result_.config.add_vips();
    vip->set_address(endpoint.address);
    if (endpoint.port == 0) {
      vip->set_any_port(true);
    } else {
      vip->set_port(endpoint.port);
    }
    vip->set_protocol(protocol);
    return vip;
  }
  v1::Vip* Find(const Endpoint& endpoint, v1::Protocol protocol) {
    const auto it = std::ranges::find_if(*result_.config.mutable_vips(), [&](const v1::Vip& vip) {
      return vip.address() == endpoint.address && vip.port() == endpoint.port &&
             vip.protocol() == protocol;
    });
    return it == result_.config.mutable_vips()->end() ? nullptr : &*it;
  }
  void AddReal(v1::Vip& vip, const std::string& address, uint32_t weight) {
    v1::Real& real = *vip.add_reals();
    real.set_address(address);
    real.set_weight(weight);
  }

  StatusOr<Imported> Take() {
    if (!errors_.empty()) return InvalidArgument(errors_);
    return std::move(result_);
  }

 private:
  size_t number_ = 0;
  std::string_view text_;
  std::vector<std::string> words_;
  std::string errors_;
  Imported result_;
};

template <typename Visitor>
StatusOr<Imported> ForEachLine(std::string_view text, Visitor visitor) {
  Importer importer;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    importer.Line(text.substr(0, end), number);
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
    if (!importer.words().empty()) visitor(importer);
  }
  return importer.Take();
}

struct IpvsService {
  Endpoint endpoint;
  v1::Protocol protocol;
};

std::optional<IpvsService> ServiceOf(const Importer& line) {
  for (const auto& [option, protocol] :
       {std::pair{"-t", v1::PROTOCOL_TCP}, std::pair{"-u", v1::PROTOCOL_UDP}}) {
    if (const auto value = line.ValueOf(option)) {
      if (const auto endpoint = ParseEndpoint(*value)) return IpvsService{*endpoint, protocol};
    }
  }
  return std::nullopt;
}

void ReadIpvsService(Importer& line) {
  const auto service = ServiceOf(line);
  if (!service) {
    if (line.Has("-f") || line.Has("--sctp-service")) {
      line.Note("only TCP and UDP services can be taken over; left out");
    } else {
      line.Wrong("want -t or -u ADDRESS:PORT");
    }
    return;
  }
  if (line.Find(service->endpoint, service->protocol) != nullptr) {
    line.Wrong("the service is there already");
    return;
  }
  v1::Vip& vip = *line.AddVip(service->endpoint, service->protocol);
  const std::string scheduler = line.ValueOf("-s").value_or("wlc");
  if (scheduler == "mh") {
    vip.mutable_ring()->set_scheme(v1::RING_SCHEME_MAGLEV);
  } else {
    line.Note(fmt::format("scheduler {}: lbd spreads by a consistent hash, in shares by weight",
                          scheduler));
  }
  if (line.Has("-p")) line.Note("persistence (-p) is left out");
}

void ReadIpvsReal(Importer& line) {
  const auto service = ServiceOf(line);
  const auto destination = line.ValueOf("-r");
  const auto real = destination ? ParseEndpoint(*destination) : std::nullopt;
  if (!service) {
    if (line.Has("-f")) return;  // its service was noted
    line.Wrong("want -t or -u ADDRESS:PORT");
    return;
  }
  if (!real) {
    line.Wrong("want -r ADDRESS:PORT");
    return;
  }
  v1::Vip* vip = line.Find(service->endpoint, service->protocol);
  if (vip == nullptr) {
    line.Wrong("the service is not there");
    return;
  }
  const auto weight = config::ParseNumber<uint32_t>(line.ValueOf("-w").value_or("1"));
  if (!weight) {
    line.Wrong("want -w WEIGHT");
    return;
  }
  if (real->port != service->endpoint.port) {
    line.Note(fmt::format("lbd keeps ports: {} must serve port {}, not {}", real->address,
                          service->endpoint.port, real->port));
  }
  if (line.Has("-m")) {
    line.Note(fmt::format(
        "masquerading (-m): {} must have the VIP on lo and take IPIP, see lbagent", real->address));
  } else if (line.Has("-g")) {
    line.Note(fmt::format("direct routing (-g): {} must take IPIP, see lbagent", real->address));
  }
  line.AddReal(*vip, real->address, *weight);
}

}  // namespace

StatusOr<Imported> ImportIpvs(std::string_view text) {
  return ForEachLine(text, [](Importer& line) {
    const std::string& command = line.words()[0];
    if (command == "-A") {
      ReadIpvsService(line);
    } else if (command == "-a") {
      ReadIpvsReal(line);
    } else if (!command.starts_with('#')) {
      line.Wrong("this is no output of ipvsadm -Sn");
    }
  });
}

StatusOr<Imported> ImportKatran(std::string_view text) {
  v1::Vip* vip = nullptr;
  return ForEachLine(text, [&vip](Importer& line) {
    const auto& words = line.words();
    if (words[0] == "VIP:") {
      vip = nullptr;
      const auto port = config::ParseNumber<uint16_t>(line.ValueOf("Port:").value_or(""));
      const auto protocol = line.ValueOf("Protocol:").value_or("");
      const auto address = IpAddress::Parse(line.ValueOf("VIP:").value_or(""));
      if (!address.ok() || !port || (protocol != "tcp" && protocol != "udp")) {
        line.Wrong("want VIP: ADDRESS Port: PORT Protocol: tcp|udp");
        return;
      }
      vip = line.AddVip({address->ToString(), *port},
                        protocol == "tcp" ? v1::PROTOCOL_TCP : v1::PROTOCOL_UDP);
      vip->mutable_ring()->set_scheme(v1::RING_SCHEME_MAGLEV);
    } else if (words[0] == "Vip's" && vip != nullptr) {
      for (size_t i = 2; i < words.size(); ++i) {
        if (words[i] == "NO_LRU") {
          vip->set_tracking(v1::TRACKING_NONE);
        } else {
          line.Note(fmt::format("flag {} is left out", words[i]));
        }
      }
    } else if (words[0].starts_with("->")) {
      const auto address = IpAddress::Parse(std::string_view(words[0]).substr(2));
      const auto weight = config::ParseNumber<uint32_t>(line.ValueOf("weight:").value_or(""));
      if (vip == nullptr || !address.ok() || !weight) {
        line.Wrong("want ->ADDRESS weight: WEIGHT, after a VIP");
        return;
      }
      line.AddReal(*vip, address->ToString(), *weight);
      if (line.Has("LOCAL_REAL")) line.Note("flag LOCAL_REAL is left out");
    } else if (!line.Has("vips") && words[0] != "exiting") {  // "2024/01/02 03:04:05 vips len 2"
      line.Wrong("this is no output of Katran's client -l");
    }
  });
}

}  // namespace lb::cli
