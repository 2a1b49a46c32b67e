// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/yaml_tree.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>

namespace lb::config {
namespace {

Position ToPosition(const YAML::Mark& mark) {
  return mark.is_null() ? Position{} : Position{mark.line + 1, mark.column + 1};
}

}  // namespace

class YamlTree::Builder : public YAML::EventHandler {
 public:
  explicit Builder(YamlTree& tree) : tree_(tree) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(mark, Kind::kNull, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node& node = Add(mark, Kind::kNull, 0);
    node.is_alias = true;
    node.first_child = anchors_[anchor];
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node& node = Add(mark, Kind::kScalar, anchor);
    node.is_plain = tag == "?";
    node.has_tag = IsExplicit(tag);
    node.text_begin = static_cast<uint32_t>(tree_.text_.size());
    node.text_size = static_cast<uint32_t>(value.size());
    tree_.text_ += value;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, Kind::kList);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, Kind::kMap);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct Collection {
    NodeId id;
    NodeId last_child = kNone;
  };

  // yaml-cpp gives plain scalars the tag "?", quoted ones "!", and collections either of both.
  static bool IsExplicit(const std::string& tag) {
    return !tag.empty() && tag != "?" && tag != "!";
  }

  Node& Add(const YAML::Mark& mark, Kind kind, YAML::anchor_t anchor) {
    const auto id = static_cast<NodeId>(tree_.nodes_.size());
    if (!open_.empty()) {
      Collection& parent = open_.back();
      NodeId& link = parent.last_child == kNone ? tree_.nodes_[parent.id].first_child
                                                : tree_.nodes_[parent.last_child].next_sibling;
      link = id;
      parent.last_child = id;
    }
    if (anchor != 0) {
      if (anchors_.size() <= anchor) anchors_.resize(anchor + 1);
      anchors_[anchor] = id;
    }
    const Position position = ToPosition(mark);
    Node& node = tree_.nodes_.emplace_back();
    node.line = static_cast<uint32_t>(position.line);
    node.column = static_cast<uint32_t>(position.column);
    node.kind = kind;
    return node;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind) {
    const auto id = static_cast<NodeId>(tree_.nodes_.size());
    Add(mark, kind, anchor).has_tag = IsExplicit(tag);
    open_.push_back({id});
  }

  YamlTree& tree_;
  std::vector<Collection> open_;
  std::vector<NodeId> anchors_;  // by yaml-cpp's number, from 1
};

std::optional<YamlTree::SyntaxError> YamlTree::Parse(std::string_view text) {
  *this = YamlTree();
  auto error = Build(text);
  if (error) *this = YamlTree();  // half a document has keys without values
  return error;
}

std::optional<YamlTree::SyntaxError> YamlTree::Build(std::string_view text) {
  std::istringstream in{std::string(text)};
  try {
    YAML::Parser parser(in);
    Builder builder(*this);
    parser.HandleNextDocument(builder);
    YamlTree second;
    Builder second_builder(second);
    if (!empty() && parser.HandleNextDocument(second_builder) && !second.empty()) {
      return SyntaxError{second.position(second.root()),
                         "a second document begins here; only one is allowed"};
    }
  } catch (const YAML::DeepRecursion& error) {
    return SyntaxError{ToPosition(error.mark), "nested too deeply"};
  } catch (const YAML::Exception& error) {
    return SyntaxError{ToPosition(error.mark), error.msg};
  }
  return std::nullopt;
}

Position YamlTree::position(NodeId id) const {
  const Node& node = Target(id);
  return {static_cast<int>(node.line), static_cast<int>(node.column)};
}

std::string_view YamlTree::text(NodeId id) const {
  const Node& node = Target(id);
  return std::string_view(text_).substr(node.text_begin, node.text_size);
}

}  // namespace lb::config
