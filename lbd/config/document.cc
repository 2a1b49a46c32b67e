// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/document.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "lbd/config/document_reader.h"
#include "lbd/config/yaml_tree.h"

namespace lb::config {
namespace {

// One step of a path: a field name or a list index.
struct Step {
  std::string_view field;
  size_t index = 0;
};

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// "vips[3].address" -> vips, 3, address. Nothing when `path` is not a path.
std::optional<std::vector<Step>> SplitPath(std::string_view path) {
  std::vector<Step> steps;
  while (!path.empty()) {
    if (path.front() == '[') {
      Step step;
      const char* const end = path.data() + path.size();
      const auto [next, error] = std::from_chars(path.data() + 1, end, step.index);
      if (error != std::errc() || next == end || *next != ']') return std::nullopt;
      steps.push_back(step);
      path.remove_prefix(static_cast<size_t>(next - path.data()) + 1);
      continue;
    }
    if (!steps.empty()) {
      if (path.front() != '.') return std::nullopt;
      path.remove_prefix(1);
    }
    size_t size = 0;
    while (size < path.size() && IsNameCharacter(path[size])) ++size;
    if (size == 0) return std::nullopt;
    steps.push_back({path.substr(0, size)});
    path.remove_prefix(size);
  }
  return steps;
}

std::optional<YamlTree::NodeId> FindItem(const YamlTree& tree, YamlTree::NodeId list,
                                         size_t index) {
  if (tree.kind(list) != YamlTree::Kind::kList) return std::nullopt;
  auto item = tree.first_child(list);
  for (; item && index > 0; --index) item = tree.next_sibling(*item);
  return item;
}

std::string At(std::string_view file_name, Position position) {
  return fmt::format("{}:{}:{}: ", file_name, position.line, position.column);
}

}  // namespace

ParsedDocument::ParsedDocument(std::string file_name, std::unique_ptr<const YamlTree> tree,
                               std::vector<DocumentProblem> problems)
    : file_name_(std::move(file_name)), tree_(std::move(tree)), problems_(std::move(problems)) {}
ParsedDocument::ParsedDocument(ParsedDocument&&) noexcept = default;
ParsedDocument& ParsedDocument::operator=(ParsedDocument&&) noexcept = default;
ParsedDocument::~ParsedDocument() = default;

Status ParsedDocument::status() const {
  if (ok()) return OkStatus();
  std::string text;
  for (const DocumentProblem& problem : problems_) {
    if (!text.empty()) text += '\n';
    text += At(file_name_, problem.position);
    if (!problem.path.empty()) text += problem.path + ": ";
    text += problem.message;
  }
  return InvalidArgument(text);
}

std::optional<Position> ParsedDocument::Find(std::string_view path) const {
  const auto steps = SplitPath(path);
  if (!steps || steps->empty() || tree_->empty()) return std::nullopt;
  YamlTree::NodeId node = tree_->root();
  bool found = false;
  for (const Step& step : *steps) {
    const auto next = step.field.empty() ? FindItem(*tree_, node, step.index)
                                         : FindField(*tree_, node, step.field);
    if (!next) break;
    node = *next;
    found = true;
  }
  return found ? std::optional(tree_->position(node)) : std::nullopt;
}

std::string ParsedDocument::Annotate(std::string_view messages) const {
  std::string text;
  while (!messages.empty()) {
    const size_t end = messages.find('\n');
    const std::string_view line = messages.substr(0, end);
    messages = end == std::string_view::npos ? "" : messages.substr(end + 1);
    if (!text.empty()) text += '\n';
    if (const auto position = Find(line.substr(0, line.find(": ")))) {
      text += At(file_name_, *position);
    }
    text += line;
  }
  return text;
}

ParsedDocument ParseDocument(std::string_view text, std::string_view file_name,
                             google::protobuf::Message& out) {
  auto tree = std::make_unique<YamlTree>();
  std::vector<DocumentProblem> problems = ReadDocument(text, *tree, out);
  return ParsedDocument(std::string(file_name), std::move(tree), std::move(problems));
}

}  // namespace lb::config
