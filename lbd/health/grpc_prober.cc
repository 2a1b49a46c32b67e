// SPDX-License-Identifier: Apache-2.0
#include "lbd/health/grpc_prober.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace lb::health {
namespace {

constexpr size_t kMaxMessage = 4096;
constexpr size_t kPrefix = 5;  // compressed flag and length of a gRPC message
constexpr std::array<std::string_view, 4> kServing = {"UNKNOWN", "SERVING", "NOT_SERVING",
                                                      "SERVICE_UNKNOWN"};

nghttp2_nv Header(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

// The serving status in a HealthCheckResponse: field 1, a varint of one byte; 0 where it is left
// out.
std::optional<uint32_t> StatusIn(std::string_view message) {
  if (message.size() < kPrefix || message[0] != 0) return std::nullopt;
  const std::string_view body = message.substr(kPrefix);
  if (body.empty()) return 0;
  if (body.size() < 2 || body[0] != 0x08) return std::nullopt;
  return static_cast<uint8_t>(body[1]);
}

}  // namespace

class GrpcAttempt final : public StreamAttempt {
 public:
  explicit GrpcAttempt(const GrpcProber& prober) : prober_(prober) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnChunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnClose);
    nghttp2_session* session = nullptr;
    nghttp2_session_client_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    session_.reset(session);
  }

  std::optional<Outcome> OnOpen(std::string& out) override {
    nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, nullptr, 0);
    const std::array headers = {Header(":method", "POST"),
                                Header(":scheme", "http"),
                                Header(":path", "/grpc.health.v1.Health/Check"),
                                Header(":authority", prober_.authority_),
                                Header("content-type", "application/grpc"),
                                Header("te", "trailers"),
                                Header("user-agent", "lbd")};
    nghttp2_data_provider body{};
    body.source.ptr = this;
    body.read_callback = ReadBody;
    nghttp2_submit_request(session_.get(), nullptr, headers.data(), headers.size(), &body, nullptr);
    Drain(out);
    return std::nullopt;
  }

  std::optional<Outcome> OnData(Bytes data, std::string& out) override {
    answered_ = true;
    if (nghttp2_session_mem_recv(session_.get(), data.data(), data.size()) < 0) {
      return Outcome{Failure::kProtocol, "the answer is not HTTP/2", ""};
    }
    Drain(out);
    if (closed_) return Verdict();
    return std::nullopt;
  }

  Outcome OnEnd() override {
    return {Failure::kEarlyClose, "connection closed before the call was over", ""};
  }

  std::string WaitingFor() const override {
    return answered_ ? "the call is not over" : "no answer to the call";
  }

 private:
  struct Free {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };

  static int OnHeader(nghttp2_session* /*session*/, const nghttp2_frame* /*frame*/,
                      const uint8_t* name, size_t name_size, const uint8_t* value,
                      size_t value_size, uint8_t /*flags*/, void* self) {
    auto& attempt = *static_cast<GrpcAttempt*>(self);
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    const std::string text(reinterpret_cast<const char*>(value), std::min<size_t>(value_size, 100));
    if (key == ":status") attempt.http_status_ = text;
    if (key == "grpc-status") attempt.grpc_status_ = text;
    if (key == "grpc-message") attempt.grpc_message_ = text;
    return 0;
  }

  static int OnChunk(nghttp2_session* /*session*/, uint8_t /*flags*/, int32_t /*stream*/,
                     const uint8_t* data, size_t size, void* self) {
    std::string& message = static_cast<GrpcAttempt*>(self)->message_;
    if (message.size() + size > kMaxMessage) return NGHTTP2_ERR_CALLBACK_FAILURE;
    message.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int OnClose(nghttp2_session* /*session*/, int32_t /*stream*/, uint32_t /*code*/,
                     void* self) {
    static_cast<GrpcAttempt*>(self)->closed_ = true;
    return 0;
  }

  static ssize_t ReadBody(nghttp2_session* /*session*/, int32_t /*stream*/, uint8_t* out,
                          size_t room, uint32_t* flags, nghttp2_data_source* source,
                          void* /*user*/) {
    auto& attempt = *static_cast<GrpcAttempt*>(source->ptr);
    const std::string_view rest =
        std::string_view(attempt.prober_.message_).substr(attempt.body_sent_);
    const size_t size = std::min(room, rest.size());
    std::memcpy(out, rest.data(), size);
    attempt.body_sent_ += size;
    if (size == rest.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  void Drain(std::string& out) {
    while (true) {
      const uint8_t* bytes = nullptr;
      const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
      if (size <= 0) return;
      out.append(reinterpret_cast<const char*>(bytes), size);
    }
  }

  Outcome Verdict() const {
    if (http_status_ != "200") {
      return {Failure::kStatus, fmt::format("HTTP status {}, want 200", http_status_), ""};
    }
    if (grpc_status_ != "0") {
      return {Failure::kStatus,
              fmt::format("gRPC status {}{}{}", grpc_status_.empty() ? "missing" : grpc_status_,
                          grpc_message_.empty() ? "" : ": ", grpc_message_),
              ""};
    }
    const auto status = StatusIn(message_);
    if (!status || *status >= kServing.size()) {
      return {Failure::kProtocol, "the answer is no HealthCheckResponse", ""};
    }
    if (kServing[*status] == "SERVING") return Outcome::Ok();
    return {Failure::kStatus, fmt::format("got {}, want SERVING", kServing[*status]), ""};
  }

  const GrpcProber& prober_;
  std::unique_ptr<nghttp2_session, Free> session_;
  size_t body_sent_ = 0;
  bool answered_ = false;
  bool closed_ = false;
  std::string http_status_;
  std::string grpc_status_;
  std::string grpc_message_;
  std::string message_;
};

GrpcProber::GrpcProber(const model::GrpcCheck& check, const model::VipKey& vip, uint16_t port)
    : service_(check.service) {
  const std::string address = vip.address.ToString();
  authority_ = !check.authority.empty() ? check.authority
               : vip.address.is_v4()    ? fmt::format("{}:{}", address, port)
                                        : fmt::format("[{}]:{}", address, port);
  std::string body;
  if (!service_.empty()) {
    body = "\x0a";  // field 1, a string of less than 128 bytes
    body += static_cast<char>(service_.size());
    body += service_;
  }
  message_ = std::string(3, '\0');
  message_ += '\0';
  message_ += static_cast<char>(body.size());
  message_ += body;
}

std::unique_ptr<StreamAttempt> GrpcProber::Start() const {
  return std::make_unique<GrpcAttempt>(*this);
}

}  // namespace lb::health
