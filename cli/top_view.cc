// SPDX-License-Identifier: Apache-2.0
#include "cli/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>

#include "cli/objects.h"

namespace lb::cli {
namespace {

constexpr int kMinWidth = 60;
constexpr int kMaxVerdicts = 6;

double Seconds(const TopSample& before, const TopSample& now) {
  return std::max(1e-3, std::chrono::duration<double>(now.at - before.at).count());
}

double Rate(uint64_t before, uint64_t now, double seconds) {
  return now > before ? static_cast<double>(now - before) / seconds : 0;
}

// "203.0.113.10:443/tcp", and "203.0.113.10:443/tcp@office" for the reals of a source route.
std::string NameOf(const v1::VipStats& vip) {
  return ToText(vip.vip()) + (vip.source_route().empty() ? "" : "@" + vip.source_route());
}

// Each of `rows` by what `name` says of it.
template <typename Row, typename Name>
std::map<std::string, const Row*> By(const google::protobuf::RepeatedPtrField<Row>& rows,
                                     Name name) {
  std::map<std::string, const Row*> by;
  for (const Row& row : rows) by.emplace(name(row), &row);
  return by;
}

// Null: there is none.
template <typename Row>
const Row* Find(const std::map<std::string, const Row*>& rows, const std::string& name) {
  const auto it = rows.find(name);
  return it == rows.end() ? nullptr : it->second;
}

TopRow RowOf(std::string name, const v1::Counter& before, const v1::Counter& now, uint64_t flows,
             double seconds) {
  TopRow row = {.name = std::move(name),
                .packets = now.packets(),
                .bytes = now.bytes(),
                .connections = now.connections(),
                .dropped = now.dropped(),
                .flows = flows,
                .packet_rate = Rate(before.packets(), now.packets(), seconds),
                .bit_rate = 8 * Rate(before.bytes(), now.bytes(), seconds),
                .connection_rate = Rate(before.connections(), now.connections(), seconds),
                .drop_rate = Rate(before.dropped(), now.dropped(), seconds)};
  if (row.drop_rate > 0) row.colour = Colour::kYellow;
  return row;
}

// Reals in trouble by their address.
using Trouble = std::map<std::string, const v1::RealHealth*>;

bool IsBlind(const v1::RealHealth& real) {
  return std::ranges::any_of(real.checks(),
                             [](const v1::CheckHealth& check) { return !check.blind().empty(); });
}

void SetHealth(const Trouble& trouble, const std::string& address, TopRow& row) {
  const v1::RealHealth* found = Find(trouble, address);
  if (found == nullptr) {
    row.health = "up";
    return;
  }
  const v1::RealHealth& real = *found;
  if (real.has_override_up()) {
    row.health = real.override_up() ? "set up" : "set down";
  } else if (IsBlind(real)) {
    row.health = "blind";
  } else {
    row.health = real.state() == v1::HEALTH_STATE_UP     ? "up"
                 : real.state() == v1::HEALTH_STATE_DOWN ? "down"
                                                         : "unknown";
  }
  if (!IsUp(real)) {
    row.colour = Colour::kRed;
  } else if (row.health != "up") {
    row.colour = Colour::kYellow;
  }
}

// How many of the VIP's reals, or of its source route's, are up.
void SetHealth(const v1::VipHealth& health, const Trouble& trouble, const v1::VipStats& stats,
               TopRow& row) {
  const auto up = std::ranges::count_if(stats.reals(), [&](const v1::RealStats& real) {
    const v1::RealHealth* found = Find(trouble, real.address());
    return found == nullptr || IsUp(*found);
  });
  row.health = fmt::format("{}/{}", up, stats.reals_size());
  if (up == 0 || health.healthy() < health.min_healthy()) {
    row.colour = Colour::kRed;
  } else if (up < stats.reals_size()) {
    row.colour = Colour::kYellow;
  }
}

// Of a table: "35%", "" where there is none, and only what is empty is "0%".
std::string Share(uint64_t part, uint64_t whole) {
  if (whole == 0) return "";
  const double percent = 100 * static_cast<double>(part) / static_cast<double>(whole);
  return part > 0 && percent < 1 ? "<1%" : fmt::format("{:.0f}%", percent);
}

std::string Fit(std::string text, int width) {
  text = Cell::Printable(text);
  if (static_cast<int>(text.size()) > width) {
    text = text.substr(0, static_cast<size_t>(std::max(0, width - 1))) + "~";
  }
  return fmt::format("{:<{}}", text, width);
}

class Page {
 public:
  Page(const TopSample& before, const TopSample& now, TopState& state, int width)
      : before_(before),
        now_(now),
        state_(state),
        width_(std::max(width, kMinWidth)),
        seconds_(Seconds(before, now)) {}

