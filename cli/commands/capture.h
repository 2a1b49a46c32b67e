// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.h"
#include "lbd/base/status.h"

namespace lb::cli {

// What follows "lbctl capture".
struct CaptureArguments {
  std::string file;  // pcapng; "-" is the standard output, empty: text
  std::string vip;
  std::string real;
  std::vector<std::string> verdicts;
  std::string prefix;
  std::optional<uint32_t> port;
  std::string source;       // of one flow, with:
  std::string destination;  // "203.0.113.10:443/tcp"
  std::optional<uint32_t> every;
  std::optional<uint32_t> rate;
  std::optional<uint32_t> snap;
  std::optional<uint32_t> count;
  std::optional<uint32_t> seconds;
};

Status Capture(const Session& session, const CaptureArguments& arguments);

}  // namespace lb::cli
