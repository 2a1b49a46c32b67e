// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/flow.h"

#include <fmt/format.h>

#include "cli/objects.h"
#include "cli/output.h"

namespace lb::cli {

Status ListFlows(const Session& session, const FlowArguments& arguments) {
  v1::ListFlowsRequest request;
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  if (arguments.limit) request.set_limit(*arguments.limit);
  LB_ASSIGN_OR_RETURN(const v1::ListFlowsResponse response, session.client.Call(request));
  if (session.PrintForScript(response)) return OkStatus();
  Table table({{"REAL"}, {"SLOT", Align::kRight}, {"HASH"}, {"IDLE", Align::kRight}, {"ENDED"}});
  for (const v1::Flow& flow : response.flows()) {
    table.Add({flow.real(), HumanCount(flow.slot()), flow.hash(),
               HumanDuration(flow.idle_seconds()), flow.ended() ? "yes" : ""});
  }
  session.io.out << table.ToString(session.io.colour);
  const auto shown = static_cast<uint64_t>(response.flows_size());
  if (shown < response.total()) {
    session.io.out << fmt::format("{} of {} flows; more with --limit\n", HumanCount(shown),
                                  HumanCount(response.total()));
  }
  return OkStatus();
}

Status PurgeFlows(const Session& session, const FlowArguments& arguments) {
  v1::PurgeFlowsRequest request;
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  request.set_real(arguments.real);
  LB_ASSIGN_OR_RETURN(const v1::PurgeFlowsResponse response, session.client.Call(request));
  if (session.PrintForScript(response)) return OkStatus();
  session.io.out << fmt::format(
      "purged {} flow{} of {}\n", HumanCount(response.purged()), response.purged() == 1 ? "" : "s",
      arguments.real.empty() ? ToText(request.vip()) : RealName(request.vip(), arguments.real));
  return OkStatus();
}

}  // namespace lb::cli