  std::vector<TopLine> Draw(int height) {
    Head();
    Verdicts();
    const auto rows = TopRows(before_, now_, state_);
    Columns();
    const int fixed = static_cast<int>(lines_.size()) + 1;  // and the foot
    const int room = height == 0 ? static_cast<int>(rows.size()) : std::max(1, height - fixed);
    Rows(rows, room, height == 0);
    if (height == 0) return std::move(lines_);
    while (static_cast<int>(lines_.size()) < height - 1) Add("");
    Add(state_.vip.empty()
            ? "q quit  p/b/c/d/f/n sort  arrows move  enter reals  t totals  space pause"
            : "q quit  p/b/c/d/f/n sort  arrows move  esc back  t totals  space pause",
        Colour::kBold);
    lines_.resize(static_cast<size_t>(height));
    return std::move(lines_);
  }

 private:
  void Add(const std::string& text, Colour colour = Colour::kNone, bool selected = false) {
    lines_.push_back({Fit(text, width_), colour, selected});
  }

  void Head() {
    const v1::GetStatusResponse& status = now_.status;
    std::string interfaces;
    for (const v1::Attachment& attachment : status.attachments()) {
      interfaces += fmt::format("  {} {}{}", attachment.interface(), ToText(attachment.mode()),
                                attachment.link_up() ? "" : " DOWN");
    }
    const uint32_t down = status.reals_down();
    Add(fmt::format("lbd {}  up {}  generation {}{}{}{}", status.version(),
                    HumanDuration(status.uptime_seconds()), status.generation(), interfaces,
                    down == 0 ? "" : fmt::format("  {} not up", down),
                    state_.paused ? "  PAUSED" : ""),
        Colour::kBold);
    double packets = 0, bits = 0, connections = 0;
    uint64_t flows = 0, capacity = 0;
    for (const TopRow& row : TopRows(before_, now_, {})) {
      packets += row.packet_rate;
      bits += row.bit_rate;
      connections += row.connection_rate;
      flows += row.flows;
      capacity += row.flow_capacity;
    }
    Add(fmt::format("forward {} pps  {}bps  {} new conn/s  {} pps dropped", HumanRate(packets),
                    HumanRate(bits), HumanRate(connections), HumanRate(DropRate())));
    const v1::FlowTableStats& table = now_.stats.flow_table();
    const std::string used = Share(flows, capacity);
    Add(fmt::format("flows   {} tracked{}, {} recorded, {} without room", HumanCount(flows),
                    used.empty() ? "" : fmt::format(" ({} of the room)", used),
                    HumanCount(table.inserted()), HumanCount(table.refused())));
    Add("cpus    " + CpuSpread());
  }

  // Those for no VIP included, of whatever reason.
  double DropRate() const {
    const auto dropped = [](const v1::GetStatsResponse& stats) {
      uint64_t sum = 0;
      for (const v1::VerdictStats& verdict : stats.verdicts()) {
        if (verdict.action() == "drop") sum += verdict.packets();
      }
      return sum;
    };
    return Rate(dropped(before_.stats), dropped(now_.stats), seconds_);
  }

  // The share of each CPU of the packets since the last look, or of all.
  std::string CpuSpread() const {
    std::vector<double> rates;
    double sum = 0;
    for (int cpu = 0; cpu < now_.stats.cpu_packets_size(); ++cpu) {
      const uint64_t was =
          cpu < before_.stats.cpu_packets_size() ? before_.stats.cpu_packets(cpu) : 0;
      rates.push_back(state_.totals ? static_cast<double>(now_.stats.cpu_packets(cpu))
                                    : Rate(was, now_.stats.cpu_packets(cpu), seconds_));
      sum += rates.back();
    }
    std::string text;
    for (size_t cpu = 0; cpu < rates.size() && text.size() < static_cast<size_t>(width_); ++cpu) {
      text += fmt::format("{}:{:.0f}% ", cpu, sum > 0 ? 100 * rates[cpu] / sum : 0);
    }
    return text;
  }

