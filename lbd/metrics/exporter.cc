// SPDX-License-Identifier: Apache-2.0
#include "lbd/metrics/exporter.h"

#include <chrono>

namespace lb::metrics {
namespace {

HttpResponse Verdict(const Check& check) {
  const std::vector<std::string> problems = check();
  if (problems.empty()) return {.body = "ok\n"};
  HttpResponse response{.status = 503};
  for (const std::string& problem : problems) response.body += problem + "\n";
  return response;
}

}  // namespace

std::string Scrape(const std::vector<Source>& sources) {
  const auto start = std::chrono::steady_clock::now();
  Samples samples;
  for (const Source& source : sources) source(samples);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  samples.Add(Metric::kScrapeSeconds, {}, took.count());
  return std::move(samples).ToText();
}

StatusOr<std::unique_ptr<HttpServer>> ServeExports(const std::string& address, Exports exports) {
  HttpServer::Routes routes = std::move(exports.pages);
  routes["/metrics"] = [sources = std::move(exports.sources)] {
    return HttpResponse{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                        .body = Scrape(sources)};
  };
  routes["/healthz"] = [check = std::move(exports.alive)] { return Verdict(check); };
  routes["/readyz"] = [check = std::move(exports.ready)] { return Verdict(check); };
  return HttpServer::Start(address, std::move(routes));
}

}  // namespace lb::metrics
