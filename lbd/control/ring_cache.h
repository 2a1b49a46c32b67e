// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "lbd/model/config.h"
#include "lbd/model/ring_builder.h"

namespace lb::control {

// Rings of VIPs, built once for equal input: a change of one VIP builds one ring, and VIPs with the
// same reals share theirs. Thread-compatible.
class RingCache {
 public:
  // The ring of `vip`: its active reals, the slots of the others lent to them; where none of them
  // is left, the standby reals. Reals that are `sick` are used in neither case.
  std::shared_ptr<const model::Ring> Get(const model::Vip& vip,
                                         const std::set<IpAddress>& sick = {});
  // Forgets the rings that nobody has any more, nor a ring that was made from them.
  void Trim();

 private:
  struct Member {
    IpAddress address;
    uint32_t weight;
    bool usable;
    bool standby;
    auto operator<=>(const Member&) const = default;
  };
  struct Input {
    model::RingScheme scheme;
    int bits;
    std::vector<Member> members;
    auto operator<=>(const Input&) const = default;
  };
  struct Entry {
    std::shared_ptr<const model::Ring> ring;
    std::shared_ptr<const model::Ring> primary;  // from which it was made; null: it is one
  };

  const Entry& Build(const Input& input);

  // A primary ring is that of its members all usable.
  std::map<Input, Entry> rings_;
};

}  // namespace lb::control
