// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/pin_directory.h"
#include "lbd/dataplane/xdp_hook.h"

namespace lb::dataplane {

// A slot of the program array by which the root program of an interface calls others. The array and
// the program in the slot are pinned, too, so that the next process knows which slot is ours.
class ChainSlot : public XdpHook {
 public:
  // Puts a program into the slot that `chain` names for the interface. FAILED_PRECONDITION where
  // that holds another program, NOT_FOUND where there is no such array.
  static StatusOr<std::unique_ptr<ChainSlot>> Attach(const std::string& interface,
                                                     const model::Chain& chain, int program_fd,
                                                     const PinDirectory& pins);
  // The slot that an earlier process filled; NOT_FOUND where there is none.
  static StatusOr<std::unique_ptr<ChainSlot>> Open(const std::string& interface,
                                                   const PinDirectory& pins);

  model::AttachMode attach() const override { return model::AttachMode::kChained; }
  bool Fits(const model::Settings& settings, const InterfaceInfo& info) const override;
  uint32_t program_id() const override;
  std::string Problem() const override;
  Status Replace(int program_fd, int expected_fd = -1) override;
  Status Detach() override;
  Status Reattach(int program_fd) override;

 private:
  ChainSlot(std::string interface, const PinDirectory& pins);

  // The id of the program in a slot; 0: none.
  uint32_t IdAt(uint32_t position) const;
  // Whether a program id is that of one of the pinned programs.
  bool IsOurs(uint32_t program_id) const;
  // Pins program and array, and fills the slot.
  Status Fill(int program_fd);

  std::string interface_;
  std::string array_pin_;
  std::string program_pin_;
  std::string new_program_pin_;  // while the slot changes
  UniqueFd array_;
  uint32_t position_ = 0;
};

}  // namespace lb::dataplane
