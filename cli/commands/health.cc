// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/health.h"

#include <fmt/format.h>

#include "cli/objects.h"
#include "cli/output.h"

namespace lb::cli {
namespace {

StatusOr<v1::GetHealthRequest> RequestOf(const HealthArguments& arguments) {
  v1::GetHealthRequest request;
  if (!arguments.vip.empty()) {
    LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  }
  request.set_real(arguments.real);
  return request;
}

std::string Ago(uint64_t milliseconds) {
  return milliseconds < 1000 ? fmt::format("{} ms", milliseconds)
                             : HumanDuration(milliseconds / 1000);
}

std::string Latency(uint32_t micros) {
  if (micros == 0) return "-";
  return micros < 1000 ? fmt::format("{} us", micros) : fmt::format("{:.1f} ms", micros / 1000.0);
}

Cell StateCell(v1::HealthState state) {
  switch (state) {
    case v1::HEALTH_STATE_UP:
      return Cell("up", Colour::kGreen);
    case v1::HEALTH_STATE_DOWN:
      return Cell("down", Colour::kRed);
    default:
      return Cell("unknown", Colour::kYellow);
  }
}

// What the last probe found, or why there is nothing to say.
Cell ResultCell(const v1::CheckHealth& check) {
  if (!check.blind().empty()) return Cell("blind: " + check.blind(), Colour::kYellow);
  if (!check.has_last_milliseconds()) return Cell("-");
  const std::string ago = Ago(check.last_milliseconds());
  if (check.last_reason().empty()) return Cell(fmt::format("{} {} ago", check.last_result(), ago));
  return Cell(fmt::format("{} ({} ago)", check.last_reason(), ago),
              check.last_result() == "ok" ? Colour::kYellow : Colour::kRed);
}

Cell Overridden(const v1::RealHealth& real) {
  const std::string left =
      real.has_override_seconds() ? ", " + HumanDuration(real.override_seconds()) + " left" : "";
  return Cell(fmt::format("set {}{}", real.override_up() ? "up" : "down", left), Colour::kYellow);
}

void AddRows(Table& table, const v1::VipHealth& vip, const v1::RealHealth& real) {
  const std::string name = ToText(vip.vip());
  if (real.has_override_up()) {
    table.Add({name, real.address(), "-", Overridden(real), "-", "-", "-", "-", "-"});
  }
  if (real.checks().empty() && !real.has_override_up()) {
    table.Add(
        {name, real.address(), "-", StateCell(real.state()), "-", "not checked", "-", "-", "-"});
  }
  for (const v1::CheckHealth& check : real.checks()) {
    table.Add({name, real.address(), check.check(), StateCell(check.state()),
               Ago(check.state_milliseconds()), ResultCell(check),
               Latency(check.p50_microseconds()), Latency(check.p99_microseconds()),
               Ago(check.next_milliseconds())});
  }
}

void PrintProblems(const Session& session, const v1::GetHealthResponse& health) {
  std::ostream& out = session.io.out;
  for (const v1::VipHealth& vip : health.vips()) {
    if (vip.healthy() >= vip.min_healthy()) continue;
    out << Paint(fmt::format("{}: {} of {} needed reals are healthy{}", ToText(vip.vip()),
                             vip.healthy(), vip.min_healthy(),
                             vip.failed_open() ? "; all active ones get traffic" : ""),
                 Colour::kRed, session.io.colour)
        << '\n';
  }
  for (const v1::ProbeSocketStats& socket : health.probes().sockets()) {
    if (socket.problem().empty()) continue;
    out << Paint(fmt::format("{}: {}", socket.interface(), Cell::Printable(socket.problem())),
                 Colour::kRed, session.io.colour)
        << '\n';
  }
}

}  // namespace

Status ShowHealth(const Session& session, const HealthArguments& arguments) {
  LB_ASSIGN_OR_RETURN(const v1::GetHealthRequest request, RequestOf(arguments));
  LB_ASSIGN_OR_RETURN(const v1::GetHealthResponse health, session.client.Call(request));
  if (session.PrintForScript(health)) return OkStatus();
  Table table({{"VIP"},
               {"REAL"},
               {"CHECK"},
               {"STATE"},
               {"SINCE", Align::kRight},
               {"LAST RESULT"},
               {"P50", Align::kRight},
               {"P99", Align::kRight},
               {"NEXT", Align::kRight}});
  for (const v1::VipHealth& vip : health.vips()) {
    for (const v1::RealHealth& real : vip.reals()) AddRows(table, vip, real);
  }
  if (!health.probing()) session.io.out << "Nothing is probed; see: lbctl status\n\n";
  session.io.out << table.ToString(session.io.colour);
  PrintProblems(session, health);
  return OkStatus();
}

Status ShowHealthHistory(const Session& session, const HealthArguments& arguments) {
  LB_ASSIGN_OR_RETURN(v1::GetHealthRequest request, RequestOf(arguments));
  request.set_history(true);
  LB_ASSIGN_OR_RETURN(const v1::GetHealthResponse health, session.client.Call(request));
  if (session.PrintForScript(health)) return OkStatus();
  Table table({{"TIME"}, {"VIP"}, {"STATE"}, {"REASON"}});
  for (const v1::VipHealth& vip : health.vips()) {
    for (const v1::RealHealth& real : vip.reals()) {
      for (const v1::HealthTransition& transition : real.history()) {
        table.Add({LocalTime(transition.time()), ToText(vip.vip()),
                   StateCell(transition.up() ? v1::HEALTH_STATE_UP : v1::HEALTH_STATE_DOWN),
                   transition.reason()});
      }
    }
  }
  if (table.empty()) {
    session.io.out << fmt::format("{} has not changed since it is probed\n", arguments.real);
    return OkStatus();
  }
  session.io.out << table.ToString(session.io.colour);
  return OkStatus();
}

Status SetHealth(const Session& session, const HealthArguments& arguments) {
  v1::SetRealHealthRequest request;
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  request.set_real(arguments.real);
  if (arguments.state != "auto") request.set_up(arguments.state == "up");
  if (arguments.seconds) request.set_seconds(*arguments.seconds);
  LB_ASSIGN_OR_RETURN(const v1::SetRealHealthResponse response, session.client.Call(request));
  if (session.PrintForScript(response)) return OkStatus();
  const std::string name = RealName(request.vip(), request.real());
  session.io.out << (request.has_up() ? fmt::format("{} counts as {}\n", name, arguments.state)
                                      : fmt::format("{} is what its checks say\n", name));
  return OkStatus();
}

}  // namespace lb::cli
