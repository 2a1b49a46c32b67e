// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace lb::cli {
namespace {

constexpr std::string_view kGap = "  ";

std::string_view Escape(Colour colour) {
  switch (colour) {
    case Colour::kNone:
      return "";
    case Colour::kGreen:
      return "\033[32m";
    case Colour::kYellow:
      return "\033[33m";
    case Colour::kRed:
      return "\033[31m";
    case Colour::kBold:
      return "\033[1m";
  }
  return "";
}

// Characters, not bytes, of UTF-8 text.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

void AppendLine(const std::vector<Cell>& row, const std::vector<Column>& columns,
                const std::vector<size_t>& widths, bool colour, std::string& out) {
  std::string gap;
  for (size_t i = 0; i < row.size(); ++i) {
    const std::string pad(widths[i] - Width(row[i].text), ' ');
    const std::string text = Paint(row[i].text, row[i].colour, colour);
    // Spaces wait in `gap` for the next text, so that none trail.
    if (columns[i].align == Align::kRight) gap += pad;
    if (!text.empty()) {
      out += gap + text;
      gap.clear();
    }
    if (columns[i].align == Align::kLeft) gap += pad;
    gap += kGap;
  }
  out += '\n';
}

}  // namespace

std::string Cell::Printable(std::string_view text) {
  std::string printable;
  for (const char c : text) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      printable += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    } else {
      printable += c;
    }
  }
  return printable;
}

std::string Paint(std::string_view text, Colour colour, bool enabled) {
  if (!enabled || colour == Colour::kNone || text.empty()) return std::string(text);
  return fmt::format("{}{}\033[0m", Escape(colour), text);
}

std::string Table::ToString(bool colour) const {
  std::vector<size_t> widths;
  std::vector<Cell> head;
  for (const Column& column : columns_) {
    widths.push_back(Width(column.title));
    head.emplace_back(column.title, Colour::kBold);
  }
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i].text));
  }
  std::string out;
  const bool titled =
      std::ranges::any_of(columns_, [](const Column& c) { return !c.title.empty(); });
  if (titled) AppendLine(head, columns_, widths, colour, out);
  for (const auto& row : rows_) AppendLine(row, columns_, widths, colour, out);
  return out;
}

std::string HumanCount(uint64_t count) {
  std::string text = fmt::format("{}", count);
  for (size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, 1, ',');
  return text;
}

std::string HumanBytes(uint64_t bytes) {
  static constexpr std::array<std::string_view, 6> kUnits = {"KiB", "MiB", "GiB",
                                                             "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1023.95 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string HumanDuration(uint64_t seconds) {
  const uint64_t minutes = seconds / 60;
  const uint64_t hours = minutes / 60;
  if (minutes == 0) return fmt::format("{}s", seconds);
  if (hours == 0) return fmt::format("{}m {}s", minutes, seconds % 60);
  if (hours < 24) return fmt::format("{}h {}m", hours, minutes % 60);
  return fmt::format("{}d {}h", hours / 24, hours % 24);
}

std::string HumanShare(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace lb::cli
