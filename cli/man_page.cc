// SPDX-License-Identifier: Apache-2.0
#include "cli/man_page.h"

#include <fmt/format.h>

namespace lb::cli {
namespace {

// Text as troff prints it: no escapes, no requests, hyphens that can be copied.
std::string Escape(std::string_view text) {
  std::string out;
  bool line_starts = true;
  for (const char c : text) {
    if (line_starts && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_starts = c == '\n';
  }
  return out;
}

std::string Verbatim(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  while (text.starts_with('\n')) text.remove_prefix(1);
  return ".nf\n" + Escape(text) + "\n.fi\n";
}

}  // namespace

std::string ManPage(std::string_view version, std::string_view summary, std::string_view overview,
                    const std::vector<ManSection>& commands) {
  std::string page = fmt::format(".TH LBCTL 1 \"\" \"lbd {}\" \"lbd\"\n", version);
  page += fmt::format(".SH NAME\nlbctl \\- {}\n", Escape(summary));
  page += ".SH SYNOPSIS\n.B lbctl\n.I COMMAND\n[OPTIONS]\n";
  page += ".SH DESCRIPTION\n" + Verbatim(overview);
  page += ".SH COMMANDS\n";
  for (const ManSection& command : commands) {
    page += fmt::format(".SS {}\n", Escape(command.command)) + Verbatim(command.help);
  }
  page += ".SH SEE ALSO\n.BR lbd (8),\n.BR lbagent (8)\n";
  return page;
}

}  // namespace lb::cli
