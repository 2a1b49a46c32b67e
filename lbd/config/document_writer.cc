// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/document_writer.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <string_view>

#include "lbd/config/field_names.h"

namespace lb::config {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Json = nlohmann::ordered_json;

constexpr int kNotRepeated = -1;

// An enum value that this build does not know (it came from a newer peer) is written as its number.
Json EnumToJson(const FieldDescriptor& field, int number) {
  const EnumValueDescriptor* value = field.enum_type()->FindValueByNumber(number);
  return value != nullptr ? Json(ShortName(*value)) : Json(number);
}

// RFC 3339, as in protobuf's own JSON.
bool IsTimestamp(const google::protobuf::Descriptor& type) {
  return type.full_name() == "google.protobuf.Timestamp";
}

// As `lbctl flow explain --frame` takes it.
std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

// The value of `field`, or its item `index`.
Json ValueToJson(const Message& message, const FieldDescriptor& field, int index, Fields fields) {
  const Reflection& reflection = *message.GetReflection();
  const auto get = [&](auto one, auto item) {
    return index == kNotRepeated ? (reflection.*one)(message, &field)
                                 : (reflection.*item)(message, &field, index);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat);
    case FieldDescriptor::CPPTYPE_BOOL:
      return get(&Reflection::GetBool, &Reflection::GetRepeatedBool);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumToJson(field, get(&Reflection::GetEnumValue, &Reflection::GetRepeatedEnumValue));
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.type() == FieldDescriptor::TYPE_BYTES) {
        return Hex(get(&Reflection::GetString, &Reflection::GetRepeatedString));
      }
      return get(&Reflection::GetString, &Reflection::GetRepeatedString);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (IsTimestamp(*field.message_type())) {
        google::protobuf::Timestamp time;
        time.CopyFrom(index == kNotRepeated
                          ? reflection.GetMessage(message, &field)
                          : reflection.GetRepeatedMessage(message, &field, index));
        return google::protobuf::util::TimeUtil::ToString(time);
      }
      return ToJson(index == kNotRepeated ? reflection.GetMessage(message, &field)
                                          : reflection.GetRepeatedMessage(message, &field, index),
                    fields);
  }
  return nullptr;
}

Json ListToJson(const Message& message, const FieldDescriptor& field, Fields fields) {
  Json list = Json::array();
  const int size = message.GetReflection()->FieldSize(message, &field);
  for (int i = 0; i < size; ++i) list.push_back(ValueToJson(message, field, i, fields));
  return list;
}

std::string JsonText(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

bool IsIpv4Text(std::string_view text) {
  return std::ranges::count(text, '.') == 3 &&
         text.find_first_not_of("0123456789./") == std::string_view::npos;
}

// True when every YAML reader, 1.1 or 1.2, takes `text` without quotes for a string.
bool IsSafePlain(std::string_view text) {
  static constexpr std::array<std::string_view, 8> kReserved = {"true", "false", "yes",  "no",
                                                                "on",   "off",   "null", "y"};
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  const auto is_word = [&](std::string_view word) {
    return std::ranges::equal(text, word, {}, lower);
  };
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-./").find(c) != std::string_view::npos;
  };
  if (IsIpv4Text(text)) return true;
  return !text.empty() && std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
         std::ranges::all_of(text, is_plain) && std::ranges::none_of(kReserved, is_word) &&
         !is_word("n");
}

// A double-quoted YAML string is a JSON string, but for DEL, which YAML wants escaped.
std::string YamlScalar(const Json& value) {
  if (value.is_string() && IsSafePlain(value.get_ref<const std::string&>())) return value;
  std::string text;
  for (const char c : JsonText(value, -1)) {
    if (c == 0x7f) {
      text += "\\x7f";
    } else {
      text += c;
    }
  }
  return text;
}

bool IsBlock(const Json& value) { return value.is_structured() && !value.empty(); }

// Writes the lines of a mapping or list. The first goes where `out` ends, the rest is indented.
void AppendBlock(const Json& value, size_t indent, std::string& out) {
  bool first = true;
  const auto begin_line = [&] {
    if (!first) out.append(indent, ' ');
    first = false;
  };
  const auto append_inline = [&](const Json& child) {
    out += (child.is_structured() ? JsonText(child, -1) : YamlScalar(child)) + '\n';
  };
  if (value.is_array()) {
    for (const Json& item : value) {
      begin_line();
      out += "- ";
      if (IsBlock(item)) {
        AppendBlock(item, indent + 2, out);
      } else {
        append_inline(item);
      }
    }
    return;
  }
  for (const auto& [key, child] : value.items()) {
    begin_line();
    out += YamlScalar(key) + ':';
    if (IsBlock(child)) {
      out += '\n';
      out.append(indent + 2, ' ');
      AppendBlock(child, indent + 2, out);
    } else {
      out += ' ';
      append_inline(child);
    }
  }
}

}  // namespace

Json ToJson(const Message& message, Fields fields) {
  const auto& type = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  Json object = Json::object();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const bool by_default = fields == Fields::kAll && !field.has_presence();
    if (field.is_repeated()) {
      if (by_default || reflection.FieldSize(message, &field) > 0) {
        object[field.name()] = ListToJson(message, field, fields);
      }
    } else if (by_default || reflection.HasField(message, &field)) {
      object[field.name()] = ValueToJson(message, field, kNotRepeated, fields);
    }
  }
  return object;
}

std::string FormatJson(const Json& value) { return JsonText(value, 2) + '\n'; }

std::string FormatYaml(const Json& value) {
  if (!IsBlock(value)) return JsonText(value, -1) + '\n';
  std::string text;
  AppendBlock(value, 0, text);
  return text;
}

std::string FormatJson(const Message& message, Fields fields) {
  return FormatJson(ToJson(message, fields));
}

std::string FormatYaml(const Message& message, Fields fields) {
  return FormatYaml(ToJson(message, fields));
}

}  // namespace lb::config
