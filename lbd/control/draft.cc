// SPDX-License-Identifier: Apache-2.0
#include "lbd/control/draft.h"

#include "lbd/model/diff.h"

namespace lb::control {

StatusOr<std::vector<std::string>> Draft::Make(const model::Change& change) {
  const model::VipKey* key = model::SubjectOf(change);
  std::optional<model::Vip> before;
  if (key != nullptr) {
    if (const model::Vip* vip = config_.FindVip(*key)) before = *vip;
  }
  LB_RETURN_IF_ERROR(model::Make(config_, change));
  last_ = &change;
  if (key == nullptr) {
    touched_.reset();
    return std::vector<std::string>();
  }
  if (touched_) touched_->insert(*key);
  return model::DiffVip(before ? &*before : nullptr, config_.FindVip(*key));
}

}  // namespace lb::control
