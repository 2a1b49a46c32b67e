// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message.h>

#include <optional>
#include <string_view>
#include <vector>

#include "lbd/config/document.h"
#include "lbd/config/yaml_tree.h"

namespace lb::config {

// Reads `text` into `tree` and from there into `out`; returns what is wrong with it.
std::vector<DocumentProblem> ReadDocument(std::string_view text, YamlTree& tree,
                                          google::protobuf::Message& out);

// The value of the field `name` of the mapping `map`, its own or merged into it by "<<".
std::optional<YamlTree::NodeId> FindField(const YamlTree& tree, YamlTree::NodeId map,
                                          std::string_view name);

}  // namespace lb::config
