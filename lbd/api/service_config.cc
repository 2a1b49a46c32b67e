// SPDX-License-Identifier: Apache-2.0
// The calls about the configuration as a whole.
#include <fmt/format.h>

#include <algorithm>

#include "lbd/api/change_call.h"
#include "lbd/api/service.h"
#include "lbd/model/diff.h"

namespace lb::api {
namespace {

constexpr uint32_t kMaxConfirmSeconds = 86400;

}  // namespace

grpc::Status LoadBalancerService::ApplyConfig(grpc::ServerContext* context,
                                              const v1::ApplyConfigRequest* request,
                                              v1::ApplyConfigResponse* response) {
  auto options = OptionsFromProto(request->options(), *request, AuthorOf(*context));
  if (!options.ok()) return ToGrpc(options.status());
  if (request->has_confirm_within_seconds()) {
    const uint32_t asked = request->confirm_within_seconds();
    if (asked == 0 || asked > kMaxConfirmSeconds) {
      return ToGrpc(InvalidArgument(
          fmt::format("confirm_within_seconds: must be 1..{}, got {}", kMaxConfirmSeconds, asked)));
    }
    options->confirm_within = std::chrono::seconds(asked);
  }
  const auto change = ChangeFromProto(*request);
  if (!change.ok()) return ToGrpc(change.status());
  const auto outcome = controller_.Apply(*change, *options);
  if (!outcome.ok()) return ToGrpc(outcome.status());
  WriteOutcome(*outcome, *response);
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::ConfirmConfig(grpc::ServerContext* context,
                                                const v1::ConfirmConfigRequest* request,
                                                v1::ConfirmConfigResponse* response) {
  std::optional<std::string> etag;
  if (!request->etag().empty()) etag = request->etag();
  const auto generation = controller_.Confirm(etag, AuthorOf(*context));
  if (!generation.ok()) return ToGrpc(generation.status());
  response->set_generation(*generation);
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::GetConfig(grpc::ServerContext*,
                                            const v1::GetConfigRequest* request,
                                            v1::GetConfigResponse* response) {
  const auto snapshot = controller_.snapshot();
  response->set_etag(snapshot->etag());
  if (!request->has_revision()) {
    *response->mutable_config() = ToProto(snapshot->config);
    response->set_generation(snapshot->generation);
    return grpc::Status::OK;
  }
  const auto config = controller_.LoadRevision(request->revision());
  if (!config.ok()) return ToGrpc(config.status());
  *response->mutable_config() = ToProto(*config);
  response->set_generation(request->revision());
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::ListRevisions(grpc::ServerContext*,
                                                const v1::ListRevisionsRequest* request,
                                                v1::ListRevisionsResponse* response) {
  const auto revisions =
      controller_.ListRevisions(request->has_limit() ? request->limit() : SIZE_MAX);
  if (!revisions.ok()) return ToGrpc(revisions.status());
  for (const control::RevisionInfo& revision : *revisions) {
    *response->add_revisions() = ToProto(revision);
  }
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::DiffConfig(grpc::ServerContext*,
                                             const v1::DiffConfigRequest* request,
                                             v1::DiffConfigResponse* response) {
  const uint64_t to = request->has_to() ? request->to() : controller_.snapshot()->generation;
  uint64_t from = request->from();
  if (!request->has_from()) {
    const auto revisions = controller_.ListRevisions(SIZE_MAX);
    if (!revisions.ok()) return ToGrpc(revisions.status());
    const auto before = std::ranges::find_if(
        *revisions, [&](const control::RevisionInfo& info) { return info.generation < to; });
    if (before == revisions->end()) {
      return ToGrpc(NotFound(fmt::format("there is no revision before {}", to)));
    }
    from = before->generation;
  }
  const auto config_from = controller_.LoadRevision(from);
  if (!config_from.ok()) return ToGrpc(config_from.status());
  const auto config_to = controller_.LoadRevision(to);
  if (!config_to.ok()) return ToGrpc(config_to.status());
  for (const std::string& line : model::Diff(*config_from, *config_to)) response->add_changes(line);
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::RollbackConfig(grpc::ServerContext* context,
                                                 const v1::RollbackConfigRequest* request,
                                                 v1::RollbackConfigResponse* response) {
  const auto options = OptionsFromProto(request->options(), *request, AuthorOf(*context));
  if (!options.ok()) return ToGrpc(options.status());
  std::optional<uint64_t> revision;
  if (request->has_revision()) revision = request->revision();
  const auto outcome = controller_.Rollback(revision, *options);
  if (!outcome.ok()) return ToGrpc(outcome.status());
  WriteOutcome(*outcome, *response);
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::ReloadConfig(grpc::ServerContext* context,
                                               const v1::ReloadConfigRequest* request,
                                               v1::ReloadConfigResponse* response) {
  const auto options = OptionsFromProto(request->options(), *request, AuthorOf(*context));
  if (!options.ok()) return ToGrpc(options.status());
  if (read_config_ == nullptr) {
    return ToGrpc(FailedPrecondition("lbd was started without --config: there is no file to read"));
  }
  auto change = read_config_();
  if (!change.ok()) return ToGrpc(change.status());
  const auto outcome = controller_.Apply(*std::move(change), *options);
  if (!outcome.ok()) return ToGrpc(outcome.status());
  WriteOutcome(*outcome, *response);
  return grpc::Status::OK;
}

}  // namespace lb::api
