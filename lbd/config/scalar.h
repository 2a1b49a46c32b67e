// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "lbd/config/position.h"

// Pieces of text in documents, and how error messages speak of them.
namespace lb::config {

// A decimal number without superfluous characters ("080" is octal to some YAML readers), in the
// range of T.
template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  const bool starts_right = !digits.empty() && digits[0] >= '0' && digits[0] <= '9';
  const bool superfluous_zero =
      digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
  if (!starts_right || superfluous_zero) return std::nullopt;
  T value{};
  const char* const end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || next != end) return std::nullopt;
  return value;
}

// `text` in double quotes on one line, cut when it is long.
std::string Quote(std::string_view text);

// Where `text` stops being UTF-8.
std::optional<Position> FindInvalidUtf8(std::string_view text);

}  // namespace lb::config
