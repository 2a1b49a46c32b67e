// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lbd/api/convert.h"
#include "lbd/api/grpc_status.h"
#include "lbd/control/controller.h"

// What every call that changes the configuration does.
namespace lb::api {

template <typename Response>
void WriteOutcome(const control::Outcome& outcome, Response& response) {
  response.set_generation(outcome.generation);
  *response.mutable_result() = ToProto(outcome);
}

// Makes the change that `request` asks for.
template <typename Request, typename Response>
grpc::Status Change(control::Controller& controller, const std::string& author,
                    const Request& request, Response& response) {
  const auto options = OptionsFromProto(request.options(), request, author);
  if (!options.ok()) return ToGrpc(options.status());
  const auto change = ChangeFromProto(request);
  if (!change.ok()) return ToGrpc(change.status());
  const auto outcome = controller.Apply(*change, *options);
  if (!outcome.ok()) return ToGrpc(outcome.status());
  WriteOutcome(*outcome, response);
  return grpc::Status::OK;
}

}  // namespace lb::api
