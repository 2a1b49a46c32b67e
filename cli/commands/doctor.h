// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

struct DoctorArguments {
  bool all = false;                    // also what is well
  std::vector<std::string> lbd_flags;  // of an lbd of this host that does not run
};

// What the two ends make of each other, and of the host of lbd; where none answers on this host,
// what can be seen without it.
v1::DoctorResponse Examine(const Session& session, const std::vector<std::string>& lbd_flags);

// Shows what lbd finds wrong with its host, and what can be seen from here. An error where
// something fails.
Status Doctor(const Session& session, const DoctorArguments& arguments);

}  // namespace lb::cli
