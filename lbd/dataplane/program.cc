// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/program.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "lb_slot.skel.h"
#include "lb_xdp.skel.h"
#include "lb_xdp_trace.skel.h"
#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/bpf_info.h"

namespace lb::dataplane {
namespace {

constexpr size_t kVerifierLogBytes = 1 << 20;

bool IsTable(int map_fd) {
  const bpf_map_info info = MapInfo(map_fd);
  return info.type == BPF_MAP_TYPE_ARRAY && info.max_entries == 1 &&
         (info.map_flags & BPF_F_MMAPABLE) != 0;
}

// Turns references to tables into pointers to their values; runs after libbpf's own relocations.
int UseDirectPointers(bpf_program* program, bpf_prog_load_opts* /*opts*/, long /*cookie*/) {
  const size_t count = bpf_program__insn_cnt(program);
  const bpf_insn* old = bpf_program__insns(program);
  std::vector<bpf_insn> insns(old, old + count);
  for (size_t i = 0; i + 1 < count; ++i) {
    if (insns[i].code != (BPF_LD | BPF_IMM | BPF_DW)) continue;
    if (insns[i].src_reg == BPF_PSEUDO_MAP_FD && IsTable(insns[i].imm)) {
      insns[i].src_reg = BPF_PSEUDO_MAP_VALUE;
      insns[i + 1].imm = 0;
    }
    ++i;
  }
  return bpf_program__set_insns(program, insns.data(), count);
}

// libbpf's warnings, without what it merely notes (such as the section that is for libxdp).
int PrintWarnings(libbpf_print_level level, const char* format, va_list arguments) {
  return level == LIBBPF_WARN ? vfprintf(stderr, format, arguments) : 0;
}

// Registers UseDirectPointers for the sections named "xdp"; the same answer every time. libbpf
// keeps its handlers per process, and libbpf 1.1 corrupts its list when the last one is
// unregistered.
int RegisterDirectPointers() {
  static const int id = [] {
    libbpf_set_print(PrintWarnings);
    LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = UseDirectPointers);
    return libbpf_register_prog_handler("xdp", BPF_PROG_TYPE_XDP, BPF_XDP, &opts);
  }();
  return id;
}

// Writes the priority into the program's BTF, where libxdp looks for it.
Status SetPriority(bpf_object* object, uint32_t priority) {
  const btf* types = bpf_object__btf(object);
  const int count = types == nullptr ? 0 : static_cast<int>(btf__type_cnt(types));
  for (int id = 1; id < count; ++id) {
    const btf_type* type = btf__type_by_id(types, id);
    if (!btf_is_array(type) || btf_array(type)->nelems != LB_PRIORITY_PLACE) continue;
    btf_array(const_cast<btf_type*>(type))->nelems = priority;
    return OkStatus();
  }
  return Internal("the BPF object has no place for a priority");
}

// Makes the program an extension: of a function of an object that is loaded for that, and which
// must live until the program is loaded.
StatusOr<BpfObject> MakeExtension(bpf_program* program) {
  LB_RETURN_IF_ERROR(CheckMayOpenByIds());
  size_t elf_size = 0;
  const void* elf = lb_slot_bpf::elf_bytes(&elf_size);
  LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "lb_slot");
  BpfObject slot(bpf_object__open_mem(elf, elf_size, &opts));
  if (slot == nullptr) return ErrnoStatus(errno, "open the BPF object of extensions");
  if (const int error = bpf_object__load(slot.get()); error != 0) {
    return ErrnoStatus(-error, "load the program that extensions are checked against");
  }
  const bpf_program* caller = bpf_object__find_program_by_name(slot.get(), "lb_slot_caller");
  bpf_program__set_type(program, BPF_PROG_TYPE_EXT);
  bpf_program__set_expected_attach_type(program, static_cast<bpf_attach_type>(0));
  if (const int error = bpf_program__set_attach_target(program, bpf_program__fd(caller), "lb_slot");
      error != 0) {
    return ErrnoStatus(-error, "make the XDP program an extension");
  }
  return slot;
}

