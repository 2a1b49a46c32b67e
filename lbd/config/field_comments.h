// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace lb::config {

// The messages of lb.v1 with their comments, which generated descriptors do not have.
const google::protobuf::DescriptorPool& CommentedPool();

// What the .proto file says of a message or field of that pool, on one line.
std::string CommentOf(const google::protobuf::Descriptor& type);
std::string CommentOf(const google::protobuf::FieldDescriptor& field);

// The range of a number: the first "1..65535" in its comment. Of a field of any pool.
std::optional<std::pair<int64_t, int64_t>> RangeOf(const google::protobuf::FieldDescriptor& field);

}  // namespace lb::config
