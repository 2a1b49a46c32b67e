// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/explain.h"

#include <fmt/format.h>

#include <utility>

#include "cli/commands/capture.h"
#include "cli/input.h"
#include "cli/objects.h"
#include "cli/output.h"
#include "lbd/config/document.h"

namespace lb::cli {
namespace {

StatusOr<std::string> FromHex(const std::string& text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == ':' || c == '\n') continue;
    const char* digits = "0123456789abcdef";
    const char* at = std::char_traits<char>::find(digits, 16, static_cast<char>(std::tolower(c)));
    if (at == nullptr) return InvalidArgument("--frame: want hex digits");
    const int digit = static_cast<int>(at - digits);
    if (high >= 0) bytes += static_cast<char>(high << 4 | digit);
    high = high >= 0 ? -1 : digit;
  }
  if (high >= 0) return InvalidArgument("--frame: an odd number of hex digits");
  return bytes;
}

// "203.0.113.10:443/tcp" without its protocol, which is returned; tcp where there is none.
std::string TakeProtocol(std::string& destination) {
  const size_t slash = destination.find('/');
  if (slash == std::string::npos) return "tcp";
  std::string protocol = destination.substr(slash + 1);
  destination.erase(slash);
  return protocol;
}

Status Live(const Session& session, const ExplainArguments& arguments) {
  const std::pair<const char*, bool> made_up[] = {{"--frame", !arguments.frame.empty()},
                                                  {"--flags", !arguments.flags.empty()},
                                                  {"--length", arguments.length.has_value()},
                                                  {"--pending", !arguments.pending.empty()}};
  for (const auto& [option, given] : made_up) {
    if (given) {
      return InvalidArgument(
          fmt::format("--live shows packets as they come and not with {}", option));
    }
  }
  CaptureArguments capture;
  capture.source = arguments.source;
  capture.destination = arguments.destination;
  if (const size_t slash = capture.destination.find('/'); slash != std::string::npos) {
    const std::string protocol = capture.destination.substr(slash + 1);
    if (protocol != "tcp" && protocol != "udp") {
      return InvalidArgument(fmt::format(
          "--live: want a flow of tcp or udp, got \"{}\"; what becomes of other packets: "
          "lbctl capture --prefix ADDRESS",
          protocol));
    }
  }
  capture.count = arguments.count.value_or(1);
  capture.seconds = arguments.seconds;
  return Capture(session, capture);
}

void Print(const Session& session, const v1::ExplainFlowResponse& response) {
  Table table({{}, {}});
  const std::string& action = response.decision().action();
  for (const v1::ExplainStep& step : response.steps()) {
    const bool verdict = step.name() == "verdict";
    table.Add({step.name(), Cell(step.text(), !verdict           ? Colour::kNone
                                              : action == "drop" ? Colour::kRed
                                              : action == "tx"   ? Colour::kGreen
                                                                 : Colour::kYellow)});
  }
  table.Add({"why", response.cause()});
  table.Add({"do", response.next_step()});
  table.Add({"by", response.generation() == 0
                       ? std::string("the pending configuration, which is not applied")
                       : fmt::format("generation {} of the configuration", response.generation())});
  session.io.out << table.ToString(session.io.colour);
}

}  // namespace

Status ExplainFlow(const Session& session, const ExplainArguments& arguments) {
  if (arguments.frame.empty() == arguments.destination.empty()) {
    return InvalidArgument("want SOURCE and DESTINATION, or --frame");
  }
  if (arguments.live) return Live(session, arguments);
  v1::ExplainFlowRequest request;
  if (arguments.frame.empty()) {
    std::string destination = arguments.destination;
    request.set_protocol(TakeProtocol(destination));
    request.set_source(arguments.source);
    request.set_destination(destination);
    for (const std::string& flag : arguments.flags) request.add_tcp_flags(flag);
    if (arguments.length) request.set_ip_length(*arguments.length);
  } else {
    LB_ASSIGN_OR_RETURN(*request.mutable_frame(), FromHex(arguments.frame));
  }
  if (arguments.pending.empty()) {
    LB_ASSIGN_OR_RETURN(const v1::ExplainFlowResponse response, session.client.Call(request));
    if (!session.PrintForScript(response)) Print(session, response);
    return OkStatus();
  }
  LB_ASSIGN_OR_RETURN(const std::string text, ReadInput(arguments.pending, session.io));
  const auto document = config::ParseDocument(text, arguments.pending, *request.mutable_pending());
  LB_RETURN_IF_ERROR(document.status());
  const auto response = session.client.Call(request);
  if (!response.ok()) {
    return Status(response.status().code(), document.Annotate(Message(response.status())));
  }
  if (!session.PrintForScript(*response)) Print(session, *response);
  return OkStatus();
}

}  // namespace lb::cli
