// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/xdp_hook.h"
#include "lbd/model/config.h"

namespace lb::dataplane {

// A bpf_link that attaches an XDP program to an interface, pinned so that forwarding outlives the
// process. Move-only; thread-compatible.
class XdpLink : public XdpHook {
 public:
  // Attaches `program_fd`, and pins the link at `pin`, which must not exist.
  // FAILED_PRECONDITION where the interface has another XDP program, or the driver has no native
  // XDP and `mode` is native.
  static StatusOr<XdpLink> Attach(const std::string& interface, int ifindex, int program_fd,
                                  model::XdpMode mode, const std::string& pin);
  // The link that an earlier process pinned at `pin`; empty where there is none, or its interface
  // is gone or is not `ifindex` any more (the dead pin is removed then).
  static StatusOr<std::optional<XdpLink>> Adopt(const std::string& pin, int ifindex);

  // The link that is pinned at `pin`, whatever it is attached to.
  static StatusOr<XdpLink> Open(const std::string& pin);

  model::AttachMode attach() const override { return model::AttachMode::kDirect; }
  bool Fits(const model::Settings& settings, const InterfaceInfo& info) const override;
  // 0 where the interface is gone.
  uint32_t program_id() const override;
  std::string Problem() const override;
  Status Replace(int program_fd, int expected_fd = -1) override;
  Status Detach() override;
  Status Reattach(int program_fd) override;

 private:
  XdpLink(UniqueFd fd, std::string pin) : fd_(std::move(fd)), pin_(std::move(pin)) {}

  UniqueFd fd_;
  std::string pin_;
  std::optional<InterfaceInfo> detached_;  // what it was attached to, after Detach()
};

}  // namespace lb::dataplane
