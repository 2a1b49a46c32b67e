// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace lb::dataplane {

struct KernelVersion {
  int major = 0;
  int minor = 0;

  auto operator<=>(const KernelVersion&) const = default;
};

// "6.1.0-18-amd64" -> 6.1; 0.0 where it is no release.
KernelVersion ParseKernelVersion(std::string_view release);

// Since when a network driver of the mainline kernel has XDP. 0.0: it has not.
struct DriverSupport {
  std::string_view driver;
  KernelVersion native;     // native XDP with XDP_TX
  KernelVersion zero_copy;  // AF_XDP without copies
  std::string_view note;    // what to know about it
};

// `native` is as in the list of drivers of Cilium's "BPF and XDP Reference Guide" and, where that
// has the driver, in docs/kernel-versions.md of iovisor/bcc. `zero_copy` and the notes are what is
// known to the authors; they were not checked against each driver's source. Vendors' kernels may
// have more.
std::span<const DriverSupport> KnownDrivers();
// nullptr: not in the table.
const DriverSupport* FindDriver(std::string_view driver);

}  // namespace lb::dataplane
