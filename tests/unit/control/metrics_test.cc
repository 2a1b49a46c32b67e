// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "tests/support/fake_checker.h"
#include "tests/support/fake_dataplane.h"
#include "tests/unit/model/config_testing.h"

namespace lb::control {
namespace {

using model::Ip;
using model::Key;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class MetricsTest : public ::testing::Test {
 protected:
  MetricsTest() {
    auto plane = std::make_unique<testing::FakeDataplane>();
    auto checker = std::make_unique<testing::FakeChecker>();
    plane_ = plane.get();
    checker_ = checker.get();
    controller_ = Controller::Create(std::move(plane), nullptr, std::move(checker)).value();
  }

  void Apply(const std::vector<std::string_view>& reals) {
    model::ReplaceConfig change;
    change.config.vips.push_back(model::VipOf("192.0.2.1:80/tcp", reals));
    change.config.vips[0].name = "web";
    ASSERT_TRUE(controller_->Apply(change).ok());
  }

  std::string Text() {
    metrics::Samples samples;
    CollectMetrics(*controller_, "1.2.3", samples);
    return std::move(samples).ToText();
  }

  testing::FakeDataplane* plane_;
  testing::FakeChecker* checker_;
  std::unique_ptr<Controller> controller_;
};

TEST_F(MetricsTest, WhatTheDataPlaneCountedIsExported) {
  plane_->stats.vips = {
      {.key = Key("192.0.2.1:80/tcp"),
       .total = {7, 700, 3, 9},
       .reals = {{.address = Ip("10.0.0.1"), .counter = {5, 500, 2, 6}, .flows = 4}},
       .tracking = {.slots = 16384, .changing_slots = 10, .settling_slots = 6, .flows = 4}}};
  plane_->stats.verdicts = {{"forward", "tx", "Sent.", 7}, {"no_real", "drop", "None.", 2}};
  plane_->stats.cpu_packets = {4, 5};
  plane_->stats.flow_table = {.inserted = 9, .evicted = 2, .refused = 1};
  plane_->stats.program = {.runs = 3, .run_nanos = 1'500'000'000};
  Apply({"10.0.0.1"});
  const std::string text = Text();
  for (const char* line : {
           R"(lbd_vip_packets_total{vip="192.0.2.1:80/tcp",name="web"} 7)",
           R"(lbd_vip_bytes_total{vip="192.0.2.1:80/tcp",name="web"} 700)",
           R"(lbd_vip_connections_total{vip="192.0.2.1:80/tcp",name="web"} 3)",
           R"(lbd_real_packets_total{vip="192.0.2.1:80/tcp",real="10.0.0.1"} 5)",
           R"(lbd_vip_dropped_packets_total{vip="192.0.2.1:80/tcp",name="web"} 9)",
           R"(lbd_real_connections_total{vip="192.0.2.1:80/tcp",real="10.0.0.1"} 2)",
           R"(lbd_real_dropped_packets_total{vip="192.0.2.1:80/tcp",real="10.0.0.1"} 6)",
           R"(lbd_real_tracked_flows{vip="192.0.2.1:80/tcp",real="10.0.0.1"} 4)",
           R"(lbd_vip_slots{vip="192.0.2.1:80/tcp",name="web",state="stable"} 16368)",
           R"(lbd_vip_slots{vip="192.0.2.1:80/tcp",name="web",state="changing"} 10)",
           R"(lbd_verdict_packets_total{verdict="no_real",action="drop"} 2)",
           R"(lbd_cpu_packets_total{cpu="1"} 5)",
           R"(lbd_flow_table_events_total{event="evict"} 2)",
           R"(lbd_program_run_seconds_total 1.5)",
       }) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
}

// Two groups of reals under one address: a scrape with a sample twice is refused as a whole.
TEST_F(MetricsTest, ASourceRouteHasSamplesOfItsOwn) {
  model::VipKey group = Key("192.0.2.1:80/tcp");
  group.route = model::RouteNumber("office");
  plane_->stats.vips = {{.key = Key("192.0.2.1:80/tcp"), .total = {7, 700, 3}, .reals = {}},
                        {.key = group, .total = {2, 200, 1}, .reals = {}}};
  plane_->stats.vips[0].sources = {.denied = 5, .limited = 6, .source_limited = 8};
  model::ReplaceConfig change;
  change.config.vips.push_back(model::VipOf("192.0.2.1:80/tcp", {"10.0.0.1"}));
  change.config.vips[0].source_routes = {{.name = "office",
                                          .sources = {IpPrefix::Parse("198.51.100.0/24").value()},
                                          .reals = {{.address = Ip("10.0.0.2")}}}};
  ASSERT_TRUE(controller_->Apply(change).ok());
  const std::string text = Text();
  for (const char* line : {
           R"(lbd_vip_packets_total{vip="192.0.2.1:80/tcp"} 7)",
           R"(lbd_vip_packets_total{vip="192.0.2.1:80/tcp",route="office"} 2)",
           R"(lbd_vip_serving_reals{vip="192.0.2.1:80/tcp"} 1)",
           R"(lbd_vip_serving_reals{vip="192.0.2.1:80/tcp",route="office"} 1)",
           R"(lbd_real_slots{vip="192.0.2.1:80/tcp",route="office",real="10.0.0.2"} 16384)",
           R"(lbd_real_slots{vip="192.0.2.1:80/tcp",route="office",real="10.0.0.1"} 0)",
           R"(lbd_vip_reals{vip="192.0.2.1:80/tcp",route="office",state="standby"} 1)",
           R"(lbd_vip_refused_packets_total{vip="192.0.2.1:80/tcp",reason="source_limited"} 8)",
       }) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
  std::istringstream lines(text);
  std::set<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) {
      EXPECT_TRUE(names.insert(line.substr(0, line.rfind(' '))).second) << line;
    }
  }
}

TEST_F(MetricsTest, ARealServesWithSlotsAndANextHop) {
  plane_->next_hops = {{.real = Ip("10.0.0.1"), .hop = {}, .problem = "no route"},
                       {.real = Ip("10.0.0.2"), .hop = {}, .problem = {}}};
  Apply({"10.0.0.1", "10.0.0.2"});
  const std::string text = Text();
  for (const char* line : {
           R"(lbd_vip_serving_reals{vip="192.0.2.1:80/tcp",name="web"} 1)",
           R"(lbd_vip_reals{vip="192.0.2.1:80/tcp",name="web",state="active"} 2)",
           R"(lbd_next_hop_resolved{real="10.0.0.1"} 0)",
           R"(lbd_interface_attached{interface="eth0",mode="native"} 1)",
           R"(lbd_map_bytes{map="lb_ring"} 4096)",
           R"(lbd_config_generation 1)",
           R"(lbd_config_unconfirmed 0)",
       }) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
  EXPECT_THAT(text, HasSubstr("lbd_build_info{version=\"1.2.3\",kernel=\""));
}

TEST_F(MetricsTest, WhatTheProberKnowsIsExported) {
  model::ReplaceConfig change;
  change.config.vips.push_back(
      model::VipOf("192.0.2.1:80/tcp", {"10.0.0.1", "10.0.0.2", "10.0.0.3"}));
  change.config.vips[0].name = "web";
  change.config.vips[0].checks = {{.kind = model::HttpCheck()}, {.kind = model::HttpCheck()}};
  change.config.vips[0].health = {.min_healthy = 3, .fail_open = true};
  ASSERT_TRUE(controller_->Apply(change).ok());
  const model::VipKey key = Key("192.0.2.1:80/tcp");
  checker_->tell({.vip = key, .real = Ip("10.0.0.1"), .up = true, .reason = "", .at = {}});
  checker_->tell({.vip = key, .real = Ip("10.0.0.2"), .up = false, .reason = "", .at = {}});
  ASSERT_TRUE(controller_->SetRealHealth(key, Ip("10.0.0.2"), true, std::nullopt).ok());
  health::Report& report = checker_->report;
  const auto check = [&](std::string_view real, health::State state, const char* blind) {
    health::CheckReport& row = report.checks.emplace_back();
    row.vip = key;
    row.real = Ip(real);
    row.check = "http";
    row.port = 80;
    row.state = state;
    row.blind = blind;
    row.latency_micros = 1500;
  };
  check("10.0.0.1", health::State::kUp, "");
  check("10.0.0.1", health::State::kDown, "");
  check("10.0.0.2", health::State::kDown, "");
  check("10.0.0.3", health::State::kUnknown, "no next hop");
  report.counters = {.started = 12, .succeeded = 6, .frozen = 2, .delayed = 3, .transitions = 4};
  report.counters.failed[static_cast<size_t>(health::Failure::kNoDecap)] = 5;
  report.counters.malformed = 7;
  report.counters.rejected = 8;
  report.counters.late = 9;
  report.counters.resets = 10;
  report.latency.Add(std::chrono::milliseconds(500));
  report.latency.Add(std::chrono::seconds(8));
  report.in_flight = 11;
  report.sockets = {{.interface = "eth0",
                     .problem = "",
                     .queues = 4,
                     .tested = true,
                     .rx_dropped = 1,
                     .rx_ring_full = 2,
                     .fill_ring_empty = 3},
                    {.interface = "eth1", .problem = "busy", .queues = 2, .zero_copy = true}};
  const std::string text = Text();
  for (const char* line : {
           R"(lbd_probing{mode="af_xdp"} 1)",
           R"(lbd_vip_reals{vip="192.0.2.1:80/tcp",name="web",state="active"} 3)",
           R"(lbd_vip_reals{vip="192.0.2.1:80/tcp",name="web",state="down"} 0)",
           R"(lbd_vip_healthy_reals{vip="192.0.2.1:80/tcp",name="web"} 2)",
           R"(lbd_vip_min_healthy_reals{vip="192.0.2.1:80/tcp",name="web"} 3)",
           R"(lbd_vip_failed_open{vip="192.0.2.1:80/tcp",name="web"} 1)",
           R"(lbd_vip_unknown_reals{vip="192.0.2.1:80/tcp",name="web"} 1)",
           R"(lbd_real_up{vip="192.0.2.1:80/tcp",real="10.0.0.1"} 1)",
           R"(lbd_real_up{vip="192.0.2.1:80/tcp",real="10.0.0.2"} 1)",
           R"(lbd_real_up{vip="192.0.2.1:80/tcp",real="10.0.0.3"} 0)",
           R"(lbd_real_health_overridden{vip="192.0.2.1:80/tcp",real="10.0.0.1"} 0)",
           R"(lbd_real_health_overridden{vip="192.0.2.1:80/tcp",real="10.0.0.2"} 1)",
           R"(lbd_check_up{vip="192.0.2.1:80/tcp",real="10.0.0.1",check="http",port="80"} 1)",
           R"(lbd_check_up{vip="192.0.2.1:80/tcp",real="10.0.0.1",check="http-2",port="80"} 0)",
           R"(lbd_check_up{vip="192.0.2.1:80/tcp",real="10.0.0.2",check="http",port="80"} 0)",
           R"(lbd_check_blind{vip="192.0.2.1:80/tcp",real="10.0.0.2",check="http",port="80"} 0)",
           R"(lbd_check_blind{vip="192.0.2.1:80/tcp",real="10.0.0.3",check="http",port="80"} 1)",
           R"(lbd_health_transitions_total 4)",
           R"(lbd_probes_started_total 12)",
           R"(lbd_probe_results_total{result="ok"} 6)",
           R"(lbd_probe_results_total{result="no_decap"} 5)",
           R"(lbd_probe_results_total{result="timeout"} 0)",
           R"(lbd_probes_frozen_total 2)",
           R"(lbd_probes_delayed_total 3)",
           R"(lbd_probe_stray_frames_total{reason="malformed"} 7)",
           R"(lbd_probe_stray_frames_total{reason="rejected"} 8)",
           R"(lbd_probe_stray_frames_total{reason="late"} 9)",
           R"(lbd_probe_resets_total 10)",
           R"(lbd_probes_in_flight 11)",
           R"(lbd_probe_duration_seconds_count 2)",
           R"(lbd_health_reaction_seconds_count 2)",
           R"(lbd_probe_duration_seconds_sum 8.5)",
           R"(lbd_probe_duration_seconds_bucket{le="0.25"} 0)",
           R"(lbd_probe_duration_seconds_bucket{le="1"} 1)",
           R"(lbd_probe_duration_seconds_bucket{le="5"} 1)",
           R"(lbd_probe_duration_seconds_bucket{le="+Inf"} 2)",
           R"(lbd_probe_socket_queues{interface="eth0",mode="copy"} 4)",
           R"(lbd_probe_socket_queues{interface="eth1",mode="zero_copy"} 2)",
           R"(lbd_probe_socket_problem{interface="eth0"} 0)",
           R"(lbd_probe_socket_problem{interface="eth1"} 1)",
           R"(lbd_probe_socket_tested{interface="eth1"} 0)",
           R"(lbd_probe_socket_dropped_frames_total{interface="eth0",reason="rx_other"} 1)",
           R"(lbd_probe_socket_dropped_frames_total{interface="eth0",reason="rx_ring_full"} 2)",
           R"(lbd_probe_socket_dropped_frames_total{interface="eth0",reason="fill_ring_empty"} 3)",
       }) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
  EXPECT_THAT(text, Not(HasSubstr(R"(lbd_check_up{vip="192.0.2.1:80/tcp",real="10.0.0.3")")))
      << "nothing is known of it yet";
  EXPECT_THAT(text, HasSubstr(R"(lbd_check_latency_seconds{vip="192.0.2.1:80/tcp",real="10.0.0.1",)"
                              R"(check="http",port="80"} 0.0015)"));
  for (const char* not_up : {R"(real="10.0.0.1",check="http-2")", R"(real="10.0.0.2")"}) {
    EXPECT_THAT(text, Not(HasSubstr(R"(lbd_check_latency_seconds{vip="192.0.2.1:80/tcp",)" +
                                    std::string(not_up))));
  }
  ASSERT_FALSE(checker_->scopes.empty());
  EXPECT_EQ(checker_->scopes.back().detail, health::Detail::kStates) << "what a scrape may cost";
}

TEST_F(MetricsTest, ThatNothingIsProbedIsExportedToo) {
  Apply({"10.0.0.1"});
  EXPECT_THAT(Text(), HasSubstr("lbd_probing{mode=\"af_xdp\"} 0\n")) << "no VIP has checks";
  EXPECT_THAT(Text(), HasSubstr("lbd_real_up{vip=\"192.0.2.1:80/tcp\",real=\"10.0.0.1\"} 1\n"));
  model::ReplaceConfig change;
  change.config.vips.push_back(model::VipOf("192.0.2.1:80/tcp", {"10.0.0.1"}));
  change.config.vips[0].checks = {{.kind = model::TcpCheck()}};
  ASSERT_TRUE(controller_->Apply(change).ok());
  checker_->report.sockets = {{.interface = "eth0", .problem = "no AF_XDP"}};
  EXPECT_THAT(Text(), HasSubstr("lbd_probing{mode=\"af_xdp\"} 0\n")) << "the host cannot";
  change.config.probes.mode = model::HealthMode::kNone;
  ASSERT_TRUE(controller_->Apply(change).ok());
  EXPECT_THAT(Text(), HasSubstr("lbd_probing{mode=\"none\"} 0\n"));
}

TEST_F(MetricsTest, ReadyWhenSomethingIsForwardedBy) {
  EXPECT_THAT(NotAlive(*controller_), IsEmpty());
  EXPECT_THAT(NotReady(*controller_), ElementsAre("no configuration is in force"));
  Apply({"10.0.0.1"});
  EXPECT_THAT(NotReady(*controller_), IsEmpty());
}

}  // namespace
}  // namespace lb::control
