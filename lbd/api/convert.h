// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lb/v1/config.pb.h"
#include "lb/v1/load_balancer_service.pb.h"
#include "lb/v1/types.pb.h"
#include "lbd/base/status.h"
#include "lbd/control/journal.h"
#include "lbd/control/transaction.h"
#include "lbd/dataplane/dataplane.h"
#include "lbd/events/event.h"
#include "lbd/model/change.h"
#include "lbd/model/config.h"
#include "lbd/model/validate.h"

// The only place where protobuf messages become domain types and back.
namespace lb::api {

// A converted configuration, and everything that is wrong with it; usable where nothing is.
struct ConvertedConfig {
  model::ReplaceConfig change;
  std::vector<model::Problem> problems;
};
ConvertedConfig ConfigFromProto(const v1::Config& proto);

// These return INVALID_ARGUMENT with one problem a line.
StatusOr<model::Change> ChangeFromProto(const v1::ApplyConfigRequest& request);
StatusOr<model::Change> ChangeFromProto(const v1::AddVipRequest& request);
StatusOr<model::Change> ChangeFromProto(const v1::UpdateVipRequest& request);
StatusOr<model::Change> ChangeFromProto(const v1::DeleteVipRequest& request);
StatusOr<model::Change> ChangeFromProto(const v1::AddRealRequest& request);
StatusOr<model::Change> ChangeFromProto(const v1::UpdateRealRequest& request);
StatusOr<model::Change> ChangeFromProto(const v1::DeleteRealRequest& request);
StatusOr<IpAddress> AddressFromProto(const std::string& text, const std::string& path);
StatusOr<model::VipKey> VipKeyFromProto(const v1::VipKey& proto, const std::string& path);

// `request` is the message that has these options.
StatusOr<control::ChangeOptions> OptionsFromProto(const v1::ChangeOptions& proto,
                                                  const google::protobuf::Message& request,
                                                  std::string author);

// Every field that has a value in force is set, defaults included; the hash key is left out.
v1::Config ToProto(const model::Config& config);
v1::Vip ToProto(const model::Vip& vip);
v1::Real ToProto(const model::Real& real);
v1::VipKey ToProto(const model::VipKey& key);
v1::Attachment ToProto(const dataplane::Attachment& attachment);
v1::NextHopStatus ToProto(const dataplane::NextHopResult& result);
v1::Flow ToProto(const dataplane::TrackedFlow& flow);
v1::ChangeResult ToProto(const control::Outcome& outcome);
v1::Revision ToProto(const control::RevisionInfo& info);
v1::Event ToProto(const events::Event& event);
google::protobuf::Timestamp TimeToProto(std::chrono::system_clock::time_point time);
v1::GetStatsResponse ToProto(const dataplane::Stats& stats, const model::Config& config);

}  // namespace lb::api
