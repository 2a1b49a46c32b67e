// SPDX-License-Identifier: Apache-2.0
#include "lbd/metrics/samples.h"

#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cassert>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include "lbd/base/process.h"

namespace lb::metrics {
namespace {

prometheus::MetricType TypeOf(const Row& row) {
  switch (row.type) {
    case Type::kCounter:
      return prometheus::MetricType::Counter;
    case Type::kGauge:
      return prometheus::MetricType::Gauge;
    case Type::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

// The next of the comma-separated names, taken off `names`.
std::string_view TakeName(std::string_view& names) {
  const std::string_view name = names.substr(0, names.find(','));
  names.remove_prefix(std::min(names.size(), name.size() + 1));
  return name;
}

// Unix time; 0 where /proc does not tell.
double StartTime() {
  const auto self = FindProcess(getpid());
  return self ? std::chrono::duration<double>(self->since.time_since_epoch()).count() : 0;
}

}  // namespace

prometheus::ClientMetric& Samples::AddSample(Metric metric, Labels labels) {
  prometheus::ClientMetric& sample = samples_[static_cast<size_t>(metric)].emplace_back();
  std::string_view names = RowOf(metric).labels;
  for (const std::string_view value : labels) {
    assert(!names.empty());
    const std::string_view name = TakeName(names);
    // To Prometheus a label without a value is none.
    if (!value.empty()) sample.label.push_back({std::string(name), std::string(value)});
  }
  assert(names.empty());
  return sample;
}

void Samples::Add(Metric metric, Labels labels, double value) {
  prometheus::ClientMetric& sample = AddSample(metric, labels);
  if (RowOf(metric).type == Type::kCounter) {
    sample.counter.value = value;
  } else {
    sample.gauge.value = value;
  }
}

void Samples::Add(Metric metric, Labels labels, const prometheus::Histogram& histogram) {
  AddSample(metric, labels).histogram = histogram.Collect().histogram;
}

void Samples::Add(Metric metric, Labels labels, std::span<const double> bounds,
                  std::span<const uint64_t> counts, double sum) {
  assert(counts.size() == bounds.size() + 1);
  auto& histogram = AddSample(metric, labels).histogram;
  histogram.sample_sum = sum;
  for (size_t i = 0; i < counts.size(); ++i) {
    histogram.sample_count += counts[i];
    const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    histogram.bucket.push_back({.cumulative_count = histogram.sample_count, .upper_bound = bound});
  }
}

std::string Samples::ToText() && {
  std::vector<prometheus::MetricFamily> families;
  for (size_t i = 0; i < samples_.size(); ++i) {
    if (samples_[i].empty()) continue;
    families.push_back({.name = std::string(kCatalogue[i].name),
                        .help = std::string(kCatalogue[i].help),
                        .type = TypeOf(kCatalogue[i]),
                        .metric = std::move(samples_[i])});
  }
  return prometheus::TextSerializer().Serialize(families);
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
