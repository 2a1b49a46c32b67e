// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/dispatcher_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/bpf_info.h"
#include "lbd/dataplane/program.h"

namespace lb::dataplane {
namespace {

struct CloseProgram {
  void operator()(xdp_program* program) const { xdp_program__close(program); }
};
using XdpProgram = std::unique_ptr<xdp_program, CloseProgram>;

struct CloseDispatcher {
  void operator()(xdp_multiprog* dispatcher) const { xdp_multiprog__close(dispatcher); }
};
using Dispatcher = std::unique_ptr<xdp_multiprog, CloseDispatcher>;

// What libxdp warned of last, on this thread: its reason, where its error number says little.
thread_local std::string last_warning;

int Note(libxdp_print_level level, const char* format, va_list arguments) {
  if (level != LIBXDP_WARN) return 0;
  char text[512];
  vsnprintf(text, sizeof(text), format, arguments);
  last_warning = text;
  while (!last_warning.empty() && last_warning.back() == '\n') last_warning.pop_back();
  return 0;
}

StatusOr<XdpProgram> FromFd(int fd) {
  xdp_program* program = xdp_program__from_fd(fd);
  if (const long error = libxdp_get_error(program); error != 0) {
    return ErrnoStatus(static_cast<int>(-error), "hand the program to libxdp");
  }
  return XdpProgram(program);
}

Dispatcher DispatcherOf(int ifindex) {
  xdp_multiprog* dispatcher = xdp_multiprog__get_from_ifindex(ifindex);
  return Dispatcher(libxdp_get_error(dispatcher) != 0 ? nullptr : dispatcher);
}

bool Calls(const Dispatcher& dispatcher, uint32_t program_id) {
  if (dispatcher == nullptr || xdp_multiprog__is_legacy(dispatcher.get())) return false;
  const xdp_program* program = nullptr;
  while ((program = xdp_multiprog__next_prog(program, dispatcher.get())) != nullptr) {
    if (xdp_program__id(program) == program_id) return true;
  }
  return false;
}

xdp_attach_mode ModeOf(const InterfaceInfo& info) {
  return info.xdp_attached == XdpAttached::kGeneric ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

Status AttachError(int error, const InterfaceInfo& info) {
  const std::string what = fmt::format("add to the dispatcher of {}", info.name);
  const std::string why = last_warning.empty() ? "" : fmt::format(" ({})", last_warning);
  switch (error) {
    case EBUSY:
    case EEXIST:
      return FailedPrecondition(
          fmt::format("{}: an XDP program without a dispatcher is attached (id {}; see: bpftool "
                      "prog show id {}){}",
                      what, info.xdp_program_id, info.xdp_program_id, why));
    case ENOENT:
      return FailedPrecondition(fmt::format(
          "{}: libxdp has no dispatcher; install xdp-dispatcher.o (Debian: libxdp1){}", what, why));
    case EOPNOTSUPP:
      return FailedPrecondition(fmt::format(
          "{}: the kernel or the driver cannot{}; see attach: direct and xdp_mode", what, why));
    case EINVAL:
      return FailedPrecondition(fmt::format(
          "{}: refused{}; kernels from 6.12.25 and 6.13 on need a dispatcher of xdp-tools newer "
          "than May 2025",
          what, why));
    default:
      return ErrnoStatus(error, what + why);
  }
}

}  // namespace

DispatcherHook::DispatcherHook(std::string interface, const PinDirectory& pins)
    : interface_(std::move(interface)),
      pin_(pins.DispatchedProgramPath(interface_)),
      next_pin_(pins.NextDispatchedProgramPath(interface_)) {
  libxdp_set_print(Note);
}

StatusOr<std::unique_ptr<DispatcherHook>> DispatcherHook::Attach(const InterfaceInfo& info,
                                                                 model::XdpMode mode,
                                                                 int program_fd,
                                                                 const PinDirectory& pins) {
  std::unique_ptr<DispatcherHook> hook(new DispatcherHook(info.name, pins));
  LB_RETURN_IF_ERROR(hook->Add(info, mode, program_fd, hook->pin_));
  return hook;
}

StatusOr<std::unique_ptr<DispatcherHook>> DispatcherHook::Open(const std::string& interface,
                                                               const PinDirectory& pins) {
  std::unique_ptr<DispatcherHook> hook(new DispatcherHook(interface, pins));
  const UniqueFd program(bpf_obj_get(hook->pin_.c_str()));
  if (!program.valid()) return ErrnoStatus(errno, "open " + hook->pin_);
  return hook;
}

Status DispatcherHook::Add(const InterfaceInfo& info, model::XdpMode mode, int program_fd,
                           const std::string& pin) {
  LB_RETURN_IF_ERROR(CheckMayOpenByIds());
  LB_ASSIGN_OR_RETURN(const XdpProgram program, FromFd(program_fd));
  // All programs of a dispatcher run in the mode of the first one.
  const bool first = info.xdp_attached == XdpAttached::kNone;
  xdp_attach_mode wanted = mode == model::XdpMode::kGeneric ? XDP_MODE_SKB : XDP_MODE_NATIVE;
  if (!first && mode == model::XdpMode::kAuto) wanted = ModeOf(info);
  last_warning.clear();
  int error = xdp_program__attach(program.get(), info.index, wanted, 0);
  if (error == -EOPNOTSUPP && first && mode == model::XdpMode::kAuto) {
    last_warning.clear();
    wanted = XDP_MODE_SKB;
    error = xdp_program__attach(program.get(), info.index, wanted, 0);
  }
  if (error != 0) return AttachError(-error, info);
  unlink(pin.c_str());
  if (bpf_obj_pin(program_fd, pin.c_str()) != 0) {
    const int pin_error = errno;
    (void)xdp_program__detach(program.get(), info.index, wanted, 0);
    return ErrnoStatus(pin_error, "pin " + pin);
  }
  known_dispatcher_ = 0;
  return OkStatus();
}

Status DispatcherHook::Remove(const std::string& pin) {
  known_dispatcher_ = 0;
  LB_RETURN_IF_ERROR(CheckMayOpenByIds());
  const UniqueFd fd(bpf_obj_get(pin.c_str()));
  if (!fd.valid()) return errno == ENOENT ? OkStatus() : ErrnoStatus(errno, "open " + pin);
  const auto info = GetInterface(interface_);
  if (info.ok() && Calls(DispatcherOf(info->index), ProgramInfo(fd.get()).id)) {
    LB_ASSIGN_OR_RETURN(const XdpProgram program, FromFd(fd.get()));
    last_warning.clear();
    if (const int error = xdp_program__detach(program.get(), info->index, ModeOf(*info), 0);
        error != 0) {
      return ErrnoStatus(-error, fmt::format("take the program out of the dispatcher of {} ({})",
                                             interface_, last_warning));
    }
  }
  if (unlink(pin.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "remove " + pin);
  return OkStatus();
}

bool DispatcherHook::Fits(const model::Settings& settings, const InterfaceInfo& info) const {
  return settings.attach == model::AttachMode::kDispatcher &&
         (settings.xdp_mode == model::XdpMode::kAuto ||
          (settings.xdp_mode == model::XdpMode::kGeneric) ==
              (info.xdp_attached == XdpAttached::kGeneric));
}

uint32_t DispatcherHook::program_id() const {
  const auto info = GetInterface(interface_);
  if (!info.ok() || info->xdp_program_id == 0) return 0;
  if (known_dispatcher_ != info->xdp_program_id) {
    const UniqueFd program(bpf_obj_get(pin_.c_str()));
    const uint32_t id = ProgramInfo(program.get()).id;
    known_program_ = id != 0 && Calls(DispatcherOf(info->index), id) ? id : 0;
    known_dispatcher_ = info->xdp_program_id;
  }
  return known_program_;
}

std::string DispatcherHook::Problem() const {
  return program_id() != 0 ? "" : "its dispatcher does not call lbd; the program is added again";
}

Status DispatcherHook::Replace(int program_fd, int expected_fd) {
  if (expected_fd >= 0 && program_id() != ProgramInfo(expected_fd).id) {
    return FailedPrecondition(
        fmt::format("{}: its dispatcher calls another program of lbd", interface_));
  }
  LB_ASSIGN_OR_RETURN(const InterfaceInfo info, GetInterface(interface_));
  // An earlier process that ended in the middle of a change left two.
  LB_RETURN_IF_ERROR(Remove(next_pin_));
  LB_RETURN_IF_ERROR(Add(info, model::XdpMode::kAuto, program_fd, next_pin_));
  if (const Status status = Remove(pin_); !status.ok()) {
    (void)Remove(next_pin_);
    return status;
  }
  if (rename(next_pin_.c_str(), pin_.c_str()) != 0) {
    return ErrnoStatus(errno, "rename " + next_pin_);
  }
  return OkStatus();
}

Status DispatcherHook::Detach() {
  if (const auto info = GetInterface(interface_); info.ok()) {
    mode_ = info->xdp_attached == XdpAttached::kGeneric ? model::XdpMode::kGeneric
                                                        : model::XdpMode::kNative;
  }
  LB_RETURN_IF_ERROR(Remove(next_pin_));
  return Remove(pin_);
}

Status DispatcherHook::Reattach(int program_fd) {
  LB_ASSIGN_OR_RETURN(const InterfaceInfo info, GetInterface(interface_));
  return Add(info, mode_, program_fd, pin_);
}

}  // namespace lb::dataplane
