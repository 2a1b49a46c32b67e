// SPDX-License-Identifier: Apache-2.0
// Every call over a real socket, to a controller whose data plane forwards nothing.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <filesystem>
#include <fstream>
#include <set>

#include "lb/v1/load_balancer_service.grpc.pb.h"
#include "lbd/api/guarded_service.h"
#include "lbd/api/reflection_limit.h"
#include "lbd/api/server.h"
#include "lbd/api/watch.h"
#include "tests/support/fake_dataplane.h"
#include "tests/unit/model/config_testing.h"

namespace lb::api {
namespace {

using grpc::StatusCode;
using model::Ip;
using model::Key;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kKey = "address: '192.0.2.1' port: 80 protocol: PROTOCOL_TCP";

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest()
      : directory_(fmt::format("{}lbd_service_test_{}", ::testing::TempDir(), getpid())),
        address_("unix:" + directory_ + "/run/lbd.sock") {
    auto plane = std::make_unique<testing::FakeDataplane>();
    plane_ = plane.get();
    plane_->next_hops = {{.real = Ip("10.0.0.1"), .hop = {}, .problem = "no route"}};
    plane_->stats.vips = {
        {.key = Key("192.0.2.1:80/tcp"),
         .total = {5, 500},
         .reals =
             {{.address = Ip("10.0.0.1"), .counter = {5, 500}, .flows = 4, .leaving_slots = 2}},
         .tracking = {.slots = 16384, .flows = 4, .flow_capacity = 64}}};
    plane_->stats.verdicts = {{"forward", "tx", "Sent.", 5}};
    plane_->flows = {{.slot = 3, .fingerprint = 0xabc, .real = Ip("10.0.0.1")},
                     {.slot = 4, .fingerprint = 0xdef, .real = Ip("10.0.0.1")}};
    controller_ = control::Controller::Create(std::move(plane)).value();
    server_ = Start("1.2.3").value();
    channel_ = grpc::CreateChannel(address_, grpc::InsecureChannelCredentials());
    stub_ = v1::LoadBalancer::NewStub(channel_);
  }
  StatusOr<std::unique_ptr<Server>> Start(const std::string& version) {
    ServerOptions options{
        .version = version, .audit_log = directory_ + "/audit", .metrics_listen = "127.0.0.1:9188"};
    std::filesystem::create_directories(directory_);
    LB_ASSIGN_OR_RETURN(Listener listener,
                        BindUnix(address_.substr(std::string_view("unix:").size()), getegid()));
    options.listeners.push_back(std::move(listener));
    return Server::Start(std::move(options), *controller_);
  }
  ~ServiceTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  // The answer to a request in text format; `status_` is what the call said.
  template <typename Response, typename Request>
  Response Call(grpc::Status (v1::LoadBalancer::Stub::*method)(grpc::ClientContext*, const Request&,
                                                               Response*),
                const std::string& text) {
    Request request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    grpc::ClientContext context;
    Response response;
    status_ = ((*stub_).*method)(&context, request, &response);
    return response;
  }
  void AddVip() {
    Call(&v1::LoadBalancer::Stub::AddVip,
         fmt::format("vip {{ {} reals {{ address: '10.0.0.1' }} }}", kKey));
    ASSERT_TRUE(status_.ok()) << status_.error_message();
  }

  std::string directory_;
  std::string address_;
  testing::FakeDataplane* plane_;
  std::unique_ptr<control::Controller> controller_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::LoadBalancer::Stub> stub_;
  grpc::Status status_;
};

using Stub = v1::LoadBalancer::Stub;

TEST_F(ServiceTest, EventsAreStreamedFromWhereTheClientWants) {
  AddVip();
  v1::WatchEventsRequest request;
  request.set_from_sequence(0);
  request.add_kinds(v1::EVENT_KIND_CONFIG);
  grpc::ClientContext context;
  const auto reader = stub_->WatchEvents(&context, request);
  v1::WatchEventsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_FALSE(response.caught_up());
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_EQ(response.events_size(), 1);
  EXPECT_FALSE(response.restarted());
  EXPECT_THAT(response.events(0).message(), HasSubstr("generation 1"));
  EXPECT_EQ(response.events(0).generation(), 1u);
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), StatusCode::CANCELLED);
}

