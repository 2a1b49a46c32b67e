// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lb/v1/diagnose.pb.h"

namespace lb::cli {

// The lbd of the same build or package as this lbctl, else that of PATH.
std::string FindLbd();

// What `lbd --doctor` finds on this host, for where none answers at `server`. `flags`: those of
// lbd; without any those of the unit lbd.service, where that lbd is meant.
v1::DoctorResponse ExamineHere(const std::string& lbd, const std::string& server,
                               std::vector<std::string> flags);

// The flags in what `systemctl show --property=ExecStart --value` prints of a unit.
std::vector<std::string> FlagsOfUnit(std::string_view exec_start);

}  // namespace lb::cli
