// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/driver_table.h"

#include <algorithm>
#include <charconv>

namespace lb::dataplane {
namespace {

constexpr KernelVersion kNever{};
constexpr std::string_view kNoRoom =
    "MTU up to 1500 with XDP: full packets find no room for an outer header";

constexpr DriverSupport kDrivers[] = {
    // 0d14657f4083; aq_xdp_setup()
    {"atlantic", {5, 19}, kNever, "MTU up to 2048 with XDP, more with packets.multi_buffer"},
    // c6d30e8391b8, 38413406277f; several buffers: 9f4b28301ce6; BNXT_MAX_PAGE_MODE_MTU
    {"bnxt_en", {4, 11}, kNever, "MTU up to 3502, since 5.19 more with packets.multi_buffer"},
    // 9e2ee5c7e7c3
    {"bonding", {5, 15}, kNever, "its ports need native XDP too"},
    {"e1000", kNever, kNever, ""},
    {"e1000e", kNever, kNever, ""},
    // 838c93dc5449, 548c4940b9f1; ena_xdp_allowed(), ENA_XDP_MAX_MTU
    {"ena",
     {5, 6},
     kNever,
     "MTU up to 3498, and half of the queues at most: ethtool -L DEV combined N/2",
     /*half_of_queues=*/true},
    // 6d6b39f180b8 in 6.2, XDP_TX: f601899e4321
    {"fec", {6, 6}, kNever, ""},
    // 7e273a8ebdd3; AF_XDP: 48276c08cf5d
    {"fsl_dpaa2_eth", {5, 0}, {6, 2}, ""},
    // d1b15102dd16, 7ed2bc80074e
    {"fsl_enetc", {5, 13}, kNever, ""},
    // 75eaae158b1b; AF_XDP: fd8e40321a12; verify_xdp_configuration()
    {"gve",
     {6, 4},
     {6, 4},
     "MTU up to 2032, and half of the queues at most",
     /*half_of_queues=*/true},
    // 351e1581395f; netvsc_xdp_set()
    {"hv_netvsc",
     {5, 6},
     kNever,
     "MTU up to 3506, and no XDP while LRO is on: ethtool -K DEV lro off"},
    // 0c8493d90b6b, 74608d17fe29; AF_XDP: 0a714186d3c0; several buffers: e213ced19bef;
    // i40e_max_vsi_frame_size()
    {"i40e", {4, 13}, {4, 20}, "MTU up to 3046, since 6.4 more with packets.multi_buffer"},
    // efc2214b6047; AF_XDP: 2d4238f55697; several buffers: 2fba7dc5157b;
    // ice_max_xdp_frame_size()
    {"ice", {5, 5}, {5, 5}, "MTU up to 3046, since 6.3 more with packets.multi_buffer"},
    // 9cbc948b5a20; AF_XDP: 80f6ccf9f116; igb_xdp_setup()
    {"igb", {5, 10}, {6, 14}, "MTU up to 3046 with XDP"},
    // 26575105d6ed, 73f1071c1d29; AF_XDP: fc9df2a0b520; igc_xdp_set_prog()
    {"igc", {5, 13}, {5, 14}, kNoRoom},
    // 180e35cdf035; IONIC_XDP_MAX_LINEAR_MTU
    {"ionic", {6, 9}, kNever, "MTU up to 3502 with XDP, more with packets.multi_buffer"},
    // 924708081629, 33fdc82f0883; AF_XDP: d0bcacd0a130; MTU: ccca88ea478f;
    // ixgbe_max_xdp_frame_size()
    {"ixgbe", {4, 12}, {4, 20}, "MTU up to 3046 with XDP"},
    // c7aec59657b6, 21092e9ce8b1; ixgbevf_xdp_setup()
    {"ixgbevf", {4, 17}, kNever, "MTU up to 3050 with XDP"},
    // ed5356b53f07; MANA_XDP_MTU_MAX
    {"mana", {5, 17}, kNever, "MTU up to 3506 with XDP"},
    // 47a38e155037, 9ecc2d86171a; MLX4_EN_MAX_XDP_MTU
    {"mlx4_en", {4, 8}, kNever, "MTU up to 3498 with XDP"},
    // 86994156c736, b5503b994ed5; AF_XDP: db05815b36cb; several buffers: f52ac7028bec;
    // mlx5e_xdp_max_mtu()
    {"mlx5_core", {4, 9}, {5, 3}, "MTU up to 3498, since 6.4 more with packets.multi_buffer"},
    // 0db51da7a8e9, b0a43db9087a; several buffers: e121d27083e3; MVNETA_MAX_RX_BUF_SIZE
    {"mvneta", {5, 5}, kNever, "MTU up to 3520, since 5.18 more with packets.multi_buffer"},
    // 07dd0a7aae7f, c2d6fe6163de; MVPP2_MAX_RX_BUF_SIZE
    {"mvpp2", {5, 9}, kNever, "MTU up to 3552 with XDP"},
    // ecd63a0217d5; AF_XDP: 6402528b7a0b
    {"nfp", {4, 10}, {5, 18}, ""},
    // 496e05170958
    {"qede", {4, 10}, kNever, ""},
    {"r8169", kNever, kNever, ""},
    // e45a4fed9d00, dfe44c1f52ee; efx_xdp_max_mtu(): a card's prefix and padding count, too
    {"sfc", {5, 5}, kNever, "MTU up to about 3508 with XDP"},
    // Of the module stmmac: 5fabb01207a2, be8b38a722e6; AF_XDP: bba2556efad6; stmmac_xdp_set_prog()
    {"st_gmac", {5, 13}, {5, 13}, kNoRoom},
    {"st_xgmac", {5, 13}, {5, 13}, kNoRoom},
    {"tg3", kNever, kNever, ""},
    // 761876c857cb
    {"tun", {4, 14}, kNever, kNoRoom},
    // 948d4f214fde, d1396004dd86
    {"veth", {4, 19}, kNever, "XDP_TX needs an XDP program, or GRO, on the peer"},
    // Of the module xen-netfront: 6c5aa6fc4def; xennet_xdp_set()
    {"vif", {5, 9}, kNever, "MTU up to 3840 with XDP"},
    // f600b6905015; AF_XDP: 37e0ca657a3d, as only that announces it; virtnet_xdp_set()
    {"virtio_net",
     {4, 10},
     {6, 13},
     "a queue more per CPU saves a lock; MTU up to 3506, since 6.3 more with multi_buffer"},
    // 54f00cce1178; VMXNET3_XDP_MAX_MTU
    {"vmxnet3", {6, 6}, kNever, "MTU up to 3494 with XDP; turns LRO off"},
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
