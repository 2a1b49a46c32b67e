// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lbd/config/position.h"

namespace lb::config {

// A YAML document as it is written: every node with its position, aliases not expanded, mappings in
// order with their duplicates. 28 bytes a node, so that a document with a million reals fits.
class YamlTree {
 public:
  using NodeId = uint32_t;
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };

  struct SyntaxError {
    Position position;
    std::string message;
  };

  // Replaces the tree by the one document in `text`; empty after an error.
  std::optional<SyntaxError> Parse(std::string_view text);

  bool empty() const { return nodes_.empty(); }  // no document at all, or only comments
  size_t size() const { return nodes_.size(); }

  // The outermost node. Requires !empty(). Children are visited with first_child and next_sibling;
  // those of a mapping are key, value, key, value.
  NodeId root() const { return 0; }
  std::optional<NodeId> first_child(NodeId id) const { return Optional(Target(id).first_child); }
  std::optional<NodeId> next_sibling(NodeId id) const { return Optional(nodes_[id].next_sibling); }

  bool is_alias(NodeId id) const { return nodes_[id].is_alias; }
  // Aliases answer for the node that they stand for.
  Kind kind(NodeId id) const { return Target(id).kind; }
  Position position(NodeId id) const;
  std::string_view text(NodeId id) const;                         // of a scalar
  bool is_plain(NodeId id) const { return Target(id).is_plain; }  // a scalar without quotes
  bool has_tag(NodeId id) const { return Target(id).has_tag; }    // an explicit one, such as !!str

 private:
  class Builder;
  static constexpr NodeId kNone = UINT32_MAX;

  struct Node {
    uint32_t line = 0;
    uint32_t column = 0;
    uint32_t text_begin = 0;
    uint32_t text_size = 0;
    NodeId first_child = kNone;
    NodeId next_sibling = kNone;
    Kind kind = Kind::kNull;
    bool is_plain = false;
    bool has_tag = false;
    bool is_alias = false;  // first_child is the node that it stands for
  };

  std::optional<SyntaxError> Build(std::string_view text);

  static std::optional<NodeId> Optional(NodeId id) {
    return id == kNone ? std::nullopt : std::optional(id);
  }
  const Node& Target(NodeId id) const {
    return nodes_[id].is_alias ? nodes_[nodes_[id].first_child] : nodes_[id];
  }

  std::vector<Node> nodes_;
  std::string text_;  // of all scalars
};

}  // namespace lb::config
