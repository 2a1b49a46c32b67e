// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"

namespace lb::dataplane {

// A BPF map that is searched for the longest matching prefix; memory is taken entry by entry.
// Move-only; thread-compatible.
class PrefixMap {
 public:
  PrefixMap() = default;
  static StatusOr<PrefixMap> Create(const std::string& name, uint32_t key_bytes,
                                    uint32_t value_bytes, uint32_t max_entries);

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }

  // Keys begin with their length in bits, as the kernel has it. A reader sees the entry before or
  // after, nothing between.
  template <typename Key, typename Value>
  Status Put(const Key& key, const Value& value) const {
    return PutBytes(&key, &value);
  }
  template <typename Key>
  void Remove(const Key& key) const {
    RemoveBytes(&key);
  }

 private:
  Status PutBytes(const void* key, const void* value) const;
  void RemoveBytes(const void* key) const;

  std::string name_;
  UniqueFd fd_;
};

}  // namespace lb::dataplane
