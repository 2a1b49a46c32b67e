// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>
#include <vector>

namespace lb::config {

// How documents spell the value of an enum: without the prefix that repeats the enum's name, in
// lower case. PROTOCOL_TCP is "tcp".
std::string ShortName(const google::protobuf::EnumValueDescriptor& value);

// The short names of all values but *_UNSPECIFIED.
std::vector<std::string> ShortNames(const google::protobuf::EnumDescriptor& type);

// The value with this short or full name, or null.
const google::protobuf::EnumValueDescriptor* FindValue(const google::protobuf::EnumDescriptor& type,
                                                       std::string_view name);

// The names of all fields, in the order of the .proto file.
std::vector<std::string> FieldNames(const google::protobuf::Descriptor& type);

}  // namespace lb::config
