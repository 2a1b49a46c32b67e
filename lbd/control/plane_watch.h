// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>

#include "lbd/dataplane/dataplane.h"
#include "lbd/events/event_hub.h"

namespace lb::control {

// Turns what the data plane reports into events, by comparing it with the last report.
// Thread-compatible.
class PlaneWatch {
 public:
  explicit PlaneWatch(events::EventHub& hub) : hub_(hub) {}

  // Publishes what has changed since the last call.
  void Look(const dataplane::Dataplane& plane);

 private:
  void LookAtAttachments(const dataplane::Dataplane& plane);
  void LookAtNextHops(const dataplane::Dataplane& plane);
  void LookAtWarnings(const dataplane::Dataplane& plane);

  events::EventHub& hub_;
  std::map<std::string, std::string> attachments_;  // by interface
  std::map<IpAddress, std::string> next_hops_;      // by real
  std::set<std::string> warnings_;
};

}  // namespace lb::control
