// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/control/transaction.h"
#include "lbd/model/config.h"

namespace lb::control {

// About one configuration that was in force.
struct RevisionInfo {
  uint64_t generation = 0;
  WallTime time;
  std::string author;
  std::string comment;
  std::vector<std::string> changes;  // against the one before
  struct Request {
    std::string id;
    uint64_t digest = 0;
    bool operator==(const Request&) const = default;
  };
  std::vector<Request> requests;       // that made it
  std::optional<WallTime> confirm_by;  // unconfirmed: it is taken back then
  uint64_t restores = 0;               // what comes back then
  bool operator==(const RevisionInfo&) const = default;
};

struct Revision {
  RevisionInfo info;
  model::Config config;
};

// Keeps revisions where a restart finds them. Prepare, Commit, Abandon and Confirm belong to the
// control thread; the rest is thread-safe.
class Journal {
 public:
  virtual ~Journal() = default;

  // Writes everything that can fail for want of space. `touched`: the VIPs that may differ from the
  // revision before, when its settings and the order of its VIPs are the same; empty: anything may.
  virtual Status Prepare(const Revision& revision,
                         const std::optional<std::set<model::VipKey>>& touched) = 0;
  // Makes what was prepared the latest revision, durably.
  virtual Status Commit() = 0;
  // Forgets what was prepared.
  virtual void Abandon() = 0;
  // The latest revision is to stay.
  virtual Status Confirm() = 0;

  // Newest first.
  virtual StatusOr<std::vector<RevisionInfo>> List(size_t limit) const = 0;
  virtual StatusOr<Revision> Load(uint64_t generation) const = 0;
};

}  // namespace lb::control