  void Verdicts() {
    std::map<std::string, uint64_t> was;
    for (const v1::VerdictStats& verdict : before_.stats.verdicts()) {
      was[verdict.verdict()] = verdict.packets();
    }
    std::vector<std::pair<double, const v1::VerdictStats*>> rows;
    for (const v1::VerdictStats& verdict : now_.stats.verdicts()) {
      if (verdict.packets() == 0) continue;
      rows.emplace_back(state_.totals ? static_cast<double>(verdict.packets())
                                      : Rate(was[verdict.verdict()], verdict.packets(), seconds_),
                        &verdict);
    }
    std::ranges::stable_sort(rows, std::greater<>(), &decltype(rows)::value_type::first);
    std::string text = "verdict ";
    Colour colour = Colour::kNone;
    for (size_t i = 0; i < rows.size() && i < kMaxVerdicts; ++i) {
      const auto& [rate, verdict] = rows[i];
      text += fmt::format(" {} {}", verdict->verdict(),
                          state_.totals ? HumanCount(verdict->packets()) : HumanRate(rate));
      if (verdict->action() == "drop" && rate > 0) colour = Colour::kRed;
    }
    Add(text, colour);
  }

  // Behind the name: packets, bits, connections, drops, flows, the share of the VIP's room that
  // these take, health. Totals need more room than rates, and leave one out (0).
  using Cells = std::array<std::string, 7>;
  static constexpr std::array<int, 7> kRateWidths = {7, 7, 7, 7, 6, 4, 8};
  static constexpr std::array<int, 7> kTotalWidths = {10, 9, 8, 7, 6, 0, 8};

  std::string Line(const std::string& name, const Cells& cells) const {
    const auto& widths = state_.totals ? kTotalWidths : kRateWidths;
    // A long number takes its room from the name.
    std::string right;
    for (size_t i = 0; i < cells.size(); ++i) {
      if (widths[i] > 0) right += fmt::format(" {:>{}}", cells[i], widths[i]);
    }
    return Fit(name, std::max(16, width_ - static_cast<int>(right.size()))) + right;
  }

  void Columns() {
    const auto title = [&](TopColumn column, const char* text) {
      return state_.sort == column ? fmt::format("*{}", text) : std::string(text);
    };
    Add(state_.vip.empty() ? "" : "Reals of " + state_.vip);
    Add(Line(title(TopColumn::kName, state_.vip.empty() ? "VIP" : "REAL"),
             {title(TopColumn::kPackets, state_.totals ? "PACKETS" : "PPS"),
              title(TopColumn::kBits, state_.totals ? "BYTES" : "BPS"),
              title(TopColumn::kConnections, state_.totals ? "CONNS" : "CONN/S"),
              title(TopColumn::kDrops, state_.totals ? "DROPS" : "DROP/S"),
              title(TopColumn::kFlows, "FLOWS"), "USED", "HEALTH"}),
        Colour::kBold);
  }

  void Rows(const std::vector<TopRow>& rows, int room, bool all) {
    const int count = static_cast<int>(rows.size());
    state_.selected = std::clamp(state_.selected, 0, std::max(0, count - 1));
    state_.scroll = std::clamp(state_.scroll, std::max(0, state_.selected - room + 1),
                               std::max(0, state_.selected));
    for (int i = all ? 0 : state_.scroll; i < count && (all || i < state_.scroll + room); ++i) {
      const TopRow& row = rows[static_cast<size_t>(i)];
      const bool totals = state_.totals;
      Add(Line(row.name,
               {totals ? HumanCount(row.packets) : HumanRate(row.packet_rate),
                totals ? HumanBytes(row.bytes) : HumanRate(row.bit_rate),
                totals ? HumanCount(row.connections) : HumanRate(row.connection_rate),
                totals ? HumanCount(row.dropped) : HumanRate(row.drop_rate),
                totals ? HumanCount(row.flows) : HumanRate(static_cast<double>(row.flows)),
                Share(row.flows, row.flow_capacity), row.health}),
          row.colour, !all && i == state_.selected);
    }
  }

