// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lb::cli {

enum class Colour { kNone, kGreen, kYellow, kRed, kBold };

// Text for a terminal: control characters are made visible, so that a name cannot play tricks.
struct Cell {
  // Converts from whatever std::string_view does.
  template <std::convertible_to<std::string_view> T>
  Cell(const T& cell_text, Colour cell_colour = Colour::kNone)
      : text(Printable(cell_text)), colour(cell_colour) {}

  static std::string Printable(std::string_view raw);

  std::string text;
  Colour colour;
};

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

// Rows of cells under aligned columns, two spaces apart.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Requires as many cells as columns.
  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }

  // Without titles there is no head line.
  std::string ToString(bool colour) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// `text` between the escape sequences of `colour`.
std::string Paint(std::string_view text, Colour colour, bool enabled);

std::string HumanCount(uint64_t count);                 // "1,234,567"
std::string HumanBytes(uint64_t bytes);                 // "512 B", "1.4 MiB"
std::string HumanDuration(uint64_t seconds);            // "7s", "3m 5s", "2h 3m", "4d 5h"
std::string HumanShare(uint64_t part, uint64_t whole);  // "12.5%", "-" of nothing

}  // namespace lb::cli
