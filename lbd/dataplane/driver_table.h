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
  std::string_view driver;      // as ethtool -i says it
  KernelVersion native;         // native XDP with XDP_TX
  KernelVersion zero_copy;      // AF_XDP without copies
  std::string_view note;        // what to know about it
  bool half_of_queues = false;  // XDP takes as many queues as the stack has
};

// Beside each driver stand its sources: commits of the mainline kernel (native XDP, and XDP_TX
// where that came by another; then AF_XDP, and frames of several buffers), and what of the driver's
// sources the note is from. The versions are those of the table "Driver support" of docs.ebpf.io,
// but for XDP_TX of fec and AF_XDP of virtio_net, which it has too early. The MTUs are worked out
// from the sources of recent kernels, for pages of 4 KiB on x86; the table "Max MTU" of
// docs.ebpf.io has the same, and is all that is behind sfc's. Vendors' kernels may have more.
std::span<const DriverSupport> KnownDrivers();
// nullptr: not in the table.
const DriverSupport* FindDriver(std::string_view driver);

}  // namespace lb::dataplane