// The last lines of the verifier's log, which say what it objects to.
std::string Tail(const std::vector<char>& log) {
  const std::string text(log.data());
  const size_t keep = 600;
  return text.size() <= keep ? text : text.substr(text.size() - keep);
}

// Lets the program work on the map `fd` where it names this one.
Status UseMap(bpf_object* object, const std::string& name, int fd) {
  bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
  if (map == nullptr) return Internal(fmt::format("the BPF object has no map {}", name));
  if (const int error = bpf_map__reuse_fd(map, fd); error != 0) {
    return ErrnoStatus(-error, fmt::format("use BPF map {}", name));
  }
  return OkStatus();
}

}  // namespace

Status CheckMayOpenByIds() {
  const UniqueFd none(bpf_prog_get_fd_by_id(0));
  if (none.valid() || errno != EPERM) return OkStatus();
  return PermissionDenied(
      "attach: dispatcher: libxdp opens programs by their ids; start lbd as root with "
      "--keep_sys_admin");
}

void CloseBpfObject::operator()(bpf_object* object) const { bpf_object__close(object); }

std::vector<int> Program::map_fds() const {
  std::vector<int> fds;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    if (const int fd = bpf_map__fd(map); fd >= 0) fds.push_back(fd);
  }
  return fds;
}

StatusOr<Program> Program::Load(const lb_config& config, std::span<const MappedArray* const> tables,
                                std::span<const PrefixMap* const> prefix_maps,
                                std::optional<uint32_t> priority, Build build,
                                const ProbePath* probes, int fragments_fd) {
  if (const int id = RegisterDirectPointers(); id < 0) {
    return ErrnoStatus(-id, "register the BPF program handler");
  }

  size_t elf_size = 0;
  const void* elf = build == Build::kForward ? lb_xdp_bpf::elf_bytes(&elf_size)
                                             : lb_xdp_trace_bpf::elf_bytes(&elf_size);
  LIBBPF_OPTS(bpf_object_open_opts, open_opts, .object_name = "lb_xdp");
  Program program;
  program.object_.reset(bpf_object__open_mem(elf, elf_size, &open_opts));
  if (program.object_ == nullptr) return ErrnoStatus(errno, "open the BPF object");
  bpf_object* object = program.object_.get();

  size_t rodata_size = 0;
  bpf_map* rodata = bpf_object__find_map_by_name(object, ".rodata");
  void* constants =
      rodata ? const_cast<void*>(bpf_map__initial_value(rodata, &rodata_size)) : nullptr;
  if (constants == nullptr || rodata_size != sizeof(config)) {
    return Internal("the BPF object has no constants");
  }
  std::memcpy(constants, &config, sizeof(config));

  for (const MappedArray* map : tables) LB_RETURN_IF_ERROR(UseMap(object, map->name(), map->fd()));
  for (const PrefixMap* map : prefix_maps) {
    LB_RETURN_IF_ERROR(UseMap(object, map->name(), map->fd()));
  }
  if (probes != nullptr) {
    LB_RETURN_IF_ERROR(UseMap(object, probes->table().name(), probes->table().fd()));
    LB_RETURN_IF_ERROR(UseMap(object, ProbePath::kSocketsName, probes->sockets_fd()));
  }

  bpf_map* fragments = bpf_object__find_map_by_name(object, "lb_fragments");
  if (fragments == nullptr) return Internal("the BPF object has no map lb_fragments");
  if (fragments_fd < 0) {
    bpf_map__set_max_entries(fragments, std::max<uint32_t>(config.fragments, 1));
  } else if (const int error = bpf_map__reuse_fd(fragments, fragments_fd); error != 0) {
    return ErrnoStatus(-error, "use BPF map lb_fragments");
  }

  bpf_program* xdp = bpf_object__find_program_by_name(object, "lb_xdp");
  if (xdp == nullptr) return Internal("the BPF object has no program lb_xdp");
  if ((config.stages & LB_STAGE_FRAMES) != 0) {
    bpf_program__set_flags(xdp, bpf_program__flags(xdp) | BPF_F_XDP_HAS_FRAGS);
  }
  BpfObject slot;
  if (priority) {
    LB_RETURN_IF_ERROR(SetPriority(object, *priority));
    LB_ASSIGN_OR_RETURN(slot, MakeExtension(xdp));
  }
  std::vector<char> log(kVerifierLogBytes);
  bpf_program__set_log_buf(xdp, log.data(), log.size());
  if (const int error = bpf_object__load(object); error != 0) {
    if (error == -EPERM || error == -EACCES) {
      if (log.front() == '\0') {
        return PermissionDenied(
            "load the XDP program: Operation not permitted; run as root or with CAP_BPF, "
            "CAP_PERFMON "
            "and CAP_NET_ADMIN");
      }
    }
    return ErrnoStatus(-error,
                       fmt::format("load the XDP program; the verifier says:\n{}\n", Tail(log)));
  }
  bpf_program__set_log_buf(xdp, nullptr, 0);
  program.fd_ = bpf_program__fd(xdp);
  bpf_prog_info info{};
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(program.fd_, &info, &length) != 0) {
    return ErrnoStatus(errno, "ask for the XDP program's id");
  }
  program.id_ = info.id;
  return program;
}

