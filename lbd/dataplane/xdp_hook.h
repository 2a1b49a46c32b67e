// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "lbd/base/status.h"
#include "lbd/dataplane/interface.h"
#include "lbd/model/config.h"

namespace lb::dataplane {

// Where the packets of one interface meet a program, by one of the ways of model::AttachMode. It is
// pinned, so that forwarding outlives the process. Thread-compatible.
class XdpHook {
 public:
  virtual ~XdpHook() = default;

  virtual model::AttachMode attach() const = 0;
  // Whether this is what `settings` ask for on an interface in this state.
  virtual bool Fits(const model::Settings& settings, const InterfaceInfo& info) const = 0;
  // The id of the program in force; 0 where that is none of ours.
  virtual uint32_t program_id() const = 0;
  // What keeps packets from the program, for people; empty: nothing.
  virtual std::string Problem() const = 0;

  // Switches to another program in one step. The program in force must be `expected_fd` unless that
  // is -1.
  virtual Status Replace(int program_fd, int expected_fd = -1) = 0;
  // Takes the program away and removes the pins.
  virtual Status Detach() = 0;
  // Puts a program where Detach() took one away.
  virtual Status Reattach(int program_fd) = 0;
};

}  // namespace lb::dataplane
