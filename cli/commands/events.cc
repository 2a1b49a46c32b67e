// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/events.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/objects.h"
#include "cli/output.h"
#include "lbd/config/document_writer.h"
#include "lbd/config/field_names.h"

namespace lb::cli {
namespace {

Colour ColourOf(v1::EventKind kind) {
  switch (kind) {
    case v1::EVENT_KIND_WARNING:
      return Colour::kYellow;
    case v1::EVENT_KIND_CONFIG:
      return Colour::kBold;
    default:
      return Colour::kNone;
  }
}

std::string KindName(v1::EventKind kind) {
  const auto* value = v1::EventKind_descriptor()->FindValueByNumber(kind);
  return value != nullptr ? config::ShortName(*value) : fmt::format("{}", static_cast<int>(kind));
}

// A message of several lines is shown with the later ones indented.
std::string Lines(const std::string& message) {
  std::string text;
  size_t begin = 0;
  while (begin <= message.size()) {
    const size_t end = std::min(message.find('\n', begin), message.size());
    if (begin > 0) text += "\n    ";
    text += Cell::Printable(std::string_view(message).substr(begin, end - begin));
    begin = end + 1;
  }
  return text;
}

void Print(const Session& session, const v1::Event& event) {
  std::ostream& out = session.io.out;
  switch (session.format) {
    case Format::kTable: {
      const std::string kind = fmt::format("{:8}", KindName(event.kind()));
      out << LocalTime(event.time()) << "  "
          << Paint(kind, ColourOf(event.kind()), session.io.colour) << "  "
          << (event.object().empty() ? "" : Cell::Printable(event.object()) + ": ")
          << Lines(event.message()) << '\n';
      return;
    }
    case Format::kJson:  // one line each
      out << config::ToJson(event, config::Fields::kAll).dump() << '\n';
      return;
    case Format::kYaml:
      out << "---\n" << config::FormatYaml(event, config::Fields::kAll);
      return;
  }
}

void PrintGap(const Session& session, const v1::WatchEventsResponse& response) {
  if (response.restarted()) {
    session.io.err << "lbctl: lbd was started anew meanwhile; its last events before that are "
                      "lost\n";
  }
  if (response.missed() > 0) {
    session.io.err << fmt::format("lbctl: {} events were missed\n", response.missed());
  }
}

}  // namespace

Status ShowEvents(const Session& session, const EventsArguments& arguments) {
  v1::WatchEventsRequest request;
  if (arguments.from) {
    request.set_from_sequence(*arguments.from);
  } else if (!arguments.follow) {
    request.set_from_sequence(0);
  }
  for (const std::string& name : arguments.kinds) {
    const auto* kind = config::FindValue(*v1::EventKind_descriptor(), name);
    request.add_kinds(static_cast<v1::EventKind>(kind->number()));
  }
  return session.client.Watch(request, [&](const v1::WatchEventsResponse& response) {
    PrintGap(session, response);
    for (const v1::Event& event : response.events()) Print(session, event);
    session.io.out.flush();
    return arguments.follow || !response.caught_up();
  });
}

}  // namespace lb::cli
