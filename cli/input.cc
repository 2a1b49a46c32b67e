// SPDX-License-Identifier: Apache-2.0
#include "cli/input.h"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "lbd/config/document.h"

namespace lb::cli {
namespace {

// At most one byte more than a document may have, so that the reader can refuse it.
std::string ReadStream(std::istream& in) {
  std::string text;
  std::string block(1 << 16, '\0');
  while (in && text.size() <= config::kMaxDocumentBytes) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    text.append(block, 0, static_cast<size_t>(in.gcount()));
  }
  return text;
}

}  // namespace

StatusOr<std::string> ReadInput(const std::string& file, const Io& io) {
  if (file == "-") return ReadStream(io.in);
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text;
  if (in) text = ReadStream(in);
  if (in.bad() || !in.is_open()) {
    return Internal(fmt::format("cannot read {}: {}", file,
                                std::generic_category().message(errno != 0 ? errno : EIO)));
  }
  return text;
}

}  // namespace lb::cli
