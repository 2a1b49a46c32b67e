// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace lb::cli {

// Examples of a command ("vip add") or of all verbs of a noun ("vip"), one a line, for its help and
// manual; empty: it has none.
std::string ExamplesOf(std::string_view command);

}  // namespace lb::cli
