// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/mapped_array.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

namespace lb::dataplane {

MappedArray::MappedArray(MappedArray&& other) noexcept
    : name_(std::move(other.name_)),
      fd_(std::move(other.fd_)),
      address_(std::exchange(other.address_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

MappedArray& MappedArray::operator=(MappedArray&& other) noexcept {
  if (this != &other) {
    Unmap();
    name_ = std::move(other.name_);
    fd_ = std::move(other.fd_);
    address_ = std::exchange(other.address_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

MappedArray::~MappedArray() { Unmap(); }

void MappedArray::Unmap() {
  if (address_ != nullptr) munmap(address_, bytes_);
}

StatusOr<MappedArray> MappedArray::Create(const std::string& name, size_t bytes) {
  LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
  MappedArray array;
  array.name_ = name;
  array.fd_.reset(
      bpf_map_create(BPF_MAP_TYPE_ARRAY, name.c_str(), sizeof(uint32_t), bytes, 1, &opts));
  if (!array.fd_.valid()) {
    const int error = errno;
    const std::string what = fmt::format("create BPF map {} of {} bytes", name, bytes);
    if (error == EPERM) {
      return PermissionDenied(what +
                              ": Operation not permitted; run as root or with CAP_BPF, "
                              "CAP_PERFMON and CAP_NET_ADMIN");
    }
    if (error == E2BIG || error == ENOMEM) {
      return ResourceExhausted(what + ": the kernel refuses maps of this size; lower limits.*");
    }
    return ErrnoStatus(error, what);
  }
  LB_RETURN_IF_ERROR(array.Map(bytes));
  return array;
}

StatusOr<MappedArray> MappedArray::Open(UniqueFd fd) {
  MappedArray array;
  array.fd_ = std::move(fd);
  bpf_map_info info{};
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(array.fd_.get(), &info, &length) != 0) {
    return ErrnoStatus(errno, "ask for a BPF map");
  }
  if (info.type != BPF_MAP_TYPE_ARRAY || info.max_entries != 1 ||
      (info.map_flags & BPF_F_MMAPABLE) == 0) {
    return NotFound(fmt::format("BPF map {} is no mapped array", info.name));
  }
  array.name_ = info.name;
  LB_RETURN_IF_ERROR(array.Map(info.value_size));
  return array;
}

StatusOr<MappedArray> MappedArray::OpenAgain() const {
  MappedArray array;
  array.name_ = name_;
  array.fd_.reset(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!array.fd_.valid()) return ErrnoStatus(errno, fmt::format("open BPF map {}", name_));
  LB_RETURN_IF_ERROR(array.Map(bytes_));
  return array;
}

Status MappedArray::Map(size_t bytes) {
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (address == MAP_FAILED) return ErrnoStatus(errno, fmt::format("map BPF map {}", name_));
  address_ = address;
  bytes_ = bytes;
  return OkStatus();
}

}  // namespace lb::dataplane
