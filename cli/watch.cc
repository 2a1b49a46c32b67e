// SPDX-License-Identifier: Apache-2.0
#include "cli/watch.h"

#include <fmt/format.h>

#include <sstream>

#include "cli/output.h"

namespace lb::cli {
namespace {

constexpr std::string_view kClearScreen = "\033[H\033[2J";

// What `look` prints.
StatusOr<std::string> Page(const Session& session, const Action& look) {
  std::ostringstream page;
  const Io io{session.io.in, page, session.io.err, session.io.colour, session.io.terminal};
  LB_RETURN_IF_ERROR(look({session.client, io, session.format, session.wide, session.names}));
  return page.str();
}

}  // namespace

bool MayAnswerAgain(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

Status Watch(const Session& session, const Action& look, const std::function<bool()>& pause) {
  const Io& io = session.io;
  LB_ASSIGN_OR_RETURN(std::string page, Page(session, look));
  Status answer;
  while (true) {
    if (io.terminal) io.out << kClearScreen;
    if (io.terminal || answer.ok()) io.out << page;
    if (io.terminal && !answer.ok()) {
      io.out << Paint(fmt::format("Trying again: {}", Message(answer)), Colour::kRed, io.colour)
             << '\n';
    }
    io.out << std::flush;
    if (!io.out || !pause()) return OkStatus();
    auto next = Page(session, look);
    // Where there is no page to say it on, once is enough.
    if (!io.terminal && !next.ok() && answer.ok() && MayAnswerAgain(next.status())) {
      io.err << fmt::format("lbctl: trying again: {}", Message(next.status())) << std::endl;
    }
    answer = next.status();
    if (next.ok()) {
      page = *std::move(next);
    } else if (!MayAnswerAgain(answer)) {
      return answer;
    }
  }
}

}  // namespace lb::cli
