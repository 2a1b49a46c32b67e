// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/top.h"

#define NCURSES_NOMACROS 1  // erase(), timeout() and more would hide ours
#include <ncurses.h>

#include <absl/cleanup/cleanup.h>
#include <fmt/format.h>

#include <cmath>
#include <future>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/watch.h"

namespace lb::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kDefaultInterval{1000};
constexpr milliseconds kGlance{20};      // between two glances at a look that is under way
constexpr milliseconds kPatience{2000};  // until the page says that lbd does not answer
constexpr int kPageWidth = 100;

// The terminal in full-screen mode, while it lives.
class Screen {
 public:
  Screen() {
    // Not initscr(), which ends the process where it fails.
    screen_ = newterm(nullptr, stdout, stdin);
    if (screen_ == nullptr) return;
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    if (has_colors()) {
      start_color();
      use_default_colors();
      init_pair(1, COLOR_GREEN, -1);
      init_pair(2, COLOR_YELLOW, -1);
      init_pair(3, COLOR_RED, -1);
    }
  }
  ~Screen() {
    if (screen_ == nullptr) return;
    endwin();
    delscreen(screen_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  bool ok() const { return screen_ != nullptr; }

  static void Show(const std::vector<TopLine>& lines, bool colour) {
    erase();
    int row = 0;
    for (const TopLine& line : lines) {
      attr_t attributes = line.selected ? A_REVERSE : A_NORMAL;
      if (line.colour == Colour::kBold) attributes |= A_BOLD;
      if (colour && line.colour == Colour::kYellow) attributes |= COLOR_PAIR(2);
      if (colour && line.colour == Colour::kRed) attributes |= COLOR_PAIR(3);
      attrset(attributes);
      mvaddnstr(row++, 0, line.text.c_str(), COLS);
    }
    refresh();
  }

  // A key within `patience`, or ERR.
  static int Key(milliseconds patience) {
    timeout(static_cast<int>(patience.count()));
    const int key = getch();
    if (key == KEY_UP) return 'k';
    if (key == KEY_DOWN) return 'j';
    if (key == KEY_ENTER) return '\n';
    if (key == KEY_BACKSPACE || key == KEY_LEFT) return 27;
    return key;
  }

 private:
  SCREEN* screen_ = nullptr;
};

Status Once(const Session& session, milliseconds interval) {
  LB_ASSIGN_OR_RETURN(const TopSample before, Look(session));
  Interrupt interrupt;
  if (!interrupt.Sleep(interval)) return OkStatus();
  LB_ASSIGN_OR_RETURN(const TopSample now, Look(session));
  if (session.PrintForScript(now.stats)) return OkStatus();
  TopState state{.sort = TopColumn::kName, .totals = true};
  for (const TopLine& line : DrawTop(before, now, state, kPageWidth, 0)) {
    std::string text = line.text;
    text.erase(text.find_last_not_of(' ') + 1);
    session.io.out << Paint(text, line.colour, session.io.colour) << '\n';
  }
  return OkStatus();
}

// The page, with the foot that says what keeps it from being new.
std::vector<TopLine> Draw(const TopLooks& looks, milliseconds waited, TopState& state) {
  std::vector<TopLine> lines = DrawTop(looks.before, looks.now, state, COLS, LINES);
  std::string problem = looks.problem;
  if (problem.empty() && waited > kPatience) {
    problem = fmt::format("No answer from lbd for {} s", waited.count() / 1000);
  }
  if (!problem.empty() && !lines.empty()) {
    lines.back() = {.text = std::move(problem), .colour = Colour::kRed};
  }
  return lines;
}

// False: leave.
bool OnKey(int key, const TopLooks& looks, TopState& state) {
  const auto rows = TopRows(looks.before, looks.now, state);
  const std::string name =
      rows.empty() ? "" : rows[static_cast<size_t>(state.selected) % rows.size()].name;
  return OnTopKey(key, static_cast<int>(rows.size()), name, state);
}

// Looks are taken in the background, so that keys work while lbd does not answer.
Status Live(const Session& session, milliseconds interval) {
  LB_ASSIGN_OR_RETURN(TopLooks looks, FirstLook(session));
  TopState state;
  const Screen screen;
  if (!screen.ok()) return FailedPrecondition("this terminal has no full screen; use --once");
  std::future<StatusOr<TopSample>> look;  // the one that is under way
  const absl::Cleanup leave = [&] { session.client.Cancel(); };
  auto due = steady_clock::now() + milliseconds(100);  // the first rates come soon
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(due - steady_clock::now());
    Screen::Show(Draw(looks, -left, state), session.io.colour);
    const int key = Screen::Key(look.valid() ? kGlance : std::max(left, milliseconds(0)));
    if (key != ERR && !OnKey(key, looks, state)) return OkStatus();
    if (look.valid()) {
      if (look.wait_for(milliseconds(0)) != std::future_status::ready) continue;
      LB_RETURN_IF_ERROR(Take(look.get(), looks));
      due = steady_clock::now() + interval;
    } else if (state.paused) {
      due = steady_clock::now() + interval;
    } else if (steady_clock::now() >= due) {
      look = std::async(std::launch::async, Look, std::cref(session));
    }
  }
}

}  // namespace

StatusOr<TopSample> Look(const Session& session) {
  TopSample sample;
  LB_ASSIGN_OR_RETURN(sample.stats, session.client.Call(v1::GetStatsRequest()));
  sample.at = steady_clock::now();
  LB_ASSIGN_OR_RETURN(sample.status, session.client.GetBriefStatus());
  LB_ASSIGN_OR_RETURN(sample.health, session.client.GetBriefHealth());
  return sample;
}

StatusOr<TopLooks> FirstLook(const Session& session) {
  LB_ASSIGN_OR_RETURN(const TopSample sample, Look(session));
  return TopLooks{.before = sample, .now = sample, .problem = ""};
}

Status Take(StatusOr<TopSample> look, TopLooks& looks) {
  if (look.ok()) {
    looks.before = std::exchange(looks.now, *std::move(look));
    looks.problem.clear();
    return OkStatus();
  }
  if (!MayAnswerAgain(look.status())) return look.status();
  looks.problem = "Trying again: " + Message(look.status());
  return OkStatus();
}

Status Top(const Session& session, const TopArguments& arguments) {
  const milliseconds interval = arguments.interval
                                    ? milliseconds(std::llround(*arguments.interval * 1000))
                                    : kDefaultInterval;
  if (arguments.once || !session.io.terminal) return Once(session, interval);
  return Live(session, interval);
}

}  // namespace lb::cli
