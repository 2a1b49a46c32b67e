// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"
#include "lbd/control/journal.h"

namespace lb::config {

// The journal in a directory: one file a revision, the latest kKept of them. A revision is
// complete, or it has what differs from a complete one (never more than that one step), so that a
// small change of a large configuration is a small file.
class StateStore : public control::Journal {
 public:
  static constexpr size_t kKept = 100;

  // Creates the directory; one process at a time may have it open. Files that are damaged are put
  // aside under another name.
  static StatusOr<std::unique_ptr<StateStore>> Open(const std::string& path);

  // What a directory has; it may be open in another process, and stays as it is.
  struct Contents {
    std::optional<control::Revision> latest;  // that can be read
    std::vector<std::string> problems;        // later ones that cannot, one sentence each
  };
  static StatusOr<Contents> Look(const std::string& path);

  // The latest revision that can be read; empty where there is none.
  std::optional<control::Revision> Latest();
  // What is wrong with files that were put aside so far, one sentence each.
  const std::vector<std::string>& problems() const { return problems_; }

  Status Prepare(const control::Revision& revision,
                 const std::optional<std::set<model::VipKey>>& touched) override;
  Status Commit() override;
  void Abandon() override;
  Status Confirm() override;
  StatusOr<std::vector<control::RevisionInfo>> List(size_t limit) const override;
  StatusOr<control::Revision> Load(uint64_t generation) const override;

 private:
  struct Prepared {
    uint64_t generation = 0;
    uint64_t base = 0;  // 0: complete
    std::optional<std::set<model::VipKey>> touched;
    std::vector<model::VipKey> order;  // of a complete one
  };

  StateStore(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string PathOf(uint64_t generation) const;
  std::string NewPath() const { return path_ + "/new"; }
  // Generations of the files that are there, oldest first.
  std::vector<uint64_t> Generations() const;
  void PutAside(uint64_t generation, const Status& why);
  // Whether completing the base by what was touched gives the VIPs in their order.
  bool KeepsOrder(const model::Config& config) const;
  void RemoveOld();

  std::string path_;
  UniqueFd lock_;
  std::vector<std::string> problems_;
  std::optional<Prepared> prepared_;
  std::map<uint64_t, uint64_t> bases_;     // of each revision that is there
  uint64_t base_ = 0;                      // the latest complete one that was written
  std::vector<model::VipKey> base_order_;  // its VIPs
  std::set<model::VipKey> since_base_;     // VIPs that were touched since
};

}  // namespace lb::config
