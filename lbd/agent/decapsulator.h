// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/ip_prefix.h"
#include "lbd/base/status.h"
#include "lbd/dataplane/pin_directory.h"
#include "lbd/dataplane/xdp_link.h"
#include "lbd/model/config.h"

struct real_decap_bpf;

namespace lb::agent {

struct OutcomeCount {
  std::string_view outcome;      // "decap_v4"
  std::string_view description;  // one sentence
  uint64_t packets = 0;
};

// The decapsulation program in the kernel. Its links and maps are pinned: it goes on when this is
// destroyed, and the next one takes it over without a gap. Thread-compatible.
class Decapsulator {
 public:
  // What the program knows of an address: LB_DECAP_* flags.
  using Addresses = std::map<IpAddress, uint32_t>;

  using Prefixes = std::map<IpPrefix, uint32_t>;

  struct Settings {
    uint16_t gue_port = 6080;
    bool prefixes = false;  // some VIP is a prefix: the others save the search for it
  };

  // Loads the program over the maps that are pinned in `pins`, or over new ones.
  static StatusOr<Decapsulator> Load(dataplane::PinDirectory pins, const Settings& settings);

  StatusOr<Addresses> ReadAddresses() const;
  Status SetAddress(const IpAddress& address, uint32_t flags);
  Status RemoveAddress(const IpAddress& address);
  StatusOr<Prefixes> ReadPrefixes() const;
  Status SetPrefix(const IpPrefix& prefix, uint32_t flags);
  Status RemovePrefix(const IpPrefix& prefix);

  // Makes the program run on exactly these interfaces: takes over pinned links, attaches missing
  // ones, detaches all others.
  Status Attach(const std::vector<std::string>& interfaces, model::XdpMode mode);
  // Since the maps were made.
  StatusOr<std::vector<OutcomeCount>> ReadCounts() const;
  // Detaches from every interface and removes all pins.
  Status Remove();

 private:
  struct Close {
    void operator()(real_decap_bpf* skeleton) const;
  };
  using Skeleton = std::unique_ptr<real_decap_bpf, Close>;

  Decapsulator(dataplane::PinDirectory pins, Skeleton skeleton)
      : pins_(std::move(pins)), skeleton_(std::move(skeleton)) {}

  Status DetachFrom(const std::string& interface);

  dataplane::PinDirectory pins_;
  Skeleton skeleton_;
};

}  // namespace lb::agent
