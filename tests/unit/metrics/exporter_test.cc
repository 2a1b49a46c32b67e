// SPDX-License-Identifier: Apache-2.0
// The listener over real sockets.
#include "lbd/metrics/exporter.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lbd/base/unique_fd.h"

namespace lb::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A port that nobody has.
uint16_t FreePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof(address);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

class ExporterTest : public ::testing::Test {
 protected:
  void Serve() {
    server_ =
        ServeExports(
            fmt::format("127.0.0.1:{}", port_),
            {.sources = {[this](Samples& samples) {
               samples.Add(Metric::kGeneration, {}, ++scrapes_);
             }},
             .alive = [this] { return alive_; },
             .ready = [this] { return ready_; },
             .pages = {{"/",
                        [] { return HttpResponse{.content_type = "text/html", .body = "hi"}; }}}})
            .value();
  }

  // The whole answer to one request.
  std::string Ask(const std::string& request_line) {
    const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = Loopback(port_);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    const std::string request =
        request_line + " HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(write(fd.get(), request.data(), request.size()),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    for (ssize_t got; (got = read(fd.get(), buffer, sizeof(buffer))) > 0;) {
      answer.append(buffer, static_cast<size_t>(got));
    }
    return answer;
  }

  const uint16_t port_ = FreePort();
  int scrapes_ = 0;
  std::vector<std::string> alive_;
  std::vector<std::string> ready_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(ExporterTest, EachScrapeAsksTheSources) {
  Serve();
  EXPECT_THAT(Ask("GET /metrics"), HasSubstr("\nlbd_config_generation 1\n"));
  const std::string second = Ask("GET /metrics");
  EXPECT_THAT(second, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(second, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(second, HasSubstr("\nlbd_config_generation 2\n"));
  EXPECT_THAT(second, HasSubstr("\nlbd_scrape_duration_seconds "));
}

TEST_F(ExporterTest, ProbesLearnWhatIsWrong) {
  Serve();
  EXPECT_THAT(Ask("GET /healthz"), HasSubstr("200 OK"));
  EXPECT_THAT(Ask("GET /readyz"), HasSubstr("200 OK"));
  ready_ = {"eth0: the link is down", "eth1: the link is down"};
  EXPECT_THAT(Ask("GET /readyz"), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(Ask("GET /readyz"),
              HasSubstr("\r\n\r\neth0: the link is down\neth1: the link is down\n"));
  EXPECT_THAT(Ask("GET /healthz"), HasSubstr("200 OK"));
}

TEST_F(ExporterTest, ItOnlyReadsAndOnlyWhatIsThere) {
  Serve();
  EXPECT_THAT(Ask("GET /"), HasSubstr("Content-Type: text/html\r\n"));
  EXPECT_THAT(Ask("HEAD /"), ::testing::EndsWith("\r\n\r\n"));
  EXPECT_THAT(Ask("POST /metrics"), StartsWith("HTTP/1.1 405"));
  for (const char* path : {"/etc/passwd", "/../../etc/passwd", "/metrics/x", "/%2e%2e/x"}) {
    EXPECT_THAT(Ask(std::string("GET ") + path),
                ::testing::AnyOf(StartsWith("HTTP/1.1 404"), StartsWith("HTTP/1.1 400")))
        << path;
  }
}

TEST_F(ExporterTest, AnAddressThatCannotBeHadIsNamed) {
  Serve();
  const auto again = HttpServer::Start(fmt::format("127.0.0.1:{}", port_), {});
  EXPECT_THAT(Message(again.status()), HasSubstr(fmt::format("127.0.0.1:{}", port_)));
  for (const char* bad : {"", "9188", ":9188", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
                          "127.0.0.1:65536", "127.0.0.1:http"}) {
    EXPECT_EQ(HttpServer::Start(bad, {}).status().code(), absl::StatusCode::kInvalidArgument)
        << bad;
  }
}

}  // namespace
}  // namespace lb::metrics
