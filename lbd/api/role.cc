// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/role.h"

#include <algorithm>
#include <array>

#include "lb/v1/load_balancer_service.pb.h"

namespace lb::api {
namespace {

// Calls whose names begin so only look.
constexpr std::array<std::string_view, 6> kLooks = {"Get",   "List",    "Diff",
                                                    "Watch", "Explain", "Doctor"};
constexpr std::array<std::string_view, 2> kOperations = {"SetRealHealth", "OverrideHealth"};

// A change of nothing but the state of a real.
bool OnlyMovesState(const google::protobuf::Message& request) {
  const auto* update = dynamic_cast<const v1::UpdateRealRequest*>(&request);
  return update != nullptr && update->update_mask().paths_size() == 1 &&
         update->update_mask().paths(0) == "state";
}

}  // namespace

std::string_view ToString(Role role) {
  switch (role) {
    case Role::kNone:
      return "none";
    case Role::kViewer:
      return "viewer";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      return "admin";
  }
  return "?";
}

bool IsMutation(std::string_view method) {
  return std::ranges::none_of(kLooks,
                              [&](std::string_view look) { return method.starts_with(look); });
}

Role RoleFor(std::string_view method, const google::protobuf::Message& request) {
  if (!IsMutation(method)) return Role::kViewer;
  const bool operation = std::ranges::find(kOperations, method) != kOperations.end();
  return operation || OnlyMovesState(request) ? Role::kOperator : Role::kAdmin;
}

}  // namespace lb::api
