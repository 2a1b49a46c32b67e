// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/field_names.h"

#include <cctype>

namespace lb::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;

// "RingScheme" -> "RING_SCHEME_"
std::string Prefix(const EnumDescriptor& type) {
  std::string prefix;
  for (const char c : type.name()) {
    if (std::isupper(static_cast<unsigned char>(c)) && !prefix.empty()) prefix += '_';
    prefix += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return prefix + '_';
}

}  // namespace

std::string ShortName(const EnumValueDescriptor& value) {
  std::string name = value.name();
  if (const std::string prefix = Prefix(*value.type()); name.starts_with(prefix)) {
    name.erase(0, prefix.size());
  }
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

std::vector<std::string> ShortNames(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (std::string name = ShortName(*type.value(i)); name != "unspecified") {
      names.push_back(std::move(name));
    }
  }
  return names;
}

const EnumValueDescriptor* FindValue(const EnumDescriptor& type, std::string_view name) {
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor* value = type.value(i);
    if (value->name() == name || ShortName(*value) == name) return value;
  }
  return nullptr;
}

std::vector<std::string> FieldNames(const Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  return names;
}

}  // namespace lb::config
