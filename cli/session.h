// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <istream>
#include <nlohmann/json_fwd.hpp>
#include <ostream>

#include "cli/client.h"

namespace lb::cli {

enum class Format { kTable, kJson, kYaml };

// Where a run of lbctl reads and writes.
struct Io {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool colour = false;    // `out` is a terminal that wants colours
  bool terminal = false;  // `out` is one whose last line can be written anew
};

// What every command works with.
struct Session {
  Client& client;
  const Io& io;
  Format format = Format::kTable;
  bool wide = false;   // tables with more columns
  bool names = false;  // of lists, only what the next command takes

  // Prints `message` or `value` for scripts and returns true, unless a table is wanted.
  bool PrintForScript(const google::protobuf::Message& message) const;
  bool PrintForScript(const nlohmann::ordered_json& value) const;
};

}  // namespace lb::cli
