// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

// What a command does.
using Action = std::function<Status(const Session&)>;

// Whether who looks again and again should go on after `status`: lbd does not answer, as while it
// restarts.
bool MayAnswerAgain(const Status& status);

// Shows what `look` prints, again and again and on a page of its own each time, until `pause`
// between two looks returns false or nobody reads. While lbd does not answer, the last page stays
// and says so. Ends with the error of the first look, and with any that lbd itself gives.
Status Watch(const Session& session, const Action& look, const std::function<bool()>& pause);

}  // namespace lb::cli
