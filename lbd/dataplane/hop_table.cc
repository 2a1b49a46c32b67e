// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/hop_table.h"

#include "lbd/dataplane/encode.h"

namespace lb::dataplane {

HopTable::HopTable(std::span<lb_next_hop> entries) : entries_(entries) {
  for (size_t i = entries.size() - 1; i > 0; --i) free_.push_back(i);
}

void HopTable::Assign(const std::map<IpAddress, NextHop>& hops) {
  index_of_real_.clear();
  direct_.clear();
  for (const auto& [real, hop] : hops) {
    const lb_next_hop entry = EncodeNextHop(hop);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&entry);
    const Content content(bytes, bytes + sizeof(entry));
    auto it = index_of_content_.find(content);
    if (it == index_of_content_.end()) {
      if (free_.empty()) continue;
      entries_[free_.back()] = entry;
      it = index_of_content_.emplace(content, free_.back()).first;
      free_.pop_back();
    }
    index_of_real_[real] = it->second;
    if (hop.via == real) direct_.insert(real);
  }
}

std::set<uint16_t> HopTable::Used() const {
  std::set<uint16_t> used;
  for (const auto& [real, index] : index_of_real_) used.insert(index);
  return used;
}

bool HopTable::HasUnused() const { return Used().size() < index_of_content_.size(); }

void HopTable::Collect() {
  const std::set<uint16_t> used = Used();
  std::erase_if(index_of_content_, [&](const auto& item) {
    if (used.contains(item.second)) return false;
    entries_[item.second] = {};
    free_.push_back(item.second);
    return true;
  });
}

uint16_t HopTable::IndexOf(const IpAddress& real, bool direct) const {
  if (direct && !direct_.contains(real)) return 0;
  const auto it = index_of_real_.find(real);
  return it == index_of_real_.end() ? 0 : it->second;
}

}  // namespace lb::dataplane
