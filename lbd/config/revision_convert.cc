// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/revision_convert.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <tuple>

#include "lbd/api/convert.h"

namespace lb::config {
namespace {

int64_t ToMicros(control::WallTime time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

control::WallTime FromMicros(int64_t micros) {
  return control::WallTime(std::chrono::microseconds(micros));
}

using ProtoKey = std::tuple<std::string, uint32_t, uint32_t, int>;

// A VipKey or a Vip: they name the same fields.
template <typename Proto>
ProtoKey KeyOf(const Proto& proto) {
  return {proto.address(), proto.port(), proto.last_port(), proto.protocol()};
}

}  // namespace

state::RevisionHeader HeaderToProto(const control::RevisionInfo& info) {
  state::RevisionHeader header;
  header.set_generation(info.generation);
  header.set_time_unix_micros(ToMicros(info.time));
  header.set_author(info.author);
  header.set_comment(info.comment);
  for (const std::string& change : info.changes) header.add_changes(change);
  for (const auto& request : info.requests) {
    header.add_requests()->set_id(request.id);
    header.mutable_requests()->rbegin()->set_digest(request.digest);
  }
  if (info.confirm_by) header.set_confirm_by_unix_micros(ToMicros(*info.confirm_by));
  header.set_restores(info.restores);
  return header;
}

control::RevisionInfo InfoFromProto(const state::RevisionHeader& header) {
  control::RevisionInfo info{.generation = header.generation(),
                             .time = FromMicros(header.time_unix_micros()),
                             .author = header.author(),
                             .comment = header.comment(),
                             .changes = {header.changes().begin(), header.changes().end()},
                             .restores = header.restores()};
  for (const auto& request : header.requests()) {
    info.requests.push_back({request.id(), request.digest()});
  }
  if (header.confirm_by_unix_micros() != 0) {
    info.confirm_by = FromMicros(header.confirm_by_unix_micros());
  }
  return info;
}

state::RevisionBody BodyToProto(const model::Config& config,
                                const std::optional<std::set<model::VipKey>>& touched) {
  state::RevisionBody body;
  model::Config part{.settings = config.settings, .vips = {}};
  if (touched) {
    std::set<model::VipKey> gone = *touched;
    for (const model::Vip& vip : config.vips) {
      if (gone.erase(vip.key) > 0) part.vips.push_back(vip);
    }
    for (const model::VipKey& key : gone) *body.add_deleted() = api::ToProto(key);
  }
  *body.mutable_config() = api::ToProto(touched ? part : config);
  if (!config.settings.has_default_hash_key()) {
    const HashKey& key = config.settings.hash_key;
    body.mutable_config()->set_hash_key(fmt::format("{:016x}{:016x}", key.k0, key.k1));
  }
  return body;
}

state::RevisionBody Complete(state::RevisionBody base, const state::RevisionBody& partial) {
  state::RevisionBody whole;
  *whole.mutable_config() = partial.config();
  whole.mutable_config()->clear_vips();
  std::map<ProtoKey, const v1::Vip*> changed;
  std::set<ProtoKey> deleted;
  for (const v1::Vip& vip : partial.config().vips()) changed[KeyOf(vip)] = &vip;
  for (const v1::VipKey& key : partial.deleted()) deleted.insert(KeyOf(key));
  for (v1::Vip& vip : *base.mutable_config()->mutable_vips()) {
    if (deleted.contains(KeyOf(vip))) continue;
    const auto it = changed.find(KeyOf(vip));
    if (it == changed.end()) {
      *whole.mutable_config()->add_vips() = std::move(vip);
    } else {
      *whole.mutable_config()->add_vips() = *it->second;
      changed.erase(it);
    }
  }
  // Those that are new, in their order.
  for (const v1::Vip& vip : partial.config().vips()) {
    if (changed.contains(KeyOf(vip))) *whole.mutable_config()->add_vips() = vip;
  }
  return whole;
}

StatusOr<model::Config> ConfigFromBody(const state::RevisionBody& body, uint64_t generation) {
  api::ConvertedConfig converted = api::ConfigFromProto(body.config());
  LB_RETURN_IF_ERROR(Annotate(model::ToStatus(converted.problems),
                              fmt::format("revision {} does not suit this lbd", generation)));
  if (converted.change.hash_key) {
    converted.change.config.settings.hash_key = *converted.change.hash_key;
  }
  return std::move(converted.change.config);
}

}  // namespace lb::config
