// SPDX-License-Identifier: Apache-2.0
#include "lbd/metrics/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace lb::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(SamplesTest, EachMetricIsWrittenWithItsHelpTypeAndLabels) {
  Samples samples;
  samples.Add(Metric::kRealPackets, {"192.0.2.1:80/tcp", "", "10.0.0.1"}, 12345678901);
  samples.Add(Metric::kGeneration, {}, 7);
  const std::string text = std::move(samples).ToText();
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
  EXPECT_THAT(std::move(samples).ToText(),
              HasSubstr("{vip=\"a\",name=\"say \\\"hi\\\"\\\\\\n\"} 1\n"));
}

TEST(SamplesTest, HistogramsHaveCumulativeBuckets) {
  prometheus::Histogram histogram({0.1, 1});
  for (const double value : {0.05, 0.5, 5.0}) histogram.Observe(value);
  Samples samples;
  samples.Add(Metric::kRpcSeconds, {"GetStatus", "OK"}, histogram);
  const std::string text = std::move(samples).ToText();
  EXPECT_THAT(text,
              HasSubstr("lbd_rpc_duration_seconds_count{method=\"GetStatus\",code=\"OK\"} 3"));
  EXPECT_THAT(text, HasSubstr("le=\"1\"} 2"));
  EXPECT_THAT(text, HasSubstr("le=\"+Inf\"} 3"));
}

TEST(SamplesTest, TheProcessIsMeasured) {
  Samples samples;
  CollectProcess(samples);
  const std::string text = std::move(samples).ToText();
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
