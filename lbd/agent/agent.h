// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lbd/agent/decapsulator.h"
#include "lbd/agent/host_addresses.h"
#include "lbd/agent/server_id_program.h"
#include "lbd/base/ip_address.h"
#include "lbd/base/ip_prefix.h"
#include "lbd/base/status.h"
#include "lbd/model/config.h"

namespace lb::agent {

struct Options {
  std::vector<std::string> interfaces;  // where encapsulated packets arrive
  std::vector<IpPrefix> vips;
  uint16_t gue_port = 6080;
  model::XdpMode xdp_mode = model::XdpMode::kAuto;
  ServerIdOptions server_ids;
  std::string pin_path = "/sys/fs/bpf/lbagent";
};

// Makes this host a real server: the VIPs are on lo, packets that load balancers encapsulated are
// unwrapped, and clients are told the server id. All of that outlives the process; the pinned maps
// say which VIPs are ours. Thread-compatible.
class Agent {
 public:
  // Sets everything up, or takes over what an earlier agent left. When it fails, nothing new stays
  // behind, and what an earlier agent left goes on.
  static StatusOr<Agent> Start(const Options& options);

  // Removes what this or an earlier agent set up: links, pins, and the VIPs that it added.
  static Status Detach(const std::string& pin_path);
  Status Detach();

  // Readable when the host's addresses may have changed; then call OnEvents().
  int event_fd() const { return host_.event_fd(); }
  // Unwraps packets to every address that the host has by now.
  Status OnEvents();

  StatusOr<std::vector<OutcomeCount>> ReadCounts() const;

 private:
  Agent(Decapsulator decapsulator, HostAddresses host, int loopback, std::string pin_path)
      : decapsulator_(std::move(decapsulator)),
        host_(std::move(host)),
        loopback_(loopback),
        pin_path_(std::move(pin_path)) {}

  static StatusOr<Agent> Open(const std::string& pin_path, const Decapsulator::Settings& settings);
  Status SetUp(const Options& options);
  Status SetVips(const std::vector<IpAddress>& vips);
  Status SetPrefixes(const std::vector<IpPrefix>& vips);
  Status SetTunnels();
  Status SetServerIds(const ServerIdOptions& options);
  Status RemoveVip(const IpAddress& address, uint32_t flags);
  Status RemovePrefix(const IpPrefix& prefix, uint32_t flags);

  Decapsulator decapsulator_;
  HostAddresses host_;
  int loopback_;
  std::string pin_path_;
  std::optional<ServerIdProgram> server_ids_;
};

}  // namespace lb::agent