Status Program::AddPort(int ifindex) const {
  const bpf_map* ports = bpf_object__find_map_by_name(object_.get(), "lb_ports");
  const auto value = static_cast<uint32_t>(ifindex);
  if (bpf_map_update_elem(bpf_map__fd(ports), &value, &value, BPF_ANY) == 0) return OkStatus();
  return ErrnoStatus(errno, fmt::format("let frames out by interface {}", ifindex));
}

int Program::map_fd(const char* name) const {
  return bpf_object__find_map_fd_by_name(object_.get(), name);
}

StatusOr<ProgramRun> Program::TestRun(std::span<const uint8_t> frame, uint32_t ifindex) const {
  ProgramRun result{.out = std::vector<uint8_t>(frame.size() + 256)};
  xdp_md context{};
  context.data_end = frame.size();
  context.ingress_ifindex = ifindex;
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_out = result.out.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()),
              .data_size_out = static_cast<uint32_t>(result.out.size()), .ctx_in = &context,
              .ctx_out = &context, .ctx_size_in = sizeof(context), .ctx_size_out = sizeof(context),
              .repeat = 1);
  int error = bpf_prog_test_run_opts(fd_, &run);
  if (error == -ENODEV || error == -EINVAL) {
    run.ctx_in = run.ctx_out = nullptr;
    run.ctx_size_in = run.ctx_size_out = 0;
    context = {};
    error = bpf_prog_test_run_opts(fd_, &run);
  }
  if (error != 0) {
    return ErrnoStatus(-error, fmt::format("run the program over {} bytes", frame.size()));
  }
  result.action = run.retval;
  // Without what the program has put in front of the frame.
  const uint32_t metadata = std::min(context.data, run.data_size_out);
  result.out.resize(run.data_size_out);
  result.out.erase(result.out.begin(), result.out.begin() + metadata);
  return result;
}

ProgramStats Program::ReadStats() const {
  const bpf_prog_info info = ProgramInfo(fd_);
  return {.runs = info.run_cnt, .run_nanos = info.run_time_ns};
}

StatusOr<UniqueFd> MeasureRunTimes() {
  UniqueFd fd(bpf_enable_stats(BPF_STATS_RUN_TIME));
  if (!fd.valid()) return ErrnoStatus(errno, "make the kernel measure BPF programs");
  return fd;
}

}  // namespace lb::dataplane
