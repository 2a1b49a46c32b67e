// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <prometheus/histogram.h>

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

// The values of one scrape. They are text from the start: one real has ten of them, and there may
// be tens of thousands of reals. Thread-compatible.
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
  std::string ToText() const;

 private:
  // `suffix` and `bound` ("le") are a histogram's.
  void AddLine(Metric metric, std::string_view suffix, Labels labels, std::string_view bound,
               double value);

  std::array<std::string, std::size(kCatalogue)> lines_;  // by metric
};

// Whoever counts something adds it to each scrape; called from the listener's threads.
using Source = std::function<void(Samples&)>;

// The standard metrics of this process.
void CollectProcess(Samples& samples);

}  // namespace lb::metrics
