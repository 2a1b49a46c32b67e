// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lbd/dataplane/finding.h"

namespace lb::api {

// Whether the certificates in these PEM files are good now, and for how long.
std::vector<dataplane::Finding> ExamineCertificates(const std::vector<std::string>& files,
                                                    std::chrono::system_clock::time_point now);

}  // namespace lb::api
