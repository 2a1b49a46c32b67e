// SPDX-License-Identifier: Apache-2.0
#include "lbd/agent/arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace lb::agent {

std::vector<std::string> JoinRepeated(const std::vector<std::string>& arguments,
                                      std::string_view name) {
  const std::string with_value = fmt::format("{}=", name);
  std::vector<std::string> values;
  std::vector<std::string> rest;
  size_t i = 0;
  for (; i < arguments.size() && arguments[i] != "--"; ++i) {
    const std::string& argument = arguments[i];
    const size_t dashes = std::min(argument.find_first_not_of('-'), argument.size());
    const std::string flag = dashes == 1 || dashes == 2 ? argument.substr(dashes) : "";
    if (flag.starts_with(with_value)) {
      values.push_back(flag.substr(with_value.size()));
    } else if (flag == name && i + 1 < arguments.size()) {
      values.push_back(arguments[++i]);
    } else {
      rest.push_back(argument);
    }
  }
  if (!values.empty()) rest.push_back(fmt::format("--{}{}", with_value, fmt::join(values, ",")));
  rest.insert(rest.end(), arguments.begin() + static_cast<ptrdiff_t>(i), arguments.end());
  return rest;
}

std::vector<std::string> SplitList(std::string_view list) {
  std::vector<std::string> items;
  for (size_t from = 0; from < list.size();) {
    const size_t comma = std::min(list.find(',', from), list.size());
    if (comma > from) items.emplace_back(list.substr(from, comma - from));
    from = comma + 1;
  }
  return items;
}

}  // namespace lb::agent