TEST_F(ServiceTest, StatsAreStreamedAtAnInterval) {
  AddVip();
  v1::WatchStatsRequest request;
  request.set_interval_milliseconds(100);
  grpc::ClientContext context;
  const auto reader = stub_->WatchStats(&context, request);
  v1::WatchStatsResponse response;
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.stats().vips_size(), 1);
  context.TryCancel();
  request.set_interval_milliseconds(99);
  grpc::ClientContext refused;
  const auto none = stub_->WatchStats(&refused, request);
  EXPECT_FALSE(none->Read(&response));
  EXPECT_EQ(none->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, ThereAreOnlySoManyStreams) {
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::WatchEventsResponse>>> readers;
  v1::WatchEventsResponse response;
  for (int i = 0; i < Watches::kMaxStreams; ++i) {
    readers.push_back(stub_->WatchEvents(
        contexts.emplace_back(std::make_unique<grpc::ClientContext>()).get(), {}));
    ASSERT_TRUE(readers.back()->Read(&response)) << i;
  }
  grpc::ClientContext refused;
  EXPECT_EQ(stub_->WatchEvents(&refused, {})->Finish().error_code(),
            StatusCode::RESOURCE_EXHAUSTED);
  for (const auto& context : contexts) context->TryCancel();
}

TEST_F(ServiceTest, TheSocketIsForOwnerAndGroup) {
  struct stat info {};
  ASSERT_EQ(stat((directory_ + "/run/lbd.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660u);
}

// The names of all calls, as "kind name".
std::set<std::string> CallsOfTheProtoFile() {
  std::set<std::string> calls;
  const auto* service =
      v1::ApplyConfigRequest::descriptor()->file()->FindServiceByName("LoadBalancer");
  for (int i = 0; i < service->method_count(); ++i) {
    const auto* method = service->method(i);
    calls.insert((method->server_streaming() ? "stream " : "unary ") + method->name());
  }
  return calls;
}

TEST(GuardedServiceTest, EveryCallIsGuarded) {
  std::set<std::string> guarded;
#define LB_ADD_UNARY(Method) guarded.insert("unary " #Method);
#define LB_ADD_STREAM(Method) guarded.insert("stream " #Method);
  LB_UNARY_CALLS(LB_ADD_UNARY)
  LB_STREAM_CALLS(LB_ADD_STREAM)
  EXPECT_EQ(guarded, CallsOfTheProtoFile());
}

TEST_F(ServiceTest, ChangesAreWrittenDownWithoutSecrets) {
  Call(&Stub::ApplyConfig,
       "config { hash_key: '00112233445566778899aabbccddeeff' }"
       " options { comment: 'new key' }");
  Call(&Stub::DeleteVip, fmt::format("vip {{ {} }}", kKey));
  Call(&Stub::GetConfig, "");
  std::ifstream in(directory_ + "/audit");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], HasSubstr("\"call\":\"ApplyConfig\""));
  EXPECT_THAT(lines[0], HasSubstr("new key"));
  EXPECT_THAT(lines[0], Not(HasSubstr("0011")));
  EXPECT_THAT(lines[0], HasSubstr(fmt::format("\"peer\":\"uid {}", geteuid())));
  EXPECT_THAT(lines[1], HasSubstr("\"code\":5"));
}

TEST_F(ServiceTest, ASecondServerOnTheSocketIsRefused) {
  const auto second = Start("2");
  EXPECT_FALSE(second.ok());
  AddVip();  // the first still serves
}

TEST_F(ServiceTest, ADocumentBecomesTheConfigurationAndCanBeReadBack) {
  const auto applied =
      Call(&Stub::ApplyConfig, fmt::format("config {{ vips {{ {} name: 'web' }} }}", kKey));
  ASSERT_TRUE(status_.ok()) << status_.error_message();
  EXPECT_EQ(applied.generation(), 1u);
  EXPECT_EQ(applied.result().changes(0), "+ 192.0.2.1:80/tcp (0 reals)");
  const auto got = Call(&Stub::GetConfig, "");
  EXPECT_EQ(got.generation(), 1u);
  EXPECT_EQ(got.config().vips(0).name(), "web");
  EXPECT_EQ(got.config().hash_key(), "");
}

TEST_F(ServiceTest, ValidateOnlyChangesNothing) {
  Call(&Stub::ApplyConfig,
       fmt::format("config {{ vips {{ {} }} }} options {{ validate_only: true }}", kKey));
  EXPECT_TRUE(status_.ok());
  EXPECT_EQ(Call(&Stub::ListVips, "").vips_size(), 0);
}

TEST_F(ServiceTest, AChangeIsMadeOnceAndForTheConfigurationThatItWasMadeFor) {
  const std::string add = fmt::format("vip {{ {} }} options {{ request_id: 'a' }}", kKey);
  const auto first = Call(&Stub::AddVip, add);
  const auto again = Call(&Stub::AddVip, add);
  ASSERT_TRUE(status_.ok()) << status_.error_message();
  EXPECT_EQ(again.generation(), 1u);
  EXPECT_EQ(again.result().etag(), first.result().etag());
  EXPECT_EQ(Call(&Stub::GetConfig, "").etag(), first.result().etag());
  Call(&Stub::DeleteVip, fmt::format("vip {{ {} }} options {{ etag: '1-0' }}", kKey));
  EXPECT_EQ(status_.error_code(), StatusCode::ABORTED);
  Call(&Stub::DeleteVip, fmt::format("vip {{ {} }} options {{ max_disruption: 2 }}", kKey));
  EXPECT_EQ(status_.error_message(), "options.max_disruption: must be 0..1, got 2");
  Call(&Stub::DeleteVip,
       fmt::format("vip {{ {} }} options {{ etag: '{}' }}", kKey, first.result().etag()));
  EXPECT_TRUE(status_.ok()) << status_.error_message();
}

TEST_F(ServiceTest, AConfigurationCanWaitToBeConfirmed) {
  Call(&Stub::ApplyConfig, "config { } confirm_within_seconds: 0");
  EXPECT_EQ(status_.error_code(), StatusCode::INVALID_ARGUMENT);
  const auto applied =
      Call(&Stub::ApplyConfig,
           fmt::format("config {{ vips {{ {} }} }} confirm_within_seconds: 60", kKey));
  EXPECT_GT(applied.result().confirm_by().seconds(), 0);
  EXPECT_EQ(Call(&Stub::GetStatus, "").confirm_by().seconds(),
            applied.result().confirm_by().seconds());
  Call(&Stub::DeleteVip, fmt::format("vip {{ {} }}", kKey));
  EXPECT_EQ(status_.error_code(), StatusCode::FAILED_PRECONDITION);
  Call(&Stub::ConfirmConfig, "");
  EXPECT_TRUE(status_.ok()) << status_.error_message();
  EXPECT_FALSE(Call(&Stub::GetStatus, "").has_confirm_by());
  Call(&Stub::ConfirmConfig, "");
  EXPECT_EQ(status_.error_code(), StatusCode::FAILED_PRECONDITION);
}

TEST_F(ServiceTest, WithoutAStateDirectoryThereAreNoRevisions) {
  Call(&Stub::ListRevisions, "");
  EXPECT_EQ(status_.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status_.error_message(), HasSubstr("--state_dir"));
  Call(&Stub::ReloadConfig, "");
  EXPECT_THAT(status_.error_message(), HasSubstr("--config"));
}

TEST_F(ServiceTest, MistakesAreNamedWithTheirPath) {
  Call(&Stub::ApplyConfig, "config { vips { address: 'x' port: 80 protocol: PROTOCOL_TCP } }");
  EXPECT_EQ(status_.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status_.error_message(), HasSubstr("vips[0].address: \"x\""));
  AddVip();
  Call(&Stub::UpdateReal, fmt::format("vip {{ {} }} real {{ address: '10.0.0.1' weight: 1000001 }} "
                                      "update_mask {{ paths: 'weight' }}",
                                      kKey));
  EXPECT_THAT(status_.error_message(),
              HasSubstr("192.0.2.1:80/tcp.reals[0].weight: must be 0..1000000, got 1000001"));
}

TEST_F(ServiceTest, ARequestWithoutAConfigurationDeletesNothing) {
  AddVip();
  Call(&Stub::ApplyConfig, "");
  EXPECT_EQ(status_.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status_.error_message(), "config: is required");
  EXPECT_EQ(Call(&Stub::ListVips, "").vips_size(), 1);
}

TEST_F(ServiceTest, MessagesFitIntoHeaders) {
  std::string vips;
  const std::string odd(150, '%');
  for (int i = 0; i < 60; ++i) vips += "vips { address: '" + odd + "' port: 80 } ";
  Call(&Stub::ApplyConfig, "config { " + vips + " }");
  EXPECT_EQ(status_.error_code(), StatusCode::INVALID_ARGUMENT) << status_.error_message();
  EXPECT_THAT(status_.error_message(), ::testing::EndsWith("..."));
}

TEST_F(ServiceTest, LongListsOfProblemsAreCut) {
  std::string vips;
  for (int i = 0; i < 500; ++i) vips += "vips { address: 'x' port: 80 protocol: PROTOCOL_TCP } ";
  Call(&Stub::ApplyConfig, "config { " + vips + " }");
  EXPECT_EQ(status_.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(std::ranges::count(status_.error_message(), '\n'), 50);
  EXPECT_THAT(status_.error_message(), HasSubstr("more problems"));
}

TEST_F(ServiceTest, VipsAndRealsComeChangeAndGo) {
  AddVip();
  Call(&Stub::AddVip, fmt::format("vip {{ {} }}", kKey));
  EXPECT_EQ(status_.error_code(), StatusCode::ALREADY_EXISTS);
  Call(&Stub::UpdateVip,
       fmt::format(
           "vip {{ {} name: 'n' tracking: TRACKING_ALWAYS }} update_mask {{ paths: 'name' }}",
           kKey));
  EXPECT_TRUE(status_.ok()) << status_.error_message();
  auto vips = Call(&Stub::ListVips, "");
  EXPECT_EQ(vips.vips(0).name(), "n");
  EXPECT_EQ(vips.vips(0).tracking(), v1::TRACKING_AUTO);
  Call(&Stub::AddReal, fmt::format("vip {{ {} }} real {{ address: '10.0.0.2' }}", kKey));
  EXPECT_TRUE(status_.ok());
  Call(&Stub::DeleteReal, fmt::format("vip {{ {} }} address: '10.0.0.3'", kKey));
  EXPECT_EQ(status_.error_code(), StatusCode::NOT_FOUND);
  Call(&Stub::DeleteReal, fmt::format("vip {{ {} }} address: '10.0.0.2'", kKey));
  EXPECT_TRUE(status_.ok());
  EXPECT_EQ(Call(&Stub::ListVips, "").vips(0).reals_size(), 1);
  Call(&Stub::DeleteVip, fmt::format("vip {{ {} }}", kKey));
  EXPECT_TRUE(status_.ok());
  Call(&Stub::DeleteVip, fmt::format("vip {{ {} }}", kKey));
  EXPECT_EQ(status_.error_code(), StatusCode::NOT_FOUND);
}

TEST_F(ServiceTest, RealsShowWhatTheyLeadTo) {
  AddVip();
  const auto reals = Call(&Stub::ListReals, fmt::format("vip {{ {} }}", kKey));
  ASSERT_EQ(reals.reals_size(), 1);
  EXPECT_EQ(reals.reals(0).slots(), 16384u);
  EXPECT_EQ(reals.reals(0).ring_slots(), 16384u);
  EXPECT_EQ(reals.reals(0).next_hop_problem(), "no route");
  EXPECT_EQ(reals.reals(0).flows(), 4u);
  EXPECT_EQ(reals.reals(0).leaving_slots(), 2u);
}

TEST_F(ServiceTest, StatusSaysWhatIsWrong) {
  AddVip();
  const auto status = Call(&Stub::GetStatus, "");
  EXPECT_EQ(status.version(), "1.2.3");
  EXPECT_EQ(status.generation(), 1u);
  EXPECT_EQ(status.vips(), 1u);
  EXPECT_EQ(status.reals(), 1u);
  EXPECT_EQ(status.map_bytes(), 4096u);
  EXPECT_EQ(status.metrics_listen(), "127.0.0.1:9188");
  EXPECT_GT(status.resident_bytes(), 1u << 20);
  EXPECT_EQ(status.attachments(0).interface(), "eth0");
  EXPECT_EQ(status.next_hops(0).problem(), "no route");
  EXPECT_EQ(status.warnings(0), "a warning");
  EXPECT_THAT(status.warnings(1), HasSubstr("interfaces is empty"));
  EXPECT_THAT(status.warnings(2), HasSubstr("hash_key is not set"));
}

TEST_F(ServiceTest, ABriefStatusHasNoNextHopsThatAreWell) {
  AddVip();
  plane_->next_hops.insert(plane_->next_hops.begin(),
                           {.real = Ip("10.0.0.2"), .hop = {}, .problem = ""});
  EXPECT_EQ(Call(&Stub::GetStatus, "").next_hops_size(), 2);
  const auto brief = Call(&Stub::GetStatus, "brief: true");
  ASSERT_EQ(brief.next_hops_size(), 1);
  EXPECT_EQ(brief.next_hops(0).problem(), "no route");
  EXPECT_EQ(brief.reals(), 1u);
}

TEST_F(ServiceTest, StatsAreThoseOfTheDataPlane) {
  AddVip();
  const auto stats = Call(&Stub::GetStats, "");
  EXPECT_EQ(stats.vips(0).total().packets(), 5u);
  EXPECT_EQ(stats.vips(0).reals(0).counter().bytes(), 500u);
  EXPECT_EQ(stats.vips(0).tracking().flow_capacity(), 64u);
  EXPECT_EQ(stats.verdicts(0).verdict(), "forward");
}

TEST_F(ServiceTest, FlowsAreListedAndPurged) {
  Call(&Stub::ListFlows, fmt::format("vip {{ {} }}", kKey));
  EXPECT_EQ(status_.error_code(), StatusCode::NOT_FOUND);
  AddVip();
  const auto flows = Call(&Stub::ListFlows, fmt::format("vip {{ {} }} limit: 1", kKey));
  ASSERT_EQ(flows.flows_size(), 1);
  EXPECT_EQ(flows.total(), 4u);
  EXPECT_EQ(flows.flows(0).hash(), "0000000abc");
  Call(&Stub::ListFlows, fmt::format("vip {{ {} }} limit: 0", kKey));
  EXPECT_EQ(status_.error_message(), "limit: must be 1..100000, got 0");
  Call(&Stub::PurgeFlows, fmt::format("vip {{ {} }} real: '10.0.0.9'", kKey));
  EXPECT_EQ(status_.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Call(&Stub::PurgeFlows, fmt::format("vip {{ {} }} real: '10.0.0.1'", kKey)).purged(),
            3u);
  EXPECT_EQ(plane_->purged().size(), 1u);
}

TEST_F(ServiceTest, WhatTheDataPlaneRefusesIsSaid) {
  plane_->AnswerWith(FailedPrecondition("eth0 is down"));
  Call(&Stub::AddVip, fmt::format("vip {{ {} }}", kKey));
  EXPECT_EQ(status_.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status_.error_message(), "eth0 is down");
}

// By name and in bytes, as tools call them that know no more of lbd.
// A client that speaks HTTP/2 by itself, so that it may do what clients of gRPC do not.
class RawClient {
 public:
  explicit RawClient(const std::string& path)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, ""));
  }
  void Acknowledge() { Send(Frame(4, 1, 0, "")); }
  // Begins call number `n`, which never goes on, with so many bytes of metadata more.
  void Begin(uint32_t n, size_t metadata = 0) {
    static const std::string path = "/lb.v1.LoadBalancer/GetConfig";
    std::string headers = "\x83\x86\x04" + std::string(1, static_cast<char>(path.size())) + path +
                          "\x01\x01x\x0f\x10\x10" + "application/grpc" +
                          std::string("\x00\x02te\x08trailers", 13);
    // A literal of more than 127 bytes: its length goes on in bytes of seven bits.
    for (; metadata > 0; metadata -= 128) {
      headers += std::string("\x00\x01y\x7f\x01", 5) + std::string(128, 'y');
    }
    Send(Frame(1, 4, 2 * n + 1, headers));
  }
  // Whether the server closes the connection soon.
  bool IsClosed() {
    Receive();
    return closed_;
  }
  // Whether it answers call number `n` soon, be it by an error.
  bool IsAnswered(uint32_t n) {
    Receive();
    for (size_t at = 0; at + 9 <= received_.size();) {
      const auto byte = [&](size_t i) { return static_cast<uint8_t>(received_[at + i]); };
      const bool of_stream = byte(3) == 1 || byte(3) == 3;  // HEADERS, RST_STREAM
      if (of_stream && (byte(7) << 8 | byte(8)) == static_cast<int>(2 * n + 1)) return true;
      at += 9 + (byte(0) << 16 | byte(1) << 8 | byte(2));
    }
    return false;
  }

 private:
  static std::string Frame(uint8_t type, uint8_t flags, uint32_t stream,
                           const std::string& payload) {
    std::string frame;
    for (const uint32_t byte :
         {payload.size() >> 16, payload.size() >> 8, payload.size(), size_t{type}, size_t{flags},
          size_t{stream >> 24}, size_t{stream >> 16}, size_t{stream >> 8}, size_t{stream}}) {
      frame += static_cast<char>(byte);
    }
    return frame + payload;
  }
  void Send(const std::string& bytes) {
    (void)send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  // Everything that comes until the connection is closed, or for a second nothing.
  void Receive() {
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    std::array<char, 4096> buffer;
    ssize_t got = 0;
    while ((got = recv(fd_.get(), buffer.data(), buffer.size(), 0)) > 0) {
      received_.append(buffer.data(), static_cast<size_t>(got));
    }
    closed_ = got == 0 || errno == ECONNRESET;
  }

  UniqueFd fd_;
  std::string received_;
  bool closed_ = false;
};

