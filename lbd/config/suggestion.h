// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lb::config {

// The candidate that `word` was probably meant to be, if one is near enough.
std::optional<std::string> Suggest(std::string_view word, std::span<const std::string> candidates);

}  // namespace lb::config