  const TopSample& before_;
  const TopSample& now_;
  TopState& state_;
  int width_;
  double seconds_;
  std::vector<TopLine> lines_;
};

}  // namespace

std::string HumanRate(double per_second) {
  constexpr const char* kUnits[] = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  while (per_second >= 999.95 && unit + 1 < std::size(kUnits)) {
    per_second /= 1000;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f}", per_second);
  return fmt::format("{:.1f}{}", per_second, kUnits[unit]);
}

std::vector<TopRow> TopRows(const TopSample& before, const TopSample& now, const TopState& state) {
  const double seconds = Seconds(before, now);
  std::vector<TopRow> rows;
  const auto vips_before = By(before.stats.vips(), NameOf);
  const auto healths =
      By(now.health.vips(), [](const v1::VipHealth& vip) { return ToText(vip.vip()); });
  for (const v1::VipStats& vip : now.stats.vips()) {
    const std::string name = NameOf(vip);
    if (!state.vip.empty() && name != state.vip) continue;
    const v1::VipStats* was = Find(vips_before, name);
    const v1::VipHealth* health = Find(healths, ToText(vip.vip()));
    const Trouble trouble =
        health != nullptr ? By(health->reals(), std::mem_fn(&v1::RealHealth::address)) : Trouble();
    if (state.vip.empty()) {
      const std::string label = vip.name().empty() ? name : name + " " + vip.name();
      rows.push_back(RowOf(label, was != nullptr ? was->total() : vip.total(), vip.total(),
                           vip.tracking().flows(), seconds));
      rows.back().flow_capacity = vip.tracking().flow_capacity();
      if (health != nullptr) SetHealth(*health, trouble, vip, rows.back());
      continue;
    }
    const auto reals_before = was != nullptr
                                  ? By(was->reals(), std::mem_fn(&v1::RealStats::address))
                                  : std::map<std::string, const v1::RealStats*>();
    for (const v1::RealStats& real : vip.reals()) {
      const v1::RealStats* real_was = Find(reals_before, real.address());
      rows.push_back(RowOf(real.address(),
                           real_was != nullptr ? real_was->counter() : real.counter(),
                           real.counter(), real.flows(), seconds));
      if (health != nullptr) SetHealth(trouble, real.address(), rows.back());
    }
  }
  const auto key = [&](const TopRow& row) -> double {
    switch (state.sort) {
      case TopColumn::kPackets:
        return state.totals ? static_cast<double>(row.packets) : row.packet_rate;
      case TopColumn::kBits:
        return state.totals ? static_cast<double>(row.bytes) : row.bit_rate;
      case TopColumn::kConnections:
        return state.totals ? static_cast<double>(row.connections) : row.connection_rate;
      case TopColumn::kDrops:
        return state.totals ? static_cast<double>(row.dropped) : row.drop_rate;
      case TopColumn::kFlows:
        return static_cast<double>(row.flows);
      case TopColumn::kName:
        return 0;
    }
    return 0;
  };
  // By name they come from lbd: numbers in them count as numbers.
  std::ranges::stable_sort(rows, std::greater<>(), key);
  return rows;
}

std::vector<TopLine> DrawTop(const TopSample& before, const TopSample& now, TopState& state,
                             int width, int height) {
  return Page(before, now, state, width).Draw(height);
}

bool OnTopKey(int key, int rows, const std::string& selected_name, TopState& state) {
  const auto move = [&](int by) {
    state.selected = std::clamp(state.selected + by, 0, std::max(0, rows - 1));
  };
  const auto drill = [&](const std::string& vip) {
    state.vip = vip;
    state.selected = state.scroll = 0;
  };
  switch (key) {
    case 'q':
      return false;
    case 'p':
      state.sort = TopColumn::kPackets;
      break;
    case 'b':
      state.sort = TopColumn::kBits;
      break;
    case 'c':
      state.sort = TopColumn::kConnections;
      break;
    case 'd':
      state.sort = TopColumn::kDrops;
      break;
    case 'f':
      state.sort = TopColumn::kFlows;
      break;
    case 'n':
      state.sort = TopColumn::kName;
      break;
    case 't':
      state.totals = !state.totals;
      break;
    case ' ':
      state.paused = !state.paused;
      break;
    case 'k':
      move(-1);
      break;
    case 'j':
      move(1);
      break;
    case '\n':
    case '\r':
      if (state.vip.empty() && rows > 0) drill(selected_name.substr(0, selected_name.find(' ')));
      break;
    case 27:  // escape
      drill("");
      break;
    default:
      break;
  }
  return true;
}

}  // namespace lb::cli
