// SPDX-License-Identifier: Apache-2.0
#include "cli/top_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

void AddVip(v1::GetStatsResponse& stats, const std::string& address, uint64_t packets,
            uint64_t bytes, uint64_t connections) {
  v1::VipStats& vip = *stats.add_vips();
  vip.mutable_vip()->set_address(address);
  vip.mutable_vip()->set_port(80);
  vip.mutable_vip()->set_protocol(v1::PROTOCOL_TCP);
  vip.set_name("n" + address.substr(address.size() - 1));
  vip.mutable_total()->set_packets(packets);
  vip.mutable_total()->set_bytes(bytes);
  vip.mutable_total()->set_connections(connections);
  v1::RealStats& real = *vip.add_reals();
  real.set_address("10.0.0.1");
  *real.mutable_counter() = vip.total();
}

class TopViewTest : public ::testing::Test {
 protected:
  TopViewTest() {
    AddVip(before_.stats, "192.0.2.1", 1000, 100'000, 10);
    AddVip(before_.stats, "192.0.2.2", 1000, 100'000, 10);
    AddVip(now_.stats, "192.0.2.1", 3000, 300'000, 30);
    AddVip(now_.stats, "192.0.2.2", 2'000'000'000, 200'000, 400'010);
    for (TopSample* sample : {&before_, &now_}) {
      sample->status.set_version("1.2.3");
      sample->stats.add_cpu_packets(sample == &now_ ? 300 : 0);
      sample->stats.add_cpu_packets(sample == &now_ ? 100 : 0);
      v1::VerdictStats& drop = *sample->stats.add_verdicts();
      drop.set_verdict("no_real");
      drop.set_action("drop");
      drop.set_packets(sample == &now_ ? 5000 : 1000);
    }
    now_.at = before_.at + std::chrono::seconds(2);
  }

  TopSample before_;
  TopSample now_;
  TopState state_;
};

TEST_F(TopViewTest, RowsAreSortedByWhatIsChosen) {
  auto rows = TopRows(before_, now_, state_);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].name, "192.0.2.2:80/tcp n2");
  EXPECT_EQ(rows[1].packet_rate, 1000);
  EXPECT_EQ(rows[1].bit_rate, 800'000);
  EXPECT_EQ(rows[1].connection_rate, 10);
  state_.sort = TopColumn::kBits;
  EXPECT_EQ(TopRows(before_, now_, state_)[0].name, "192.0.2.1:80/tcp n1");
  state_.sort = TopColumn::kName;
  EXPECT_EQ(TopRows(before_, now_, state_)[0].name, "192.0.2.1:80/tcp n1");
}

TEST_F(TopViewTest, APageFillsTheTerminalAndNoMore) {
  for (const auto& [width, height] : {std::pair(80, 24), {120, 50}, {60, 8}, {200, 10}}) {
    const auto lines = DrawTop(before_, now_, state_, width, height);
    ASSERT_EQ(lines.size(), static_cast<size_t>(height));
    for (const TopLine& line : lines) EXPECT_EQ(line.text.size(), static_cast<size_t>(width));
  }
}

TEST_F(TopViewTest, ThePageSaysWhatGoesOn) {
  const auto lines = DrawTop(before_, now_, state_, 80, 24);
  EXPECT_THAT(lines[0].text, StartsWith("lbd 1.2.3"));
  EXPECT_THAT(lines[1].text, HasSubstr("1.0G pps"));
  EXPECT_THAT(lines[1].text, HasSubstr("2.0k pps dropped"));
  EXPECT_THAT(lines[2].text, HasSubstr("0 tracked, 0 recorded, 0 without room"));
  EXPECT_THAT(lines[3].text, HasSubstr("0:75% 1:25%"));
  EXPECT_THAT(lines[4].text, HasSubstr("no_real 2.0k"));
  EXPECT_EQ(lines[4].colour, Colour::kRed);
  EXPECT_THAT(lines[6].text, HasSubstr("*PPS"));
  EXPECT_THAT(lines[7].text, StartsWith("192.0.2.2:80/tcp n2"));
  EXPECT_TRUE(lines[7].selected);
}

TEST_F(TopViewTest, ItShowsWhoDropsAndHowFullTheFlowTableIs) {
  for (const auto& [sample, dropped] : {std::pair(&before_, 1), {&now_, 3}}) {
    v1::VipStats& vip = *sample->stats.mutable_vips(0);
    vip.mutable_total()->set_dropped(dropped);
    vip.mutable_reals(0)->mutable_counter()->set_dropped(dropped);
  }
  v1::TrackingStats& tracking = *now_.stats.mutable_vips(0)->mutable_tracking();
  tracking.set_flows(1500);
  tracking.set_flow_capacity(2048);
  now_.stats.mutable_vips(1)->mutable_tracking()->set_flow_capacity(2048);
  now_.stats.mutable_flow_table()->set_refused(7);
  OnTopKey('d', 2, "", state_);
  auto lines = DrawTop(before_, now_, state_, 80, 24);
  EXPECT_THAT(lines[2].text, HasSubstr("1,500 tracked (37% of the room), 0 recorded, 7 without"));
  EXPECT_THAT(lines[6].text, HasSubstr("*DROP/S  FLOWS USED"));
  EXPECT_THAT(lines[7].text, StartsWith("192.0.2.1:80/tcp n1"));
  EXPECT_THAT(lines[7].text, HasSubstr("       1   1.5k  73%"));
  EXPECT_EQ(lines[7].colour, Colour::kYellow);
  EXPECT_THAT(lines[8].text, HasSubstr("       0      0   0%"));
  EXPECT_EQ(lines[8].colour, Colour::kNone);
  tracking.set_flows(1);
  lines = DrawTop(before_, now_, state_, 80, 24);
  EXPECT_THAT(lines[2].text, HasSubstr("1 tracked (<1% of the room)"));
  EXPECT_THAT(lines[7].text, HasSubstr("       1      1  <1%"));

  state_.vip = "192.0.2.1:80/tcp";
  lines = DrawTop(before_, now_, state_, 80, 24);
  EXPECT_THAT(lines[7].text, HasSubstr("       1      0     ")) << "a real has no room of its own";
  state_.totals = true;
  lines = DrawTop(before_, now_, state_, 80, 24);
  EXPECT_THAT(lines[6].text, HasSubstr("*DROPS"));
  EXPECT_THAT(lines[7].text, HasSubstr("      3      0     "));
}

TEST_F(TopViewTest, KeysSortMoveAndDrillDown) {
  EXPECT_TRUE(OnTopKey('j', 2, "a", state_));
  EXPECT_EQ(state_.selected, 1);
  OnTopKey('j', 2, "a", state_);
  EXPECT_EQ(state_.selected, 1);
  OnTopKey('\n', 2, "192.0.2.1:80/tcp n1", state_);
  EXPECT_EQ(state_.vip, "192.0.2.1:80/tcp");
  const auto rows = TopRows(before_, now_, state_);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].name, "10.0.0.1");
  EXPECT_EQ(rows[0].packet_rate, 1000);
  const auto lines = DrawTop(before_, now_, state_, 80, 24);
  EXPECT_THAT(lines[5].text, StartsWith("Reals of 192.0.2.1:80/tcp "));
  EXPECT_THAT(lines[6].text, StartsWith("REAL "));
  OnTopKey(27, 1, "", state_);
  EXPECT_EQ(state_.vip, "");
  OnTopKey('c', 2, "", state_);
  EXPECT_EQ(state_.sort, TopColumn::kConnections);
  EXPECT_FALSE(OnTopKey('q', 2, "", state_));
}

TEST_F(TopViewTest, TheHealthOfRealsIsShownAndColoured) {
  for (const char* address : {"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}) {
    now_.stats.mutable_vips(0)->add_reals()->set_address(address);
  }
  v1::VipHealth& vip = *now_.health.add_vips();
  *vip.mutable_vip() = now_.stats.vips(0).vip();
  vip.set_healthy(3);
  vip.set_min_healthy(1);
  const auto real = [&](const char* address, v1::HealthState state) -> v1::RealHealth& {
    v1::RealHealth& row = *vip.add_reals();
    row.set_address(address);
    row.set_state(state);
    return row;
  };
  // 10.0.0.1 is not in it, so it is up.
  real("10.0.0.2", v1::HEALTH_STATE_DOWN);
  real("10.0.0.3", v1::HEALTH_STATE_UNKNOWN);
  real("10.0.0.4", v1::HEALTH_STATE_UP).add_checks()->set_blind("no next hop");
  real("10.0.0.5", v1::HEALTH_STATE_DOWN).set_override_up(true);
  now_.status.set_reals_down(2);
  state_.sort = TopColumn::kName;
  const auto lines = DrawTop(before_, now_, state_, 80, 24);
  EXPECT_THAT(lines[0].text, HasSubstr("2 not up"));
  EXPECT_THAT(lines[6].text, EndsWith("  HEALTH"));
  EXPECT_THAT(lines[7].text, EndsWith("  3/5"));
  EXPECT_EQ(lines[7].colour, Colour::kYellow);
  EXPECT_THAT(lines[8].text, EndsWith("   ")) << "nothing is known of this one";
  vip.set_min_healthy(4);
  EXPECT_EQ(DrawTop(before_, now_, state_, 80, 24)[7].colour, Colour::kRed);
  v1::VipHealth& empty = *now_.health.add_vips();
  *empty.mutable_vip() = now_.stats.vips(1).vip();
  now_.stats.mutable_vips(1)->clear_reals();
  EXPECT_THAT(DrawTop(before_, now_, state_, 80, 24)[8].text, EndsWith("  0/0"));
  EXPECT_EQ(DrawTop(before_, now_, state_, 80, 24)[8].colour, Colour::kRed);

  state_.vip = "192.0.2.1:80/tcp";
  const auto rows = TopRows(before_, now_, state_);
  ASSERT_EQ(rows.size(), 5u);
  constexpr std::pair<const char*, Colour> kWanted[] = {{"up", Colour::kNone},
                                                        {"down", Colour::kRed},
                                                        {"unknown", Colour::kRed},
                                                        {"blind", Colour::kYellow},
                                                        {"set up", Colour::kYellow}};
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].health, kWanted[i].first) << rows[i].name;
    EXPECT_EQ(rows[i].colour, kWanted[i].second) << rows[i].name;
  }
}

TEST_F(TopViewTest, TotalsAreExact) {
  state_.totals = true;
  const auto lines = DrawTop(before_, now_, state_, 100, 0);
  EXPECT_THAT(lines.back().text, HasSubstr("3,000"));
  EXPECT_THAT(lines[7].text, HasSubstr("2,000,000,000"));
}

TEST(HumanRateTest, ThreeDigitsAndAUnit) {
  EXPECT_EQ(HumanRate(0), "0");
  EXPECT_EQ(HumanRate(999.4), "999");
  EXPECT_EQ(HumanRate(1234), "1.2k");
  EXPECT_EQ(HumanRate(999'950), "1.0M");
  EXPECT_EQ(HumanRate(12'345'678'901), "12.3G");
}

}  // namespace
}  // namespace lb::cli
