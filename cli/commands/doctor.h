// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

struct DoctorArguments {
  bool all = false;  // also what is well
};

// Shows what lbd finds wrong with its host, and what can be seen from here. An error where
// something fails.
Status Doctor(const Session& session, const DoctorArguments& arguments);

}  // namespace lb::cli
