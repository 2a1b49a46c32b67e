// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/json_schema.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "lbd/config/field_names.h"
#include "lbd/config/scalar.h"

// The compiled .proto files with their comments, which generated code does not have.
asm(".section .rodata\n"
    ".global lb_config_descriptors, lb_config_descriptors_end\n"
    "lb_config_descriptors:\n"
    ".incbin \"" LB_CONFIG_DESCRIPTORS
    "\"\n"
    "lb_config_descriptors_end:\n"
    ".byte 0\n"
    ".previous\n");
extern "C" const char lb_config_descriptors[];
extern "C" const char lb_config_descriptors_end[];

namespace lb::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using Json = nlohmann::ordered_json;

std::string Trim(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  const size_t begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

template <typename Thing>
std::string CommentOf(const Thing& thing) {
  google::protobuf::SourceLocation location;
  return thing.GetSourceLocation(&location) ? Trim(location.leading_comments) : "";
}

// The first "A..B" in a comment.
std::optional<std::pair<int64_t, int64_t>> RangeIn(const std::string& comment) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (size_t dots = comment.find(".."); dots != std::string::npos;
       dots = comment.find("..", dots + 1)) {
    size_t begin = dots;
    while (begin > 0 && is_digit(comment[begin - 1])) --begin;
    size_t end = dots + 2;
    while (end < comment.size() && is_digit(comment[end])) ++end;
    const auto low = ParseNumber<int64_t>(std::string_view(comment).substr(begin, dots - begin));
    const auto high =
        ParseNumber<int64_t>(std::string_view(comment).substr(dots + 2, end - dots - 2));
    if (low && high) return std::pair(*low, *high);
  }
  return std::nullopt;
}

class SchemaWriter {
 public:
  Json Object(const Descriptor& type) {
    Json object = {{"type", "object"}, {"additionalProperties", false}};
    if (const std::string comment = CommentOf(type); !comment.empty()) {
      object["description"] = comment;
    }
    Json& properties = object["properties"] = Json::object();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      Json value = Value(field);
      if (field.is_repeated()) value = {{"type", "array"}, {"items", std::move(value)}};
      if (const std::string comment = CommentOf(field); !comment.empty()) {
        value["description"] = comment;
      }
      properties[field.name()] = std::move(value);
    }
    return object;
  }

  // Of the messages that were referred to.
  Json TakeDefinitions() { return std::move(definitions_); }

 private:
  Json Value(const FieldDescriptor& field) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        return {{"type", "boolean"}};
      case FieldDescriptor::CPPTYPE_STRING:
        return {{"type", "string"}};
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT:
        return {{"type", "number"}};
      case FieldDescriptor::CPPTYPE_ENUM:
        return {{"enum", ShortNames(*field.enum_type())}};
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Reference(*field.message_type());
      default:
        return Integer(field);
    }
  }

  static Json Integer(const FieldDescriptor& field) {
    Json value = {{"type", "integer"}};
    if (const auto range = RangeIn(CommentOf(field))) {
      value["minimum"] = range->first;
      value["maximum"] = range->second;
    }
    return value;
  }

  Json Reference(const Descriptor& type) {
    if (!definitions_.contains(type.name())) {
      definitions_[type.name()] = nullptr;  // a message may contain itself
      definitions_[type.name()] = Object(type);
    }
    return {{"$ref", "#/$defs/" + type.name()}};
  }

  Json definitions_ = Json::object();
};

}  // namespace

nlohmann::ordered_json ConfigSchema() {
  google::protobuf::FileDescriptorSet files;
  files.ParseFromArray(lb_config_descriptors,
                       static_cast<int>(lb_config_descriptors_end - lb_config_descriptors));
  DescriptorPool pool;
  for (const auto& file : files.file()) pool.BuildFile(file);
  SchemaWriter writer;
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Configuration of lbd"}};
  schema.update(writer.Object(*pool.FindMessageTypeByName("lb.v1.Config")));
  schema["patternProperties"] = {{"^x-", Json::object()}};  // a place for anchors
  schema["$defs"] = writer.TakeDefinitions();
  return schema;
}

}  // namespace lb::config
