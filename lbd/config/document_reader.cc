// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/document_reader.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>

#include "lbd/config/field_comments.h"
#include "lbd/config/field_names.h"
#include "lbd/config/scalar.h"
#include "lbd/config/suggestion.h"

namespace lb::config {
namespace {

// "an integer 0..255"
template <typename T>
std::string WantedNumber(const google::protobuf::FieldDescriptor& field) {
  if constexpr (std::is_floating_point_v<T>) return "a number";
  if (const auto range = RangeOf(field)) {
    return fmt::format("an integer {}..{}", range->first, range->second);
  }
  return fmt::format("an integer {}..{}", std::numeric_limits<T>::min(),
                     std::numeric_limits<T>::max());
}

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Kind = YamlTree::Kind;
using NodeId = YamlTree::NodeId;

constexpr int kMaxDepth = 64;                       // nested values, aliases expanded
constexpr size_t kMaxProblems = 100;                // more would not be read anyway
constexpr size_t kAliasBudget = size_t{128} << 20;  // Cost that aliases may add to the document
constexpr size_t kShownFields = 12;                 // of those that a message knows

bool IsMergeKey(const YamlTree& tree, NodeId key) {
  return tree.kind(key) == Kind::kScalar && tree.is_plain(key) && tree.text(key) == "<<";
}

// About the bytes that a message needs for the value.
size_t Cost(const YamlTree& tree, NodeId node) {
  switch (tree.kind(node)) {
    case Kind::kNull:
    case Kind::kList:
      return 1;
    case Kind::kScalar:
      return 1 + tree.text(node).size();
    case Kind::kMap:
      return 64;
  }
  return 1;
}

// For "want ..., got ...".
std::string Describe(const YamlTree& tree, NodeId node) {
  switch (tree.kind(node)) {
    case Kind::kNull:
      return "nothing";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a mapping";
    case Kind::kScalar:
      break;
  }
  const std::string_view text = tree.text(node);
  const bool bare = tree.is_plain(node) &&
                    (text == "true" || text == "false" || ParseNumber<double>(text).has_value());
  return bare ? std::string(text) : Quote(text);
}

class Reader {
 public:
  Reader(const YamlTree& tree, std::vector<DocumentProblem>& problems)
      : tree_(tree), problems_(problems) {
    for (NodeId id = 0; id < tree.size(); ++id) budget_ += tree.is_alias(id) ? 1 : Cost(tree, id);
  }

  void Read(Message& out) { ReadMessage(tree_.root(), out); }

 private:
  // A field that this mapping sets, and where.
  struct Seen {
    const FieldDescriptor* field;
    Position position;
    NodeId map;
  };

  // Keeps path_ equal to the value that is being read.
  class Scope {
   public:
    Scope(Reader& reader, std::string_view step) : reader_(reader), size_(reader.path_.size()) {
      reader_.path_ += step;
      ++reader_.depth_;
    }
    ~Scope() {
      reader_.path_.resize(size_);
      --reader_.depth_;
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Reader& reader_;
    size_t size_;
  };

  void Add(NodeId node, std::string message) {
    if (stopped_) return;
    problems_.push_back({tree_.position(node), path_, std::move(message)});
    if (problems_.size() == kMaxProblems) {
      Stop(node, fmt::format("{} problems so far; the rest is not shown", kMaxProblems));
    }
  }

  void Stop(NodeId node, std::string message) {
    if (stopped_) return;
    stopped_ = true;
    problems_.push_back({tree_.position(node), path_, std::move(message)});
  }

  void AddUnwanted(NodeId node, std::string_view want) {
    Add(node, fmt::format("want {}, got {}", want, Describe(tree_, node)));
  }

