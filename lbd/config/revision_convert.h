// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>

#include "lb/state/revision.pb.h"
#include "lbd/base/status.h"
#include "lbd/control/journal.h"
#include "lbd/model/config.h"

// Revisions as messages and back.
namespace lb::config {

state::RevisionHeader HeaderToProto(const control::RevisionInfo& info);
control::RevisionInfo InfoFromProto(const state::RevisionHeader& header);

// The whole of `config` or, of its VIPs, only those in `touched`; with the hash key.
state::RevisionBody BodyToProto(const model::Config& config,
                                const std::optional<std::set<model::VipKey>>& touched);
// `base` with what `partial` has put in its place.
state::RevisionBody Complete(state::RevisionBody base, const state::RevisionBody& partial);
StatusOr<model::Config> ConfigFromBody(const state::RevisionBody& body, uint64_t generation);

}  // namespace lb::config
