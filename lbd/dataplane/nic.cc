// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/nic.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "lbd/base/unique_fd.h"

namespace lb::dataplane {
namespace {

class Ethtool {
 public:
  explicit Ethtool(const std::string& interface)
      : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), interface_(interface) {}

  bool Ask(void* command) const {
    ifreq request{};
    std::strncpy(request.ifr_name, interface_.c_str(), IFNAMSIZ - 1);
    request.ifr_data = static_cast<char*>(command);
    return ioctl(fd_.get(), SIOCETHTOOL, &request) == 0;
  }

  std::map<std::string, bool> Features() const {
    // The count, then the names, then the values.
    std::vector<uint64_t> info_buffer(sizeof(ethtool_sset_info) / sizeof(uint64_t) + 1);
    auto* info = reinterpret_cast<ethtool_sset_info*>(info_buffer.data());
    info->cmd = ETHTOOL_GSSET_INFO;
    info->sset_mask = 1ull << ETH_SS_FEATURES;
    if (!Ask(info) || info->sset_mask == 0) return {};
    const uint32_t count = info->data[0];
    std::vector<uint8_t> names_buffer(sizeof(ethtool_gstrings) + count * ETH_GSTRING_LEN);
    auto* names = reinterpret_cast<ethtool_gstrings*>(names_buffer.data());
    names->cmd = ETHTOOL_GSTRINGS;
    names->string_set = ETH_SS_FEATURES;
    names->len = count;
    const uint32_t blocks = (count + 31) / 32;
    std::vector<uint8_t> values_buffer(sizeof(ethtool_gfeatures) +
                                       blocks * sizeof(ethtool_get_features_block));
    auto* values = reinterpret_cast<ethtool_gfeatures*>(values_buffer.data());
    values->cmd = ETHTOOL_GFEATURES;
    values->size = blocks;
    if (!Ask(names) || !Ask(values)) return {};
    std::map<std::string, bool> features;
    for (uint32_t i = 0; i < count; ++i) {
      const char* name = reinterpret_cast<const char*>(names->data + i * ETH_GSTRING_LEN);
      features[std::string(name, strnlen(name, ETH_GSTRING_LEN))] =
          (values->features[i / 32].active >> (i % 32) & 1) != 0;
    }
    return features;
  }

 private:
  UniqueFd fd_;
  std::string interface_;
};

}  // namespace

Nic ReadNic(const std::string& interface) {
  const Ethtool ethtool(interface);
  Nic nic;
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  if (ethtool.Ask(&driver)) nic.driver = driver.driver;
  nic.features = ethtool.Features();
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (ethtool.Ask(&channels)) {
    nic.rx_queues = channels.combined_count + channels.rx_count;
    nic.max_queues = std::max(channels.max_combined, channels.max_rx);
    nic.combined = channels.max_combined > 0;
  }
  ethtool_ringparam ring{};
  ring.cmd = ETHTOOL_GRINGPARAM;
  if (ethtool.Ask(&ring) && ring.rx_max_pending > 0) {
    nic.rx_ring = ring.rx_pending;
    nic.max_rx_ring = ring.rx_max_pending;
  }
  return nic;
}

}  // namespace lb::dataplane