  // False when nothing more may be read.
  bool Enter(NodeId node) {
    if (stopped_) return false;
    if (depth_ > kMaxDepth) {
      Add(node, fmt::format("nested more than {} levels deep", kMaxDepth));
      return false;
    }
    const size_t cost = Cost(tree_, node);
    if (budget_ < cost) {
      Stop(node, "the aliases expand to far more than a document may have");
      return false;
    }
    budget_ -= cost;
    if (tree_.has_tag(node)) {
      Add(node, "tags (\"!...\") are not supported; remove it");
      return false;
    }
    return true;
  }

  void ReadMessage(NodeId node, Message& out) {
    if (!Enter(node)) return;
    const Descriptor& type = *out.GetDescriptor();
    if (tree_.kind(node) != Kind::kMap) {
      AddUnwanted(node, fmt::format("a mapping ({})", KnownFields(type)));
      return;
    }
    std::vector<Seen> seen;
    ReadPairs(node, out, seen);
    ReadMerged(node, out, seen);
  }

  // The fields that `map` itself sets, unless an outer mapping that merges it in has set them.
  void ReadPairs(NodeId map, Message& out, std::vector<Seen>& seen) {
    const Descriptor& type = *out.GetDescriptor();
    for (auto key = tree_.first_child(map); key;) {
      const NodeId value = *tree_.next_sibling(*key);
      const NodeId name = *key;
      key = tree_.next_sibling(value);
      if (!Enter(name)) continue;
      if (tree_.kind(name) != Kind::kScalar) {
        AddUnwanted(name, "the name of a field");
        continue;
      }
      const std::string text(tree_.text(name));
      if (IsMergeKey(tree_, name) || (depth_ == 0 && text.starts_with("x-"))) continue;
      const FieldDescriptor* field = type.FindFieldByName(text);
      if (field == nullptr) {
        AddUnknown(name, text, type);
      } else if (IsFirst(name, *field, map, seen)) {
        const Scope scope(*this, path_.empty() ? text : '.' + text);
        ReadField(value, *field, out);
      }
    }
  }

  // Then those of the mappings behind "<<", the first of a list first.
  void ReadMerged(NodeId map, Message& out, std::vector<Seen>& seen) {
    for (auto key = tree_.first_child(map); key;) {
      const NodeId value = *tree_.next_sibling(*key);
      const bool merge = IsMergeKey(tree_, *key);
      key = tree_.next_sibling(value);
      if (!merge) continue;
      if (tree_.kind(value) != Kind::kList) {
        Merge(value, out, seen);
        continue;
      }
      for (auto item = tree_.first_child(value); item; item = tree_.next_sibling(*item)) {
        Merge(*item, out, seen);
      }
    }
  }

  void Merge(NodeId map, Message& out, std::vector<Seen>& seen) {
    const Scope scope(*this, "");
    if (!Enter(map)) return;
    if (tree_.kind(map) != Kind::kMap) {
      AddUnwanted(map, "a mapping, or a list of mappings, to merge (\"<<: *anchor\")");
      return;
    }
    ReadPairs(map, out, seen);
    ReadMerged(map, out, seen);
  }

  void AddUnknown(NodeId name, const std::string& text, const Descriptor& type) {
    const auto suggestion = Suggest(text, FieldNames(type));
    Add(name, fmt::format("unknown field {}; {}", Quote(text),
                          suggestion ? fmt::format("did you mean \"{}\"?", *suggestion)
                                     : "known: " + KnownFields(type)));
  }

  static std::string KnownFields(const Descriptor& type) {
    std::vector<std::string> names = FieldNames(type);
    if (names.size() > kShownFields) {
      names.resize(kShownFields);
      names.emplace_back("...");
    }
    return fmt::format("{}", fmt::join(names, ", "));
  }

