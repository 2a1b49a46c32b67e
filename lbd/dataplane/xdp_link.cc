// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/xdp_link.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <unistd.h>

#include <cerrno>

#include "lbd/dataplane/interface.h"

namespace lb::dataplane {
namespace {

std::optional<bpf_link_info> LinkInfo(int fd) {
  bpf_link_info info{};
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0 || info.type != BPF_LINK_TYPE_XDP) {
    return std::nullopt;
  }
  return info;
}

// Why the kernel refused, with the way out.
Status AttachError(int error, const std::string& interface, std::string_view mode) {
  const std::string what = fmt::format("attach to {} in {} mode", interface, mode);
  switch (error) {
    case EBUSY:
    case EEXIST: {
      const auto info = GetInterface(interface);
      const uint32_t id = info.ok() ? info->xdp_program_id : 0;
      return FailedPrecondition(
          fmt::format("{}: another XDP program is attached (id {}; see: bpftool prog show id {}); "
                      "remove it (ip link set dev {} xdp off), stop the program that owns it, or "
                      "share the interface by attach: dispatcher or chained",
                      what, id, id, interface));
    }
    case EOPNOTSUPP:
      return FailedPrecondition(
          fmt::format("{}: the driver does not support it; set xdp_mode to auto or generic, or "
                      "name what is below a VLAN device",
                      what));
    case EPERM:
      return PermissionDenied(fmt::format(
          "{}: Operation not permitted; run as root or with CAP_NET_ADMIN and CAP_BPF", what));
    default:
      return ErrnoStatus(error, what);
  }
}

}  // namespace

StatusOr<XdpLink> XdpLink::Attach(const std::string& interface, int ifindex, int program_fd,
                                  model::XdpMode mode, const std::string& pin) {
  LIBBPF_OPTS(bpf_link_create_opts, opts);
  opts.flags = mode == model::XdpMode::kGeneric ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
  UniqueFd fd(bpf_link_create(program_fd, ifindex, BPF_XDP, &opts));
  int error = errno;
  if (!fd.valid() && mode == model::XdpMode::kAuto && error != EBUSY && error != EEXIST) {
    opts.flags = XDP_FLAGS_SKB_MODE;
    fd.reset(bpf_link_create(program_fd, ifindex, BPF_XDP, &opts));
    error = errno;
  }
  if (!fd.valid()) {
    return AttachError(error, interface, opts.flags == XDP_FLAGS_SKB_MODE ? "generic" : "native");
  }
  if (bpf_obj_pin(fd.get(), pin.c_str()) != 0)
    return ErrnoStatus(errno, "pin the XDP link at " + pin);
  return XdpLink(std::move(fd), pin);
}

StatusOr<XdpLink> XdpLink::Open(const std::string& pin) {
  UniqueFd fd(bpf_obj_get(pin.c_str()));
  if (!fd.valid()) return ErrnoStatus(errno, "open the pinned XDP link " + pin);
  if (!LinkInfo(fd.get())) {
    return FailedPrecondition(fmt::format("{} is not an XDP link; remove it", pin));
  }
  return XdpLink(std::move(fd), pin);
}

StatusOr<std::optional<XdpLink>> XdpLink::Adopt(const std::string& pin, int ifindex) {
  auto link = Open(pin);
  if (link.status().code() == absl::StatusCode::kNotFound) return std::optional<XdpLink>();
  if (!link.ok()) return link.status();
  if (static_cast<int>(LinkInfo(link->fd_.get())->xdp.ifindex) != ifindex) {
    if (unlink(pin.c_str()) != 0) return ErrnoStatus(errno, "remove the dead XDP link " + pin);
    return std::optional<XdpLink>();
  }
  return std::optional<XdpLink>(*std::move(link));
}

Status XdpLink::Replace(int program_fd, int expected_fd) {
  LIBBPF_OPTS(bpf_link_update_opts, opts);
  if (expected_fd >= 0) {
    opts.flags = BPF_F_REPLACE;
    opts.old_prog_fd = expected_fd;
  }
  if (bpf_link_update(fd_.get(), program_fd, &opts) != 0) {
    return ErrnoStatus(errno, fmt::format("switch the program of {}", pin_));
  }
  return OkStatus();
}

bool XdpLink::Fits(const model::Settings& settings, const InterfaceInfo& info) const {
  return settings.attach == model::AttachMode::kDirect &&
         (settings.xdp_mode == model::XdpMode::kAuto ||
          (settings.xdp_mode == model::XdpMode::kGeneric) ==
              (info.xdp_attached == XdpAttached::kGeneric));
}

Status XdpLink::Detach() {
  detached_.reset();
  if (const auto link = LinkInfo(fd_.get()); link && link->xdp.ifindex != 0) {
    if (auto info = GetInterface(link->xdp.ifindex); info.ok()) detached_ = *std::move(info);
  }
  // ENOLINK and the like: the interface has gone, and the program with it.
  const bool detached = bpf_link_detach(fd_.get()) == 0;
  const int error = errno;
  const bool alive = !detached && program_id() != 0;
  if (unlink(pin_.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "remove " + pin_);
  fd_.reset();
  return alive ? ErrnoStatus(error, "detach " + pin_) : OkStatus();
}

Status XdpLink::Reattach(int program_fd) {
  if (!detached_) return FailedPrecondition(pin_ + " was not attached");
  LB_ASSIGN_OR_RETURN(
      *this, Attach(detached_->name, detached_->index, program_fd,
                    detached_->xdp_attached == XdpAttached::kGeneric ? model::XdpMode::kGeneric
                                                                     : model::XdpMode::kNative,
                    pin_));
  return OkStatus();
}

std::string XdpLink::Problem() const {
  return program_id() != 0 ? "" : "gone; the program is attached again when it comes back";
}

uint32_t XdpLink::program_id() const {
  const auto info = LinkInfo(fd_.get());
  return info && info->xdp.ifindex != 0 ? info->prog_id : 0;
}

}  // namespace lb::dataplane
