// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/json_schema.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "lbd/config/field_comments.h"
#include "lbd/config/field_names.h"

namespace lb::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using Json = nlohmann::ordered_json;

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
    if (const auto range = RangeOf(field)) {
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
  SchemaWriter writer;
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Configuration of lbd"}};
  schema.update(writer.Object(*CommentedPool().FindMessageTypeByName("lb.v1.Config")));
  schema["patternProperties"] = {{"^x-", Json::object()}};  // a place for anchors
  schema["$defs"] = writer.TakeDefinitions();
  return schema;
}

}  // namespace lb::config