  // Notes that `map` sets `field`. A field that is already set is a mistake in one mapping and
  // overridden where another is merged in.
  bool IsFirst(NodeId name, const FieldDescriptor& field, NodeId map, std::vector<Seen>& seen) {
    for (const Seen& other : seen) {
      if (other.field == &field) {
        if (other.map == map) {
          Add(name, fmt::format("duplicate field \"{}\", first on line {}", field.name(),
                                other.position.line));
        }
        return false;
      }
      if (field.real_containing_oneof() != nullptr &&
          field.real_containing_oneof() == other.field->real_containing_oneof()) {
        if (other.map == map) {
          Add(name, fmt::format("\"{}\" excludes \"{}\" on line {}", field.name(),
                                other.field->name(), other.position.line));
        }
        return false;
      }
    }
    seen.push_back({&field, tree_.position(name), map});
    return true;
  }

  void ReadField(NodeId node, const FieldDescriptor& field, Message& out) {
    if (tree_.kind(node) == Kind::kNull) return;
    if (!field.is_repeated()) {
      ReadValue(node, field, out);
      return;
    }
    if (!Enter(node)) return;
    if (tree_.kind(node) != Kind::kList) {
      AddUnwanted(node, "a list");
      return;
    }
    size_t index = 0;
    for (auto item = tree_.first_child(node); item; item = tree_.next_sibling(*item)) {
      const Scope scope(*this, fmt::format("[{}]", index++));
      ReadValue(*item, field, out);
    }
  }

  void ReadValue(NodeId node, const FieldDescriptor& field, Message& out) {
    const Reflection& reflection = *out.GetReflection();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      ReadMessage(node, field.is_repeated() ? *reflection.AddMessage(&out, &field)
                                            : *reflection.MutableMessage(&out, &field));
      return;
    }
    if (!Enter(node)) return;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return PutNumber(node, field, out, &Reflection::SetInt32, &Reflection::AddInt32);
      case FieldDescriptor::CPPTYPE_INT64:
        return PutNumber(node, field, out, &Reflection::SetInt64, &Reflection::AddInt64);
      case FieldDescriptor::CPPTYPE_UINT32:
        return PutNumber(node, field, out, &Reflection::SetUInt32, &Reflection::AddUInt32);
      case FieldDescriptor::CPPTYPE_UINT64:
        return PutNumber(node, field, out, &Reflection::SetUInt64, &Reflection::AddUInt64);
      case FieldDescriptor::CPPTYPE_FLOAT:
        return PutNumber(node, field, out, &Reflection::SetFloat, &Reflection::AddFloat);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return PutNumber(node, field, out, &Reflection::SetDouble, &Reflection::AddDouble);
      case FieldDescriptor::CPPTYPE_BOOL:
        return PutBool(node, field, out);
      case FieldDescriptor::CPPTYPE_ENUM:
        return PutEnum(node, field, out);
      case FieldDescriptor::CPPTYPE_STRING:
        return PutString(node, field, out);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return;
    }
  }

  template <typename T>
  void Put(const FieldDescriptor& field, Message& out, T value,
           void (Reflection::*set)(Message*, const FieldDescriptor*, T) const,
           void (Reflection::*add)(Message*, const FieldDescriptor*, T) const) {
    const Reflection& reflection = *out.GetReflection();
    (reflection.*(field.is_repeated() ? add : set))(&out, &field, std::move(value));
  }

  template <typename T>
  void PutNumber(NodeId node, const FieldDescriptor& field, Message& out,
                 void (Reflection::*set)(Message*, const FieldDescriptor*, T) const,
                 void (Reflection::*add)(Message*, const FieldDescriptor*, T) const) {
    const bool scalar = tree_.kind(node) == Kind::kScalar;
    const auto value = scalar ? ParseNumber<T>(tree_.text(node)) : std::nullopt;
    if (!value) return AddUnwanted(node, WantedNumber<T>(field));
    if (!tree_.is_plain(node)) {
      Add(node, fmt::format("want {}, got {} in quotes; remove them", WantedNumber<T>(field),
                            Describe(tree_, node)));
      return;
    }
    Put<T>(field, out, *value, set, add);
  }

