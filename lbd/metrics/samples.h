// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include <array>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lbd/metrics/catalogue.h"

namespace lb::metrics {

// The values of one scrape. Thread-compatible.
class Samples {
 public:
  // The values of a metric's labels, in the order of the catalogue; an empty one is left out.
  using Labels = std::initializer_list<std::string_view>;

  void Add(Metric metric, Labels labels, double value);
  void Add(Metric metric, Labels labels, const prometheus::Histogram& histogram);
  // Of a histogram: `bounds` and, of how many samples each is the least that is not exceeded, with
  // the rest behind them, `counts`.
  void Add(Metric metric, Labels labels, std::span<const double> bounds,
           std::span<const uint64_t> counts, double sum);

  // What was added, in the text format of Prometheus (version 0.0.4).
  std::string ToText() &&;

 private:
  prometheus::ClientMetric& AddSample(Metric metric, Labels labels);

  std::array<std::vector<prometheus::ClientMetric>, std::size(kCatalogue)> samples_;
};

// Whoever counts something adds it to each scrape; called from the listener's threads.
using Source = std::function<void(Samples&)>;

// The standard metrics of this process.
void CollectProcess(Samples& samples);

}  // namespace lb::metrics
