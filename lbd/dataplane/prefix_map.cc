// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/prefix_map.h"

#include <bpf/bpf.h>

#include <cerrno>

namespace lb::dataplane {

StatusOr<PrefixMap> PrefixMap::Create(const std::string& name, uint32_t key_bytes,
                                      uint32_t value_bytes, uint32_t max_entries) {
  LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
  PrefixMap map;
  map.name_ = name;
  map.fd_.reset(bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, name.c_str(), key_bytes, value_bytes,
                               max_entries, &opts));
  if (!map.fd_.valid()) return ErrnoStatus(errno, "create BPF map " + name);
  return map;
}

Status PrefixMap::PutBytes(const void* key, const void* value) const {
  if (bpf_map_update_elem(fd_.get(), key, value, BPF_ANY) == 0) return OkStatus();
  if (errno == ENOSPC || errno == E2BIG) return ResourceExhausted("BPF map " + name_ + " is full");
  return ErrnoStatus(errno, "write to BPF map " + name_);
}

void PrefixMap::RemoveBytes(const void* key) const { bpf_map_delete_elem(fd_.get(), key); }

}  // namespace lb::dataplane
