// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/field_comments.h"

#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <memory>

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

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;

namespace {

std::string Trim(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  const size_t begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

template <typename Thing>
std::string CommentOfThing(const Thing& thing) {
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

}  // namespace

const DescriptorPool& CommentedPool() {
  static const auto* const commented = [] {
    google::protobuf::FileDescriptorSet files;
    files.ParseFromArray(lb_config_descriptors,
                         static_cast<int>(lb_config_descriptors_end - lb_config_descriptors));
    auto* const pool = new DescriptorPool();  // for ever
    for (const auto& file : files.file()) pool->BuildFile(file);
    return pool;
  }();
  return *commented;
}

std::string CommentOf(const Descriptor& type) { return CommentOfThing(type); }

std::string CommentOf(const FieldDescriptor& field) { return CommentOfThing(field); }

std::optional<std::pair<int64_t, int64_t>> RangeOf(const FieldDescriptor& field) {
  const FieldDescriptor* const commented = CommentedPool().FindFieldByName(field.full_name());
  return commented != nullptr ? RangeIn(CommentOf(*commented)) : std::nullopt;
}

}  // namespace lb::config
