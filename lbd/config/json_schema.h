// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace lb::config {

// The JSON Schema (2020-12) of the configuration document, for editors: made of the .proto files,
// whose comments become descriptions, and "1..65535" in the comment of a number its range.
nlohmann::ordered_json ConfigSchema();

}  // namespace lb::config
