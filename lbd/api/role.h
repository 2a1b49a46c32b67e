// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <string_view>

namespace lb::api {

// What a client may do; each may do what those before it may.
enum class Role : uint8_t {
  kNone,      // nothing
  kViewer,    // look
  kOperator,  // take reals out of service and back
  kAdmin,     // everything
};

std::string_view ToString(Role role);  // "none", "viewer", "operator", "admin"

// What the call `method` with this request takes. A call that is not known takes an admin.
Role RoleFor(std::string_view method, const google::protobuf::Message& request);
// Whether it changes something.
bool IsMutation(std::string_view method);

}  // namespace lb::api
