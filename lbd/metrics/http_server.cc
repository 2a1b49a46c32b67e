// SPDX-License-Identifier: Apache-2.0
#include "lbd/metrics/http_server.h"

#include <civetweb.h>
#include <fmt/format.h>

namespace lb::metrics {
namespace {

// A scrape, a person with the console open, and a probe at the same time.
constexpr const char* kThreads = "4";
constexpr const char* kRequestTimeoutMs = "10000";

// Scripts and styles of a page are in the page; it talks to nobody but us.
constexpr const char* kSecurityHeaders =
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; img-src data:\r\n";

std::string KeepError(const mg_error_data& error) {
  return error.text != nullptr && error.text[0] != '\0' ? error.text : "address in use or invalid";
}

// 1..65535 behind the last colon of "HOST:PORT".
bool HasHostAndPort(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  const std::string port = address.substr(colon + 1);
  return !port.empty() && port.size() <= 5 &&
         port.find_first_not_of("0123456789") == std::string::npos && std::stoi(port) > 0 &&
         std::stoi(port) <= 65535;
}

}  // namespace

StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address, Routes routes) {
  if (!HasHostAndPort(address)) {
    return InvalidArgument(fmt::format(
        "must be ADDRESS:PORT such as 127.0.0.1:9188 or [::1]:9188, got \"{}\"", address));
  }
  static const bool initialised = [] { return mg_init_library(MG_FEATURES_DEFAULT), true; }();
  (void)initialised;
  std::unique_ptr<HttpServer> self(new HttpServer(std::move(routes)));
  const char* options[] = {"listening_ports",
                           address.c_str(),
                           "num_threads",
                           kThreads,
                           "request_timeout_ms",
                           kRequestTimeoutMs,
                           "enable_keep_alive",
                           "yes",
                           "keep_alive_timeout_ms",
                           "5000",
                           "tcp_nodelay",
                           "1",
                           nullptr};
  const mg_callbacks callbacks{.log_message = [](const mg_connection*, const char*) { return 1; }};
  char text[256] = "";
  mg_error_data error{.code = nullptr, .text = text, .text_buffer_size = sizeof(text)};
  mg_init_data init{
      .callbacks = &callbacks, .user_data = self.get(), .configuration_options = options};
  self->context_ = mg_start2(&init, &error);
  if (self->context_ == nullptr) {
    return Unavailable(fmt::format("cannot listen on {}: {}", address, KeepError(error)));
  }
  mg_set_request_handler(self->context_, "/", Serve, self.get());
  return self;
}

HttpServer::~HttpServer() {
  if (context_ != nullptr) mg_stop(context_);
}

HttpResponse HttpServer::Answer(const std::string& method, const std::string& path) const {
  if (method != "GET" && method != "HEAD") return {.status = 405, .body = "only GET and HEAD\n"};
  const auto route = routes_.find(path);
  if (route != routes_.end()) return route->second();
  HttpResponse missing{.status = 404, .body = "not here; there are:\n"};
  for (const auto& [known, handler] : routes_) missing.body += known + "\n";
  return missing;
}

int HttpServer::Serve(mg_connection* connection, void* self) {
  const mg_request_info* request = mg_get_request_info(connection);
  const std::string method = request->request_method;
  const HttpResponse response = static_cast<HttpServer*>(self)->Answer(method, request->local_uri);
  const std::string head =
      fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}\r\n",
                  response.status, mg_get_response_code_text(connection, response.status),
                  response.content_type, response.body.size(), kSecurityHeaders);
  mg_write(connection, head.data(), head.size());
  if (method != "HEAD") mg_write(connection, response.body.data(), response.body.size());
  return response.status;
}

}  // namespace lb::metrics
