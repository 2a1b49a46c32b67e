// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/driver_table.h"

#include <algorithm>
#include <charconv>

namespace lb::dataplane {
namespace {

constexpr KernelVersion kNever{};

constexpr DriverSupport kDrivers[] = {
    {"atlantic", {5, 19}, kNever, ""},
    {"bnxt_en", {4, 11}, kNever, "MTU up to 3500 with XDP before 5.19"},
    {"bonding", {5, 15}, kNever, "its ports need native XDP too"},
    {"dpaa2-eth", {5, 0}, {6, 2}, ""},
    {"e1000", kNever, kNever, ""},
    {"e1000e", kNever, kNever, ""},
    {"ena", {5, 6}, kNever, "half of the queues at most: ethtool -L DEV combined N/2"},
    {"fec", {6, 2}, kNever, ""},
    {"fsl_enetc", {5, 13}, kNever, ""},
    {"gve", {6, 4}, {6, 4}, "half of the queues at most"},
    {"hv_netvsc", {5, 6}, kNever, ""},
    {"i40e", {4, 13}, {4, 20}, "MTU up to 3046 with XDP before 6.4"},
    {"ice", {5, 5}, {5, 5}, "MTU up to 3046 with XDP before 6.3"},
    {"igb", {5, 10}, {6, 14}, ""},
    {"igc", {5, 13}, {5, 14}, ""},
    {"ixgbe", {4, 12}, {4, 20}, "MTU up to 3046 with XDP"},
    {"ixgbevf", {4, 17}, kNever, ""},
    {"mana", {5, 17}, kNever, ""},
    {"mlx4_en", {4, 8}, kNever, "MTU up to 3498 with XDP"},
    {"mlx5_core", {4, 9}, {5, 3}, "MTU up to 3498 with XDP before 6.3"},
    {"mvneta", {5, 5}, kNever, ""},
    {"mvpp2", {5, 9}, kNever, ""},
    {"nfp", {4, 10}, {5, 18}, ""},
    {"qede", {4, 10}, kNever, ""},
    {"r8169", kNever, kNever, ""},
    {"sfc", {5, 5}, kNever, ""},
    {"stmmac", {5, 13}, {5, 13}, ""},
    {"tg3", kNever, kNever, ""},
    {"tun", {4, 14}, kNever, ""},
    {"veth", {4, 19}, kNever, "XDP_TX needs an XDP program, or GRO, on the peer"},
    {"virtio_net", {4, 10}, {6, 11}, "a queue per CPU more; LRO (guest TSO) off"},
    {"vmxnet3", {6, 6}, kNever, "LRO off"},
    {"xen-netfront", {5, 9}, kNever, ""},
};

}  // namespace

KernelVersion ParseKernelVersion(std::string_view release) {
  KernelVersion version;
  const char* end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return {};
  const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
  return minor.ec == std::errc() ? version : KernelVersion{};
}

std::span<const DriverSupport> KnownDrivers() { return kDrivers; }

const DriverSupport* FindDriver(std::string_view driver) {
  const auto it = std::ranges::find(kDrivers, driver, &DriverSupport::driver);
  return it == std::end(kDrivers) ? nullptr : it;
}

}  // namespace lb::dataplane
