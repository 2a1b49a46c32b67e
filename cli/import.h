// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lb/v1/config.pb.h"
#include "lbd/base/status.h"

// Configurations of other load balancers as documents of lbd.
namespace lb::cli {

struct Imported {
  v1::Config config;
  std::vector<std::string> notes;  // what has no counterpart, with its line
};

// The output of "ipvsadm -Sn". INVALID_ARGUMENT with each line that is not such output.
StatusOr<Imported> ImportIpvs(std::string_view text);
// The output of Katran's client, "katran_goclient -l".
StatusOr<Imported> ImportKatran(std::string_view text);

}  // namespace lb::cli
