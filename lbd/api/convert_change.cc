// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "lbd/api/convert.h"
#include "lbd/base/siphash.h"

namespace lb::api {
namespace {

constexpr size_t kMaxRequestId = 128;
constexpr size_t kMaxComment = 1024;

uint64_t DigestOf(const google::protobuf::Message& request) {
  const std::string bytes = request.GetTypeName() + request.SerializeAsString();
  return SipHash24({.k0 = 0x6c62642072657175, .k1 = 0x65737473},
                   {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

}  // namespace

StatusOr<control::ChangeOptions> OptionsFromProto(const v1::ChangeOptions& proto,
                                                  const google::protobuf::Message& request,
                                                  std::string author) {
  std::vector<model::Problem> problems;
  control::ChangeOptions options{.author = std::move(author),
                                 .comment = proto.comment(),
                                 .request_id = proto.request_id(),
                                 .validate_only = proto.validate_only()};
  if (!options.request_id.empty()) options.request_digest = DigestOf(request);
  if (!proto.etag().empty()) options.etag = proto.etag();
  if (proto.has_max_disruption()) options.max_disruption = proto.max_disruption();
  if (proto.has_max_changes()) options.max_changes = proto.max_changes();
  const auto check_size = [&](const std::string& text, size_t max, std::string_view field) {
    if (text.size() <= max) return;
    problems.push_back({fmt::format("options.{}", field),
                        fmt::format("at most {} characters, got {}", max, text.size())});
  };
  check_size(options.request_id, kMaxRequestId, "request_id");
  check_size(options.comment, kMaxComment, "comment");
  if (options.max_disruption && !(*options.max_disruption >= 0 && *options.max_disruption <= 1)) {
    problems.push_back(
        {"options.max_disruption", fmt::format("must be 0..1, got {}", *options.max_disruption)});
  }
  LB_RETURN_IF_ERROR(model::ToStatus(problems));
  return options;
}

v1::ChangeResult ToProto(const control::Outcome& outcome) {
  v1::ChangeResult proto;
  proto.set_etag(outcome.etag);
  for (const std::string& line : outcome.changes) proto.add_changes(line);
  for (const control::Disruption& disruption : outcome.disruptions) {
    v1::VipDisruption& row = *proto.add_disruptions();
    *row.mutable_vip() = ToProto(disruption.vip);
    row.set_moved_slots(disruption.moved_slots);
    row.set_lost_flows(disruption.lost_flows);
  }
  if (outcome.confirm_by) *proto.mutable_confirm_by() = TimeToProto(*outcome.confirm_by);
  return proto;
}

v1::Revision ToProto(const control::RevisionInfo& info) {
  v1::Revision proto;
  proto.set_generation(info.generation);
  *proto.mutable_time() = TimeToProto(info.time);
  proto.set_author(info.author);
  proto.set_comment(info.comment);
  for (const std::string& line : info.changes) proto.add_changes(line);
  if (info.confirm_by) *proto.mutable_confirm_by() = TimeToProto(*info.confirm_by);
  return proto;
}

}  // namespace lb::api
