// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/chain_slot.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "lbd/dataplane/bpf_info.h"

namespace lb::dataplane {
namespace {

// True also where we may not look: without CAP_SYS_ADMIN.
bool UsesMap(uint32_t program_id, uint32_t map_id) {
  const UniqueFd program(bpf_prog_get_fd_by_id(program_id));
  if (!program.valid() && errno == EPERM) return true;
  const auto ids = MapIdsOf(program.get());
  return ids.ok() && std::ranges::find(*ids, map_id) != ids->end();
}

Status Pin(int fd, const std::string& path) {
  unlink(path.c_str());
  return bpf_obj_pin(fd, path.c_str()) == 0 ? OkStatus() : ErrnoStatus(errno, "pin " + path);
}

}  // namespace

ChainSlot::ChainSlot(std::string interface, const PinDirectory& pins)
    : interface_(std::move(interface)),
      array_pin_(pins.ChainPath(interface_)),
      program_pin_(pins.ChainedProgramPath(interface_)),
      new_program_pin_(program_pin_ + "_new") {}

StatusOr<std::unique_ptr<ChainSlot>> ChainSlot::Attach(const std::string& interface,
                                                       const model::Chain& chain, int program_fd,
                                                       const PinDirectory& pins) {
  std::unique_ptr<ChainSlot> slot(new ChainSlot(interface, pins));
  const std::string path = chain.PathFor(interface);
  slot->position_ = chain.position;
  slot->array_.reset(bpf_obj_get(path.c_str()));
  if (!slot->array_.valid()) {
    return ErrnoStatus(errno, fmt::format("chain.map: open the program array {} of {}'s root "
                                          "program; attach that first",
                                          path, interface));
  }
  const bpf_map_info info = MapInfo(slot->array_.get());
  if (info.type != BPF_MAP_TYPE_PROG_ARRAY) {
    return FailedPrecondition(fmt::format("chain.map: {} is no program array", path));
  }
  if (chain.position >= info.max_entries) {
    return FailedPrecondition(fmt::format("chain.position: {} has the positions 0..{}, got {}",
                                          path, info.max_entries - 1, chain.position));
  }
  if (const uint32_t other = slot->IdAt(chain.position); other != 0) {
    return FailedPrecondition(
        fmt::format("chain.position: {} of {} holds another program (id {}; see: bpftool prog show "
                    "id {}); choose another position, or remove it",
                    chain.position, path, other, other));
  }
  LB_RETURN_IF_ERROR(slot->Fill(program_fd));
  return slot;
}

StatusOr<std::unique_ptr<ChainSlot>> ChainSlot::Open(const std::string& interface,
                                                     const PinDirectory& pins) {
  std::unique_ptr<ChainSlot> slot(new ChainSlot(interface, pins));
  slot->array_.reset(bpf_obj_get(slot->array_pin_.c_str()));
  if (!slot->array_.valid()) return ErrnoStatus(errno, "open " + slot->array_pin_);
  const uint32_t positions = MapInfo(slot->array_.get()).max_entries;
  for (uint32_t i = 0; i < positions; ++i) {
    if (slot->IsOurs(slot->IdAt(i))) slot->position_ = i;
  }
  return slot;
}

uint32_t ChainSlot::IdAt(uint32_t position) const {
  uint32_t id = 0;
  return bpf_map_lookup_elem(array_.get(), &position, &id) == 0 ? id : 0;
}

bool ChainSlot::IsOurs(uint32_t program_id) const {
  if (program_id == 0) return false;
  for (const std::string& pin : {program_pin_, new_program_pin_}) {
    const UniqueFd program(bpf_obj_get(pin.c_str()));
    if (ProgramInfo(program.get()).id == program_id) return true;
  }
  return false;
}

bool ChainSlot::Fits(const model::Settings& settings, const InterfaceInfo& info) const {
  if (settings.attach != model::AttachMode::kChained || settings.chain.position != position_) {
    return false;
  }
  const UniqueFd wanted(bpf_obj_get(settings.chain.PathFor(info.name).c_str()));
  return MapInfo(wanted.get()).id == MapInfo(array_.get()).id;
}

uint32_t ChainSlot::program_id() const {
  const uint32_t id = IdAt(position_);
  return IsOurs(id) ? id : 0;
}

std::string ChainSlot::Problem() const {
  if (program_id() == 0) {
    return fmt::format("position {} of its program array no longer holds lbd's program", position_);
  }
  const auto info = GetInterface(interface_);
  if (!info.ok()) return Message(info.status());
  if (info->xdp_program_id == 0) {
    return "it has no XDP program: no root program calls lbd";
  }
  if (!UsesMap(info->xdp_program_id, MapInfo(array_.get()).id)) {
    return fmt::format("its XDP program (id {}) does not use the program array of chain.map",
                       info->xdp_program_id);
  }
  return "";
}

Status ChainSlot::Fill(int program_fd) {
  if (access(array_pin_.c_str(), F_OK) != 0) LB_RETURN_IF_ERROR(Pin(array_.get(), array_pin_));
  LB_RETURN_IF_ERROR(Pin(program_fd, new_program_pin_));
  if (bpf_map_update_elem(array_.get(), &position_, &program_fd, BPF_ANY) != 0) {
    const int error = errno;
    unlink(new_program_pin_.c_str());
    return ErrnoStatus(error, fmt::format("put the program into position {} of the program array "
                                          "of {}",
                                          position_, interface_));
  }
  if (rename(new_program_pin_.c_str(), program_pin_.c_str()) != 0) {
    return ErrnoStatus(errno, "rename " + new_program_pin_);
  }
  return OkStatus();
}

Status ChainSlot::Replace(int program_fd, int expected_fd) {
  if (expected_fd >= 0 && IdAt(position_) != ProgramInfo(expected_fd).id) {
    return FailedPrecondition(fmt::format("{}: {}", interface_, Problem()));
  }
  return Fill(program_fd);
}

Status ChainSlot::Detach() {
  if (program_id() != 0 && bpf_map_delete_elem(array_.get(), &position_) != 0) {
    return ErrnoStatus(
        errno, fmt::format("empty position {} of the program array of {}", position_, interface_));
  }
  for (const std::string& pin : {program_pin_, new_program_pin_, array_pin_}) {
    if (unlink(pin.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "remove " + pin);
  }
  return OkStatus();
}

Status ChainSlot::Reattach(int program_fd) { return Fill(program_fd); }

}  // namespace lb::dataplane
