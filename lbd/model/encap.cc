// SPDX-License-Identifier: Apache-2.0
#include "lbd/model/encap.h"

namespace lb::model {

std::string_view ToString(Encap encap) {
  switch (encap) {
    case Encap::kIpIp:
      return "ipip";
    case Encap::kGue:
      return "gue";
    case Encap::kGre:
      return "gre";
    case Encap::kL2:
      return "l2";
  }
  return "?";
}

int EncapOverhead(Encap encap, bool real_is_v4) {
  const int ip = real_is_v4 ? 20 : 40;
  switch (encap) {
    case Encap::kIpIp:
      return ip;
    case Encap::kGue:
      return ip + 8;
    case Encap::kGre:
      return ip + 4;
    case Encap::kL2:
      return 0;
  }
  return 0;
}

}  // namespace lb::model
