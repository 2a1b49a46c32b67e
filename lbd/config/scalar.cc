// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/scalar.h"

#include <fmt/format.h>

#include <cstdint>

namespace lb::config {
namespace {

constexpr size_t kLongestQuote = 60;

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xc0) == 0x80; }

// Bytes of the UTF-8 character at the front of `text`, 0 if there is none (RFC 3629).
size_t CharacterSize(std::string_view text) {
  const auto byte = [&](size_t i) -> uint8_t {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : 0;
  };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (size_t i = 1; i < size; ++i) {
    if (i >= text.size() || !IsContinuation(text[i])) return 0;
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) > 0x9f;
  const bool too_big = first == 0xf4 && byte(1) > 0x8f;
  return overlong || surrogate || too_big ? 0 : size;
}

}  // namespace

std::string Quote(std::string_view text) {
  std::string quoted = "\"";
  size_t i = 0;
  for (; i < text.size() && (i < kLongestQuote || IsContinuation(text[i])); ++i) {
    const char c = text[i];
    if (c == '\n') {
      quoted += "\\n";
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + (i < text.size() ? "...\"" : "\"");
}

std::optional<Position> FindInvalidUtf8(std::string_view text) {
  Position position;
  while (!text.empty()) {
    const size_t size = CharacterSize(text);
    if (size == 0) return position;
    ++position.column;
    if (text[0] == '\n') position = {position.line + 1, 1};
    text.remove_prefix(size);
  }
  return std::nullopt;
}

}  // namespace lb::config
