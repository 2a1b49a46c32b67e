// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "lbd/api/acceptor.h"
#include "lbd/base/process.h"
#include "lbd/dataplane/finding.h"
#include "lbd/options.h"

namespace lb {

// Certificates and disk; also what a running lbd looks at of its options.
std::vector<dataplane::Finding> ExamineFiles(const Options& options);

// Who has what one lbd at a time may have.
struct Occupants {
  api::SocketPath socket = api::SocketPath::kFree;
  std::optional<Process> server;  // of the socket
  std::optional<Process> state;   // who has locked the state directory
  std::optional<Process> pins;    // and that of pins
};
std::vector<dataplane::Finding> ExamineOccupants(const Options& options,
                                                 const Occupants& occupants);

// Why an lbd with these options does not start, does not answer, or would not forward: all that can
// be seen without asking one. Only looks.
std::vector<dataplane::Finding> ExamineWithoutDaemon(const Options& options);

}  // namespace lb
