// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

// What lbctl returns to the shell.
enum ExitCode : int {
  kDone = 0,
  kRefused = 1,        // lbd, or the check of the document, said no: the message says why
  kUsage = 2,          // the command line is wrong
  kUnreachable = 3,    // no lbd answers
  kOther = 4,          // anything else: an unreadable file, an internal error of lbd
  kInterrupted = 130,  // by Ctrl-C, as shells count signals
};

ExitCode ToExitCode(const Status& status);

// lbctl. Results go to io.out, errors to io.err.
int Run(int argc, const char* const* argv, const Io& io);

}  // namespace lb::cli
