// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "lbd/dataplane/pin_directory.h"
#include "lbd/dataplane/xdp_hook.h"

namespace lb::dataplane {

// A program among those that libxdp's dispatcher calls on an interface. libxdp pins what keeps them
// attached (below LIBXDP_BPFFS, or /sys/fs/bpf); our program is pinned, too, so that the next
// process knows which one is ours.
class DispatcherHook : public XdpHook {
 public:
  // Adds a program (one with a priority) to the interface's dispatcher, which is made where there
  // is none. FAILED_PRECONDITION where another kind of program is attached, or the kernel cannot.
  static StatusOr<std::unique_ptr<DispatcherHook>> Attach(const InterfaceInfo& info,
                                                          model::XdpMode mode, int program_fd,
                                                          const PinDirectory& pins);
  // What an earlier process added; NOT_FOUND where that is nothing. Only looks.
  static StatusOr<std::unique_ptr<DispatcherHook>> Open(const std::string& interface,
                                                        const PinDirectory& pins);

  model::AttachMode attach() const override { return model::AttachMode::kDispatcher; }
  bool Fits(const model::Settings& settings, const InterfaceInfo& info) const override;
  uint32_t program_id() const override;
  std::string Problem() const override;
  // For a moment both programs are there; whichever comes first serves.
  Status Replace(int program_fd, int expected_fd = -1) override;
  Status Detach() override;
  Status Reattach(int program_fd) override;

 private:
  DispatcherHook(std::string interface, const PinDirectory& pins);

  // Adds a program to those of the dispatcher and pins it at `pin`.
  Status Add(const InterfaceInfo& info, model::XdpMode mode, int program_fd,
             const std::string& pin);
  // Takes the program that is pinned at `pin` out of the dispatcher and removes the pin.
  Status Remove(const std::string& pin);

  std::string interface_;
  std::string pin_;
  std::string next_pin_;                           // while one program comes in place of another
  model::XdpMode mode_ = model::XdpMode::kNative;  // when it was detached
  // What program_id() found, and under which dispatcher: looking takes a millisecond.
  mutable uint32_t known_dispatcher_ = 0;
  mutable uint32_t known_program_ = 0;
};

}  // namespace lb::dataplane