  void PutBool(NodeId node, const FieldDescriptor& field, Message& out) {
    const std::string_view text = tree_.kind(node) == Kind::kScalar ? tree_.text(node) : "";
    if ((text != "true" && text != "false") || !tree_.is_plain(node)) {
      return AddUnwanted(node, "true or false");
    }
    Put<bool>(field, out, text == "true", &Reflection::SetBool, &Reflection::AddBool);
  }

  void PutEnum(NodeId node, const FieldDescriptor& field, Message& out) {
    const auto& type = *field.enum_type();
    const bool scalar = tree_.kind(node) == Kind::kScalar;
    const auto* value = scalar ? FindValue(type, tree_.text(node)) : nullptr;
    if (value == nullptr) {
      return AddUnwanted(node, fmt::format("one of {}", fmt::join(ShortNames(type), ", ")));
    }
    Put<int>(field, out, value->number(), &Reflection::SetEnumValue, &Reflection::AddEnumValue);
  }

  // Any scalar is a string as it is written: a hash key may look like a number.
  void PutString(NodeId node, const FieldDescriptor& field, Message& out) {
    if (tree_.kind(node) != Kind::kScalar) return AddUnwanted(node, "a string");
    // yaml-cpp makes a bare byte of the escapes \N and \_.
    if (FindInvalidUtf8(tree_.text(node))) return Add(node, "not UTF-8 text");
    Put<std::string>(field, out, std::string(tree_.text(node)), &Reflection::SetString,
                     &Reflection::AddString);
  }

  const YamlTree& tree_;
  std::vector<DocumentProblem>& problems_;
  std::string path_;
  int depth_ = 0;
  size_t budget_ = kAliasBudget;
  bool stopped_ = false;
};

}  // namespace

std::vector<DocumentProblem> ReadDocument(std::string_view text, YamlTree& tree, Message& out) {
  out.Clear();
  if (text.size() > kMaxDocumentBytes) {
    return {{{},
             "",
             fmt::format("{} bytes are more than the {} MiB that a document may have", text.size(),
                         kMaxDocumentBytes >> 20)}};
  }
  if (const auto bad = FindInvalidUtf8(text)) return {{*bad, "", "not UTF-8 text"}};
  if (auto error = tree.Parse(text)) return {{error->position, "", std::move(error->message)}};
  if (tree.empty() || tree.kind(tree.root()) == Kind::kNull) {
    return {{{}, "", "the document is empty; write {} if that is meant"}};
  }
  std::vector<DocumentProblem> problems;
  Reader(tree, problems).Read(out);
  std::ranges::stable_sort(problems, {}, [](const DocumentProblem& problem) {
    return std::pair(problem.position.line, problem.position.column);
  });
  return problems;
}

std::optional<NodeId> FindField(const YamlTree& tree, NodeId map, std::string_view name) {
  // Every mapping is visited once, though it can be merged in many times, and into itself.
  std::unordered_set<NodeId> done;
  std::vector<NodeId> pending{map};
  while (!pending.empty()) {
    const NodeId node = pending.back();
    pending.pop_back();
    if (tree.kind(node) != Kind::kMap || !done.insert(node).second) continue;
    std::vector<NodeId> merged;
    for (auto key = tree.first_child(node); key;) {
      const NodeId value = *tree.next_sibling(*key);
      if (tree.kind(*key) == Kind::kScalar && tree.text(*key) == name) return value;
      if (IsMergeKey(tree, *key)) {
        if (tree.kind(value) == Kind::kMap) merged.push_back(value);
        if (tree.kind(value) == Kind::kList) {
          for (auto item = tree.first_child(value); item; item = tree.next_sibling(*item)) {
            merged.push_back(*item);
          }
        }
      }
      key = tree.next_sibling(value);
    }
    pending.insert(pending.end(), merged.rbegin(), merged.rend());
  }
  return std::nullopt;
}

}  // namespace lb::config
