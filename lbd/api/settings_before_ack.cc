// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/settings_before_ack.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <string_view>

namespace lb::api {
namespace {

// A row of grpc_chttp2_settings_parameters, which libgrpc exports but has in no header.
struct Parameter {
  const char* name;
  uint32_t initial;
  uint32_t min;
  uint32_t max;
  int when_invalid;
  uint32_t error;
};

constexpr size_t kParameters = 7;

Status Unknown() {
  return FailedPrecondition(
      fmt::format("gRPC {} keeps its settings in another way than 1.51", grpc::Version()));
}

Parameter* Find(std::span<Parameter> table, std::string_view name) {
  for (Parameter& parameter : table) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

StatusOr<std::span<Parameter>> FindTable() {
  void* const table = dlsym(RTLD_DEFAULT, "grpc_chttp2_settings_parameters");
  Dl_info object{};
  void* symbol = nullptr;
  if (table == nullptr || dladdr1(table, &object, &symbol, RTLD_DL_SYMENT) == 0 ||
      symbol == nullptr ||
      static_cast<const ElfW(Sym)*>(symbol)->st_size != kParameters * sizeof(Parameter)) {
    return Unknown();
  }
  return std::span(static_cast<Parameter*>(table), kParameters);
}

}  // namespace

Status SetLimitsBeforeAck(const LimitsBeforeAck& limits) {
  LB_ASSIGN_OR_RETURN(const std::span<Parameter> table, FindTable());
  Parameter* const streams = Find(table, "MAX_CONCURRENT_STREAMS");
  Parameter* const metadata = Find(table, "MAX_HEADER_LIST_SIZE");
  if (streams == nullptr || metadata == nullptr || streams->max != UINT32_MAX ||
      metadata->max < limits.metadata_bytes) {
    return Unknown();
  }
  // The linker has made it read-only after relocation.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(table.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(table.data() + table.size());
  void* const pages = reinterpret_cast<void*>(first);
  if (mprotect(pages, end - first, PROT_READ | PROT_WRITE) != 0) {
    return ErrnoStatus(errno, "lower the initial settings of gRPC");
  }
  streams->initial = limits.streams;
  metadata->initial = limits.metadata_bytes;
  if (mprotect(pages, end - first, PROT_READ) != 0) {
    return ErrnoStatus(errno, "protect the initial settings of gRPC");
  }
  return OkStatus();
}

}  // namespace lb::api