TEST_F(ServiceTest, CallsAreLimitedBeforeAClientAcknowledgesTheSettings) {
  for (const bool acknowledges : {false, true}) {
    SCOPED_TRACE(acknowledges);
    RawClient few(directory_ + "/run/lbd.sock");
    RawClient many(directory_ + "/run/lbd.sock");
    if (acknowledges) {
      few.Acknowledge();
      many.Acknowledge();
    }
    for (uint32_t n = 0; n < 48; ++n) few.Begin(n);
    for (uint32_t n = 0; n < 60; ++n) many.Begin(n);
    EXPECT_TRUE(many.IsClosed());
    EXPECT_FALSE(few.IsClosed());
  }
}

TEST_F(ServiceTest, MetadataIsLimitedBeforeAClientAcknowledgesTheSettings) {
  RawClient client(directory_ + "/run/lbd.sock");
  client.Begin(0, 8 << 10);
  EXPECT_FALSE(client.IsAnswered(0));
  client.Begin(1, 15 << 10);  // counted with 32 bytes more each
  EXPECT_TRUE(client.IsAnswered(1));
}

class WellKnownServiceTest : public ServiceTest {
 protected:
  static constexpr const char* kReflection =
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  static constexpr const char* kListServices = "\x3a\x01*";

  // The first answer of a method to one request; what fails is told by an empty answer.
  std::string Ask(const std::string& method, const std::string& request) {
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    const auto call = stub.PrepareCall(&context, method, &queue);
    const auto done = [&] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    const grpc::Slice slice(request);
    const grpc::ByteBuffer in(&slice, 1);
    grpc::ByteBuffer out;
    call->StartCall(nullptr);
    if (!done()) return "";
    call->WriteLast(in, grpc::WriteOptions(), nullptr);
    if (!done()) return "";
    call->Read(&out, nullptr);
    if (!done()) return "";
    std::vector<grpc::Slice> slices;
    if (!out.Dump(&slices).ok()) return "";
    std::string answer;
    for (const grpc::Slice& part : slices) answer.append(part.begin(), part.end());
    context.TryCancel();
    return answer;
  }
};

TEST_F(WellKnownServiceTest, HealthIsServing) {
  EXPECT_EQ(Ask("/grpc.health.v1.Health/Check", ""), "\x08\x01");  // status: SERVING
}

TEST_F(WellKnownServiceTest, ReflectionNamesTheService) {
  EXPECT_THAT(Ask(kReflection, kListServices), HasSubstr("lb.v1.LoadBalancer"));
}

TEST_F(WellKnownServiceTest, OnlySoManyCallsOfReflectionGoOnAtATime) {
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::GenericClientAsyncReaderWriter>> calls;
  for (int i = 0; i < ReflectionLimit::kMaxCalls; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    calls.push_back(stub.PrepareCall(contexts.back().get(), kReflection, &queue));
    calls.back()->StartCall(nullptr);
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  }
  while (!Ask(kReflection, kListServices).empty()) usleep(1000);  // until all have arrived
  for (const auto& context : contexts) context->TryCancel();
  while (Ask(kReflection, kListServices).empty()) usleep(1000);
}

}  // namespace
}  // namespace lb::api
