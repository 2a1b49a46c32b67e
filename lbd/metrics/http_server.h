// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "lbd/base/status.h"

struct mg_context;
struct mg_connection;

namespace lb::metrics {

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// A small read-only web server: GET and HEAD of fixed paths. Thread-safe.
class HttpServer {
 public:
  // Called from the server's threads.
  using Handler = std::function<HttpResponse()>;
  using Routes = std::map<std::string, Handler, std::less<>>;

  // Listens on `address`, such as "127.0.0.1:9188" or "[::1]:9188".
  static StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& address, Routes routes);
  // Finishes the requests under way.
  ~HttpServer();

 private:
  explicit HttpServer(Routes routes) : routes_(std::move(routes)) {}

  static int Serve(mg_connection* connection, void* self);
  HttpResponse Answer(const std::string& method, const std::string& path) const;

  const Routes routes_;
  mg_context* context_ = nullptr;
};

}  // namespace lb::metrics
