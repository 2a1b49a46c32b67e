// SPDX-License-Identifier: Apache-2.0
#include "lbd/metrics/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <set>

namespace lb::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(SamplesTest, EachMetricIsWrittenWithItsHelpTypeAndLabels) {
  Samples samples;
  samples.Add(Metric::kRealPackets, {"192.0.2.1:80/tcp", "", "10.0.0.1"}, 12345678901);
  samples.Add(Metric::kGeneration, {}, 7);
  const std::string text = samples.ToText();
  EXPECT_THAT(text, HasSubstr("# HELP lbd_real_packets_total Packets forwarded to a real.\n"
                              "# TYPE lbd_real_packets_total counter\n"
                              "lbd_real_packets_total{vip=\"192.0.2.1:80/tcp\",real=\"10.0.0.1\"} "
                              "12345678901\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE lbd_config_generation gauge\nlbd_config_generation 7\n"));
  EXPECT_THAT(text, Not(HasSubstr("lbd_vip_packets_total")));  // no sample, no head
}

TEST(SamplesTest, LabelsOfPeopleCannotBreakTheFormat) {
  Samples samples;
  samples.Add(Metric::kVipPackets, {"a", "", "say \"hi\"\\\n"}, 1);
  EXPECT_THAT(samples.ToText(), HasSubstr("{vip=\"a\",name=\"say \\\"hi\\\"\\\\\\n\"} 1\n"));
}

TEST(SamplesTest, HistogramsHaveCumulativeBuckets) {
  prometheus::Histogram histogram({0.1, 1});
  for (const double value : {0.05, 0.5, 5.0}) histogram.Observe(value);
  Samples samples;
  samples.Add(Metric::kRpcSeconds, {"GetStatus", "OK"}, histogram);
  const std::string text = samples.ToText();
  EXPECT_THAT(text,
              HasSubstr("lbd_rpc_duration_seconds_count{method=\"GetStatus\",code=\"OK\"} 3"));
  EXPECT_THAT(text, HasSubstr("le=\"1\"} 2"));
  EXPECT_THAT(text, HasSubstr("le=\"+Inf\"} 3"));
}

TEST(SamplesTest, TheTextIsThatOfThePrometheusLibrary) {
  prometheus::Histogram histogram({0.0025, 0.1, 1});
  for (const double value : {0.001, 0.05, 0.5, 5.0}) histogram.Observe(value);
  Samples samples;
  std::vector<prometheus::MetricFamily> families;
  const auto expect = [&](Metric metric, prometheus::MetricType type) -> auto& {
    return families
        .emplace_back(prometheus::MetricFamily{
            std::string(RowOf(metric).name), std::string(RowOf(metric).help), type, {}})
        .metric;
  };
  auto& applied = expect(Metric::kApplied, prometheus::MetricType::Gauge).emplace_back();
  applied.gauge.value = 1764189280.25;
  samples.Add(Metric::kApplied, {}, applied.gauge.value);
  auto& packets = expect(Metric::kVipPackets, prometheus::MetricType::Counter);
  for (const double value : {0.0, 12345678901.0, 999999999999999.0, 0.5, 1e-5}) {
    prometheus::ClientMetric& metric = packets.emplace_back();
    metric.label = {{"vip", "a"}, {"name", "say \"hi\"\\\n"}};
    metric.counter.value = value;
    samples.Add(Metric::kVipPackets, {"a", "", "say \"hi\"\\\n"}, value);
  }
  auto& seconds = expect(Metric::kRpcSeconds, prometheus::MetricType::Histogram).emplace_back();
  seconds.label = {{"method", "GetStatus"}, {"code", "OK"}};
  seconds.histogram = histogram.Collect().histogram;
  samples.Add(Metric::kRpcSeconds, {"GetStatus", "OK"}, histogram);
  EXPECT_EQ(samples.ToText(), prometheus::TextSerializer().Serialize(families));
}

TEST(SamplesTest, TheProcessIsMeasured) {
  Samples samples;
  CollectProcess(samples);
  const std::string text = samples.ToText();
  for (const char* name : {"process_start_time_seconds 1", "process_cpu_seconds_total 0",
                           "process_resident_memory_bytes ", "process_open_fds "}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name));
  }
}

// https://prometheus.io/docs/practices/naming
TEST(CatalogueTest, NamesFollowTheRulesOfPrometheus) {
  std::set<std::string_view> names;
  for (const Row& row : kCatalogue) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " is there twice";
    EXPECT_TRUE(row.name.starts_with("lbd_") || row.name.starts_with("process_")) << row.name;
    EXPECT_EQ(row.name.ends_with("_total"), row.type == Type::kCounter) << row.name;
    EXPECT_EQ(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), row.name.npos) << row.name;
    EXPECT_TRUE(row.help.ends_with('.')) << row.name;
  }
}

}  // namespace
}  // namespace lb::metrics
