// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"

namespace lb::dataplane {

// A BPF array map of one value that holds a whole table, mapped into this process. Move-only;
// thread-compatible. Readers in the kernel see each aligned store of up to 8 bytes at once.
class MappedArray {
 public:
  MappedArray() = default;
  MappedArray(MappedArray&& other) noexcept;
  MappedArray& operator=(MappedArray&& other) noexcept;
  ~MappedArray();

  // A new map, zeroed. `bytes` is positive.
  static StatusOr<MappedArray> Create(const std::string& name, size_t bytes);
  // A map that another program uses. NOT_FOUND where it is no such array.
  static StatusOr<MappedArray> Open(UniqueFd fd);
  // Another mapping of the same map, for another owner.
  StatusOr<MappedArray> OpenAgain() const;

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }
  size_t size_bytes() const { return bytes_; }

  template <typename T>
  std::span<T> as() const {
    return {static_cast<T*>(address_), bytes_ / sizeof(T)};
  }

 private:
  Status Map(size_t bytes);
  void Unmap();

  std::string name_;
  UniqueFd fd_;
  void* address_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace lb::dataplane
