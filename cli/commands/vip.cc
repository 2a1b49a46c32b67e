// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/vip.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/commands/real.h"
#include "cli/objects.h"
#include "cli/output.h"
#include "lbd/config/document_writer.h"

namespace lb::cli {
namespace {

// The VIP that the arguments describe.
StatusOr<v1::Vip> Build(const VipArguments& arguments) {
  LB_ASSIGN_OR_RETURN(const v1::VipKey key, ParseVip(arguments.vip));
  v1::Vip vip;
  vip.set_address(key.address());
  if (key.has_port()) vip.set_port(key.port());
  vip.set_any_port(key.any_port());
  vip.set_protocol(key.protocol());
  if (arguments.name) vip.set_name(*arguments.name);
  if (arguments.ring) {
    LB_ASSIGN_OR_RETURN(const v1::RingScheme scheme, ParseRingScheme(*arguments.ring));
    vip.mutable_ring()->set_scheme(scheme);
  }
  if (arguments.ring_bits) vip.mutable_ring()->set_bits(*arguments.ring_bits);
  for (const std::string& text : arguments.reals) {
    LB_ASSIGN_OR_RETURN(*vip.add_reals(), ParseReal(text));
  }
  return vip;
}

// The addresses that no next hop leads to.
StatusOr<std::set<std::string>> Unreachable(const Session& session) {
  LB_ASSIGN_OR_RETURN(const v1::GetStatusResponse status,
                      session.client.Call(v1::GetStatusRequest()));
  std::set<std::string> addresses;
  for (const v1::NextHopStatus& hop : status.next_hops()) {
    if (!hop.problem().empty()) addresses.insert(hop.real());
  }
  return addresses;
}

}  // namespace

Status AddVip(const Session& session, const VipArguments& arguments) {
  v1::AddVipRequest request;
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), Build(arguments));
  LB_ASSIGN_OR_RETURN(const v1::AddVipResponse response, session.client.Call(request));
  if (session.PrintForScript(response)) return OkStatus();
  session.io.out << "added " << ToText(KeyOf(request.vip())) << '\n';
  return OkStatus();
}

Status UpdateVip(const Session& session, const VipArguments& arguments) {
  v1::UpdateVipRequest request;
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), Build(arguments));
  auto& mask = *request.mutable_update_mask();
  if (arguments.name) mask.add_paths("name");
  if (arguments.ring) mask.add_paths("ring.scheme");
  if (arguments.ring_bits) mask.add_paths("ring.bits");
  if (!arguments.reals.empty()) mask.add_paths("reals");
  LB_ASSIGN_OR_RETURN(const v1::UpdateVipResponse response, session.client.Call(request));
  if (session.PrintForScript(response)) return OkStatus();
  session.io.out << "updated " << ToText(KeyOf(request.vip())) << '\n';
  return OkStatus();
}

Status DeleteVip(const Session& session, const VipArguments& arguments) {
  v1::DeleteVipRequest request;
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  auto response = session.client.Call(request);
  if (arguments.if_exists && absl::IsNotFound(response.status())) {
    if (session.PrintForScript(v1::DeleteVipResponse())) return OkStatus();
    session.io.out << ToText(request.vip()) << " does not exist\n";
    return OkStatus();
  }
  LB_RETURN_IF_ERROR(response.status());
  if (session.PrintForScript(*response)) return OkStatus();
  session.io.out << "deleted " << ToText(request.vip()) << '\n';
  return OkStatus();
}

Status ListVips(const Session& session) {
  LB_ASSIGN_OR_RETURN(const v1::ListVipsResponse response,
                      session.client.Call(v1::ListVipsRequest()));
  if (session.PrintForScript(response)) return OkStatus();
  LB_ASSIGN_OR_RETURN(const std::set<std::string> unreachable, Unreachable(session));
  Table table({{"VIP"}, {"NAME"}, {"REALS", Align::kRight}, {"USABLE", Align::kRight}, {"RING"}});
  for (const v1::Vip& vip : response.vips()) {
    const auto usable = std::ranges::count_if(vip.reals(), [&](const v1::Real& real) {
      return IsUp(real) && WeightOf(real) > 0 && !unreachable.contains(real.address());
    });
    const Colour colour = usable == 0                   ? Colour::kRed
                          : usable < vip.reals().size() ? Colour::kYellow
                                                        : Colour::kGreen;
    table.Add({ToText(KeyOf(vip)), vip.name(), fmt::format("{}", vip.reals_size()),
               Cell(fmt::format("{}", usable), colour), ToText(vip.ring())});
  }
  session.io.out << table.ToString(session.io.colour);
  return OkStatus();
}

Status ShowVip(const Session& session, const VipArguments& arguments) {
  LB_ASSIGN_OR_RETURN(const v1::VipKey key, ParseVip(arguments.vip));
  LB_ASSIGN_OR_RETURN(const v1::ListVipsResponse vips, session.client.Call(v1::ListVipsRequest()));
  const auto vip = std::ranges::find_if(
      vips.vips(), [&](const v1::Vip& other) { return SameVip(KeyOf(other), key); });
  if (vip == vips.vips().end()) {
    return NotFound(fmt::format("there is no VIP {}; see: lbctl vip list", ToText(key)));
  }
  v1::ListRealsRequest request;
  *request.mutable_vip() = key;
  LB_ASSIGN_OR_RETURN(const v1::ListRealsResponse reals, session.client.Call(request));
  if (session.format != Format::kTable) {
    nlohmann::ordered_json value = {{"vip", config::ToJson(*vip, config::Fields::kAll)}};
    value.update(config::ToJson(reals, config::Fields::kAll));
    session.PrintForScript(value);
    return OkStatus();
  }
  Table head({{}, {}});
  head.Add({"VIP", ToText(key)});
  head.Add({"Name", vip->name().empty() ? "-" : vip->name()});
  head.Add({"Ring", ToText(vip->ring())});
  if (reals.reals_size() > 0) head.Add({"Slots", HumanCount(reals.reals(0).ring_slots())});
  session.io.out
      << head.ToString(session.io.colour) << '\n'
      << RealTable({{ToText(key), reals}}, /*with_vip=*/false).ToString(session.io.colour);
  return OkStatus();
}

}  // namespace lb::cli
