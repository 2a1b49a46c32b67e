// SPDX-License-Identifier: Apache-2.0
#include "lbd/metrics/samples.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <utility>

namespace lb::metrics {
namespace {

// As Prometheus calls it.
std::string_view ToString(Type type) {
  switch (type) {
    case Type::kCounter:
      return "counter";
    case Type::kGauge:
      return "gauge";
    case Type::kHistogram:
      return "histogram";
  }
  return "untyped";
}

void AppendEscaped(std::string_view value, std::string& to) {
  const auto special = [](char c) { return c == '"' || c == '\\' || c == '\n'; };
  if (std::ranges::none_of(value, special)) {
    to += value;
    return;
  }
  for (const char c : value) {
    if (special(c)) to += '\\';
    to += c == '\n' ? 'n' : c;
  }
}

// The shortest text that is read as `value`, without an exponent where it is a count.
void AppendNumber(double value, std::string& to) {
  constexpr double kExact = 1e15;  // counts up to here are exact
  if (std::trunc(value) == value && std::abs(value) < kExact) {
    const fmt::format_int count(static_cast<int64_t>(value));
    to.append(count.data(), count.size());
  } else {
    fmt::format_to(std::back_inserter(to), "{}", value);
  }
}

// The next of the comma-separated names, taken off `names`.
std::string_view TakeName(std::string_view& names) {
  const std::string_view name = names.substr(0, names.find(','));
  names.remove_prefix(std::min(names.size(), name.size() + 1));
  return name;
}

// Unix time at which the process started, from its age in clock ticks since boot.
double StartTime() {
  std::ifstream stat("/proc/self/stat");
  std::string text;
  std::getline(stat, text);
  text.erase(0, text.rfind(')') + 2);
  size_t at = 0;
  for (int field = 3; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at) + 1;
  const double since_boot = std::strtod(text.c_str() + at, nullptr) / sysconf(_SC_CLK_TCK);
  std::ifstream boot("/proc/stat");
  for (std::string word; boot >> word;) {
    double seconds = 0;
    if (word == "btime" && boot >> seconds) return seconds + since_boot;
  }
  return since_boot;
}

}  // namespace

void Samples::AddLine(Metric metric, std::string_view suffix, Labels labels, std::string_view bound,
                      double value) {
  std::string& text = lines_[static_cast<size_t>(metric)];
  text += RowOf(metric).name;
  text += suffix;
  char before = '{';
  const auto add = [&](std::string_view name, std::string_view label) {
    // To Prometheus a label without a value is none.
    if (label.empty()) return;
    text += std::exchange(before, ',');
    text += name;
    text += "=\"";
    AppendEscaped(label, text);
    text += '"';
  };
  std::string_view names = RowOf(metric).labels;
  for (const std::string_view label : labels) {
    assert(!names.empty());
    add(TakeName(names), label);
  }
  assert(names.empty());
  add("le", bound);
  if (before == ',') text += '}';
  text += ' ';
  AppendNumber(value, text);
  text += '\n';
}

void Samples::Add(Metric metric, Labels labels, double value) {
  AddLine(metric, "", labels, "", value);
}

void Samples::Add(Metric metric, Labels labels, const prometheus::Histogram& histogram) {
  const auto collected = histogram.Collect().histogram;
  std::vector<double> bounds;
  std::vector<uint64_t> counts;
  uint64_t below = 0;
  for (const auto& bucket : collected.bucket) {
    if (std::isfinite(bucket.upper_bound)) bounds.push_back(bucket.upper_bound);
    counts.push_back(bucket.cumulative_count - std::exchange(below, bucket.cumulative_count));
  }
  Add(metric, labels, bounds, counts, collected.sample_sum);
}

void Samples::Add(Metric metric, Labels labels, std::span<const double> bounds,
                  std::span<const uint64_t> counts, double sum) {
  assert(counts.size() == bounds.size() + 1);
  const auto total = std::reduce(counts.begin(), counts.end());
  AddLine(metric, "_count", labels, "", static_cast<double>(total));
  AddLine(metric, "_sum", labels, "", sum);
  uint64_t cumulative = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    cumulative += counts[i];
    const std::string bound = i < bounds.size() ? fmt::format("{}", bounds[i]) : "+Inf";
    AddLine(metric, "_bucket", labels, bound, static_cast<double>(cumulative));
  }
}

std::string Samples::ToText() const {
  size_t size = 0;
  constexpr size_t kHead = 300;  // of a metric: its name twice, help and type
  for (const std::string& lines : lines_) size += lines.empty() ? 0 : kHead + lines.size();
  std::string text;
  text.reserve(size);
  for (size_t i = 0; i < lines_.size(); ++i) {
    if (lines_[i].empty()) continue;
    const Row& row = kCatalogue[i];
    fmt::format_to(std::back_inserter(text), "# HELP {0} {1}\n# TYPE {0} {2}\n", row.name, row.help,
                   ToString(row.type));
    text += lines_[i];
  }
  return text;
}

void CollectProcess(Samples& samples) {
  static const double start = StartTime();
  samples.Add(Metric::kProcessStart, {}, start);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return time.tv_sec + time.tv_usec * 1e-6; };
  samples.Add(Metric::kProcessCpu, {}, seconds(usage.ru_utime) + seconds(usage.ru_stime));
  std::ifstream statm("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  statm >> total >> resident;
  samples.Add(Metric::kProcessResident, {},
              static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)));
  std::error_code error;
  const std::filesystem::directory_iterator fds("/proc/self/fd", error);
  samples.Add(Metric::kProcessFds, {},
              static_cast<double>(std::distance(begin(fds), end(fds)) - 1));
}

}  // namespace lb::metrics
