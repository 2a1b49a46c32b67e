// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/http_prober.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace lb::health {
namespace {

constexpr size_t kMaxHead = 16 << 10;
constexpr size_t kMaxBody = 64 << 10;
// "HTTP/1.1 200": what the verdict on the status needs.
constexpr size_t kStatusLine = 12;

std::string HostOf(const model::VipKey& vip, uint16_t port, uint16_t scheme_port) {
  const std::string address = vip.address.ToString();
  const std::string host = vip.address.is_v4() ? address : fmt::format("[{}]", address);
  return port == scheme_port ? host : fmt::format("{}:{}", host, port);
}

std::string RequestOf(const model::HttpCheck& check, const model::VipKey& vip, uint16_t port,
                      uint16_t scheme_port) {
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(check.headers, [&](const auto& header) {
      return std::ranges::equal(header.first, name, {},
                                [](unsigned char c) { return std::tolower(c); });
    });
  };
  std::string request = fmt::format("{} {} HTTP/1.1\r\n", check.method, check.path);
  if (!has("host")) {
    request += fmt::format("Host: {}\r\n",
                           check.host.empty() ? HostOf(vip, port, scheme_port) : check.host);
  }
  if (!has("user-agent")) request += "User-Agent: lbd\r\n";
  for (const auto& [name, value] : check.headers) {
    request += fmt::format("{}: {}\r\n", name, value);
  }
  return request + "Connection: close\r\n\r\n";
}

// Printable, and short enough for a line.
std::string Excerpt(std::string_view text) {
  std::string excerpt(text.substr(0, 40));
  std::ranges::replace_if(
      excerpt, [](unsigned char c) { return std::isprint(c) == 0; }, '.');
  return excerpt;
}

}  // namespace

class HttpAttempt final : public StreamAttempt {
 public:
  explicit HttpAttempt(const HttpProber& prober) : prober_(prober) {}

  std::optional<Outcome> OnOpen(std::string& out) override {
    out += prober_.request_;
    return std::nullopt;
  }

  std::optional<Outcome> OnData(Bytes data, std::string& /*out*/) override {
    received_.append(reinterpret_cast<const char*>(data.data()), data.size());
    if (!status_known_) {
      if (received_.size() < kStatusLine) return std::nullopt;
      if (auto outcome = JudgeStatus()) return outcome;
      if (!prober_.wants_body()) return Outcome::Ok();
    }
    if (body_at_ == 0) {
      const size_t end = received_.find("\r\n\r\n");
      if (end == std::string::npos) {
        if (received_.size() < kMaxHead) return std::nullopt;
        return Outcome{Failure::kProtocol, fmt::format("more than {} bytes of headers", kMaxHead)};
      }
      body_at_ = end + 4;
      ReadFraming(std::string_view(received_).substr(0, end));
    }
    if (BodyComplete() || received_.size() - body_at_ >= kMaxBody) return JudgeBody();
    return std::nullopt;
  }

  Outcome OnEnd() override {
    if (body_at_ != 0) return JudgeBody();
    return {Failure::kEarlyClose,
            received_.empty() ? "connection closed without an answer"
                              : fmt::format("connection closed after \"{}\"", Excerpt(received_))};
  }

  std::string WaitingFor() const override {
    return received_.empty() ? "no answer to the request"
                             : fmt::format("answer incomplete after {} bytes", received_.size());
  }

 private:
  std::optional<Outcome> JudgeStatus() {
    const std::string_view line = std::string_view(received_).substr(0, kStatusLine);
    int status = 0;
    const auto [end, error] = std::from_chars(line.data() + 9, line.data() + kStatusLine, status);
    if (!line.starts_with("HTTP/1.") || line[8] != ' ' || error != std::errc() ||
        end != line.data() + kStatusLine) {
      return Outcome{Failure::kProtocol,
                     fmt::format("not an HTTP/1 answer: \"{}\"", Excerpt(received_))};
    }
    status_known_ = true;
    if (prober_.Accepts(status)) return std::nullopt;
    return Outcome{Failure::kStatus,
                   fmt::format("got {}, want {}", status, prober_.WantedStatuses())};
  }

  void ReadFraming(std::string_view head) {
    std::string lower(head);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
    chunked_ = lower.find("\r\ntransfer-encoding: chunked") != std::string::npos;
    constexpr std::string_view kLength = "\r\ncontent-length:";
    const size_t at = lower.find(kLength);
    if (chunked_ || at == std::string::npos) return;
    const size_t digits = lower.find_first_not_of(' ', at + kLength.size());
    if (digits == std::string::npos) return;
    size_t length = 0;
    const auto [end, error] =
        std::from_chars(lower.data() + digits, lower.data() + lower.size(), length);
    if (error == std::errc()) length_ = length;
  }

  bool BodyComplete() const {
    if (chunked_) return received_.find("\r\n0\r\n", body_at_ - 2) != std::string::npos;
    return length_ && received_.size() - body_at_ >= *length_;
  }

  // The body without the marks of chunks; what contradicts itself ends it.
  std::string Body() const {
    std::string_view raw = std::string_view(received_).substr(body_at_);
    if (!chunked_) return std::string(raw);
    std::string body;
    while (true) {
      size_t size = 0;
      const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), size, 16);
      const size_t line = raw.find("\r\n");
      if (error != std::errc() || size == 0 || line == std::string_view::npos) return body;
      raw.remove_prefix(line + 2);
      body += raw.substr(0, size);
      if (raw.size() < size || raw.size() - size < 2) return body;
      raw.remove_prefix(size + 2);
    }
  }

  Outcome JudgeBody() const {
    const std::string body = Body();
    const model::HttpCheck& check = prober_.check_;
    if (body.find(check.body) == std::string::npos) {
      return {Failure::kBody, fmt::format("\"{}\" is not in the body, which begins with \"{}\"",
                                          check.body, Excerpt(body))};
    }
    if (!check.body_regex.empty() && !RE2::PartialMatch(body, prober_.regex_)) {
      return {Failure::kBody, fmt::format("nothing in the body matches \"{}\"; it begins with "
                                          "\"{}\"",
                                          check.body_regex, Excerpt(body))};
    }
    return Outcome::Ok();
  }

  const HttpProber& prober_;
  std::string received_;
  bool status_known_ = false;
  bool chunked_ = false;
  size_t body_at_ = 0;  // 0: not there yet
  std::optional<size_t> length_;
};

HttpProber::HttpProber(const model::HttpCheck& check, const model::VipKey& vip, uint16_t port,
                       uint16_t scheme_port)
    : check_(check),
      request_(RequestOf(check, vip, port, scheme_port)),
      regex_(check.body_regex, RE2::Quiet) {}

std::unique_ptr<StreamAttempt> HttpProber::Start() const {
  return std::make_unique<HttpAttempt>(*this);
}

bool HttpProber::Accepts(int status) const {
  return std::ranges::any_of(check_.statuses, [&](const model::StatusRange& range) {
    return status >= range.first && status <= range.last;
  });
}

std::string HttpProber::WantedStatuses() const {
  std::string text;
  for (const model::StatusRange& range : check_.statuses) {
    text += text.empty() ? "" : ",";
    text += range.first == range.last ? fmt::format("{}", range.first)
                                      : fmt::format("{}-{}", range.first, range.last);
  }
  return text;
}

}  // namespace lb::health
