// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/dns_prober.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "lbd/base/ip_address.h"

namespace lb::health {
namespace {

constexpr size_t kHeader = 12;
constexpr uint8_t kResponse = 0x80;
constexpr uint8_t kRecursionDesired = 0x01;
constexpr uint8_t kCompressed = 0xc0;
constexpr uint16_t kA = 1;
constexpr uint16_t kAaaa = 28;
constexpr uint16_t kInternet = 1;
constexpr std::array<std::string_view, 6> kCodes = {"NOERROR",  "FORMERR", "SERVFAIL",
                                                    "NXDOMAIN", "NOTIMP",  "REFUSED"};

void Append16(std::string& out, uint16_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

uint16_t Get16(Bytes bytes, size_t at) { return bytes[at] << 8 | bytes[at + 1]; }

uint16_t TypeOf(model::DnsType type) { return type == model::DnsType::kAaaa ? kAaaa : kA; }

std::string CodeName(uint32_t code) {
  return code < kCodes.size() ? std::string(kCodes[code]) : fmt::format("RCODE {}", code);
}

// Where the name that begins at `at` ends; 0 where it does not.
size_t SkipName(Bytes bytes, size_t at) {
  while (at < bytes.size()) {
    const uint8_t length = bytes[at];
    if ((length & kCompressed) == kCompressed) return at + 2;
    if (length == 0) return at + 1;
    at += 1u + length;
  }
  return 0;
}

}  // namespace

DnsProber::DnsProber(const model::DnsCheck& check) : check_(check) {
  std::string_view name = check.name;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (label.empty()) break;  // the root
    question_ += static_cast<char>(label.size());
    question_ += label;
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  question_ += '\0';
  Append16(question_, TypeOf(check.type));
  Append16(question_, kInternet);
}

std::string DnsProber::Request(uint64_t cookie) const {
  std::string message;
  Append16(message, cookie & 0xffff);
  message += static_cast<char>(kRecursionDesired);
  message += '\0';
  Append16(message, 1);
  message.append(6, '\0');
  return message + question_;
}

std::optional<Outcome> DnsProber::Judge(Bytes reply, uint64_t cookie) const {
  if (reply.size() < kHeader + question_.size() || Get16(reply, 0) != (cookie & 0xffff) ||
      (reply[2] & kResponse) == 0) {
    return std::nullopt;
  }
  // The question comes back as it was; capitals are of no account (RFC 4343).
  const auto lower = [](unsigned char c) { return std::tolower(c); };
  if (!std::ranges::equal(reply.subspan(kHeader, question_.size()), question_, {}, lower, lower)) {
    return std::nullopt;
  }
  const uint32_t code = reply[3] & 0xf;
  if (code != check_.rcode) {
    return Outcome{Failure::kStatus,
                   fmt::format("got {}, want {}", CodeName(code), CodeName(check_.rcode)), ""};
  }
  if (check_.answer.empty()) return Outcome::Ok();
  const auto answers = Answers(reply);
  if (!answers) return Outcome{Failure::kProtocol, "the answer is malformed", ""};
  if (std::ranges::find(*answers, check_.answer) != answers->end()) return Outcome::Ok();
  return Outcome{
      Failure::kBody,
      fmt::format("{} is not in the answer [{}]", check_.answer, fmt::join(*answers, ", ")), ""};
}

std::optional<std::vector<std::string>> DnsProber::Answers(Bytes reply) const {
  std::vector<std::string> answers;
  const uint16_t count = Get16(reply, 6);
  size_t at = kHeader + question_.size();
  for (uint16_t i = 0; i < count; ++i) {
    at = SkipName(reply, at);
    if (at == 0 || at + 10 > reply.size()) return std::nullopt;
    const uint16_t type = Get16(reply, at);
    const size_t length = Get16(reply, at + 8);
    at += 10;
    if (at + length > reply.size()) return std::nullopt;
    if (type == TypeOf(check_.type)) {
      const auto address = IpAddress::FromBytes(reply.subspan(at, length));
      if (!address.ok()) return std::nullopt;
      answers.push_back(address->ToString());
    }
    at += length;
  }
  return answers;
}

}  // namespace lb::health
