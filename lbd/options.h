// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace lb {

// What the command line says. Everything about the service itself is in the configuration document.
struct Options {
  std::string config_file;  // empty: start without a configuration
  std::string listen;       // "unix:/run/lbd/lbd.sock"
  std::string pin_path;     // a directory on a bpffs
};

}  // namespace lb
