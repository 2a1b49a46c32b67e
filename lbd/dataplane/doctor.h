// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "lbd/dataplane/dataplane.h"
#include "lbd/dataplane/driver_table.h"
#include "lbd/dataplane/finding.h"
#include "lbd/dataplane/interface.h"
#include "lbd/dataplane/next_hop.h"
#include "lbd/dataplane/nic.h"
#include "lbd/model/config.h"

// What is looked at is separate from what is made of it, so that tests can bring any host about.
namespace lb::dataplane {

struct HostFacts {
  std::string kernel;   // release
  int bpf_jit = 1;      // net.core.bpf_jit_enable; -1: not known
  bool capable = true;  // CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON
  bool bpffs = true;    // where pins are
  std::string pin_path;
  uint32_t cpus = 1;
  bool clock_synchronised = true;
  uint64_t memlock_bytes = UINT64_MAX;
};
HostFacts ReadHostFacts(const std::string& pin_path);
std::vector<Finding> ExamineHost(const HostFacts& host);

// Bytes that an unprivileged process may still write to the file system of `directory`; UINT64_MAX
// where that is not known.
uint64_t FreeBytes(const std::string& directory);
// Of the state directory.
Finding ExamineDisk(const std::string& directory, uint64_t free_bytes);

struct InterfaceFacts {
  InterfaceInfo info;
  Nic nic;
  std::string peer_name;  // of a veth whose other end is in this network namespace
  Nic peer;
  uint32_t own_program = 0;       // the id of ours; 0: not attached, or not called
  std::set<uint32_t> irq_cpus;    // that take its interrupts; empty: not known
  std::set<uint32_t> local_cpus;  // of its node
  int rp_filter = 0;              // in force; 1: strict
  int numa_node = -1;
  int numa_nodes = 1;  // of the host
};
// `attachments`: lbd's, of all interfaces.
InterfaceFacts ReadInterfaceFacts(const InterfaceInfo& info,
                                  std::span<const Attachment> attachments);
std::vector<Finding> ExamineInterface(const InterfaceFacts& interface, const HostFacts& host,
                                      const model::Settings& settings);

// Whether full frames of clients (1500 bytes) fit on the way to each real, once encapsulated.
// `overheads`: the bytes by which packets to each real grow.
std::vector<Finding> ExamineNextHops(const std::vector<NextHopResult>& next_hops,
                                     const std::map<IpAddress, int>& overheads);

}  // namespace lb::dataplane
