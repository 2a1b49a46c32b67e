// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lb/v1/health.pb.h"
#include "lbd/control/controller.h"

// The part of the border to protobuf that is about the health of reals.
namespace lb::api {

// How much of a report `request` needs.
StatusOr<health::Scope> ScopeFromProto(const v1::GetHealthRequest& request);
// What `request` asks for of `report`. INVALID_ARGUMENT, or NOT_FOUND for a VIP or real.
StatusOr<v1::GetHealthResponse> HealthToProto(const v1::GetHealthRequest& request,
                                              const control::HealthReport& report,
                                              const model::Config& config);
// How a real is, and who says so: "up for 5 min, http: ok (2 s ago)", "set down by an operator".
std::string DescribeHealth(const control::HealthReport& report, const model::VipKey& vip,
                           const IpAddress& real);
// How reals are probed, for people.
std::string DescribeProbing(const control::HealthReport& report, const model::Config& config);

}  // namespace lb::api
