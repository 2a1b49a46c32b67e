// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "lb/v1/diagnose.pb.h"
#include "lbd/base/status.h"
#include "lbd/control/controller.h"
#include "lbd/dataplane/capture_filter.h"
#include "lbd/dataplane/decision.h"
#include "lbd/dataplane/finding.h"

// ExplainFlow and Capture between protobuf and the domain.
namespace lb::api {

// The frame that a request describes or brings.
StatusOr<dataplane::Frame> FrameFromProto(const v1::ExplainFlowRequest& request);
StatusOr<dataplane::CaptureFilter> FilterFromProto(const v1::CaptureRequest& request);

v1::Decision ToProto(const dataplane::Decision& decision, const model::Config& config);
// `config`: by which it is explained. `health` says at least Detail::kChecks of the VIP.
v1::ExplainFlowResponse ToProto(const dataplane::Explanation& explanation,
                                const model::Config& config, const control::DataplaneReport& report,
                                const control::HealthReport& health);
v1::ListVerdictsResponse VerdictsToProto();
v1::Finding ToProto(const dataplane::Finding& finding);

}  // namespace lb::api
