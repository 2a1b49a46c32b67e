// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/finding.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lb::dataplane {
namespace {

const char* NameOf(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kWarn:
      return "warn";
    case Level::kFail:
      return "fail";
  }
  return "";
}

}  // namespace

std::string ToText(std::span<const Finding> findings) {
  std::string text;
  for (const Finding& finding : findings) {
    const char* level = finding.level == Level::kFail ? "FAIL" : NameOf(finding.level);
    text += fmt::format("{:4}  {}: {}\n", level, finding.check, finding.message);
    if (!finding.fix.empty()) text += fmt::format("      do: {}\n", finding.fix);
  }
  return text;
}

std::string ToJson(std::span<const Finding> findings) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    rows.push_back({{"check", finding.check},
                    {"level", NameOf(finding.level)},
                    {"message", finding.message},
                    {"fix", finding.fix}});
  }
  return nlohmann::ordered_json{{"findings", std::move(rows)}}.dump(2) + '\n';
}

Status ToStatus(std::span<const Finding> findings) {
  const auto failed = std::ranges::count(findings, Level::kFail, &Finding::level);
  if (failed == 0) return OkStatus();
  return FailedPrecondition(fmt::format("{} check{} failed", failed, failed == 1 ? "" : "s"));
}

}  // namespace lb::dataplane
