// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lb/v1/config.pb.h"
#include "lb/v1/types.pb.h"
#include "lbd/model/check.h"
#include "lbd/model/validate.h"

// The part of the border to protobuf that is about health checks.
namespace lb::api {

// These add what cannot be read to `problems`; `path` names the message.
model::HealthCheck CheckFromProto(const v1::Check& proto, const std::string& path,
                                  std::vector<model::Problem>& problems);
model::ProbeSettings ProbesFromProto(const v1::Config& proto,
                                     std::vector<model::Problem>& problems);

v1::Check ToProto(const model::HealthCheck& check);
void WriteProbes(const model::ProbeSettings& probes, v1::Config& proto);

}  // namespace lb::api
