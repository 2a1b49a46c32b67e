// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "lb/v1/diagnose.pb.h"
#include "lbd/base/status.h"
#include "lbd/control/controller.h"

// What people ask when traffic does not do what they expect.
namespace lb::api {

StatusOr<v1::ExplainFlowResponse> ExplainFlow(control::Controller& controller,
                                              const v1::ExplainFlowRequest& request);

// Captures until the request's count or time is over, or `send` returns false; returns why it
// ended early. `send` is called several times a second, with or without packets.
Status Capture(control::Controller& controller, const v1::CaptureRequest& request,
               const std::function<bool(const v1::CaptureResponse&)>& send);

}  // namespace lb::api
