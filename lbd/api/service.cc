// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/service.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>

#include "lbd/api/change_call.h"
#include "lbd/api/convert.h"
#include "lbd/api/convert_health.h"
#include "lbd/api/diagnose.h"
#include "lbd/api/explain.h"
#include "lbd/control/doctor.h"

namespace lb::api {
namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr uint32_t kDefaultFlowLimit = 1000;
constexpr uint32_t kMaxFlowLimit = 100'000;

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string KernelRelease() {
  utsname name{};
  uname(&name);
  return name.release;
}

// Why packets to `real` are dropped; empty: they are not.
std::string ProblemOf(const model::Real& real, const dataplane::NextHopResult& result) {
  if (!result.problem.empty() || real.encap != model::Encap::kL2 ||
      result.hop.via == real.address) {
    return result.problem;
  }
  return fmt::format("{} is behind the gateway {}; encap l2 needs it on a segment of this host",
                     real.address.ToString(),
                     result.hop.via ? result.hop.via->ToString() : "of next_hop.mac");
}

dataplane::VipCounters CountersOf(const dataplane::Stats& stats, const model::VipKey& key) {
  const auto vip = std::ranges::find(stats.vips, key, &dataplane::VipCounters::key);
  return vip == stats.vips.end() ? dataplane::VipCounters() : *vip;
}

}  // namespace

LoadBalancerService::LoadBalancerService(control::Controller& controller, std::string version,
                                         ConfigReader read_config, Checks checks,
                                         std::string metrics_listen)
    : controller_(controller),
      version_(std::move(version)),
      read_config_(std::move(read_config)),
      checks_(std::move(checks)),
      metrics_listen_(std::move(metrics_listen)) {}

grpc::Status LoadBalancerService::AddVip(grpc::ServerContext* context,
                                         const v1::AddVipRequest* request,
                                         v1::AddVipResponse* response) {
  return Change(controller_, AuthorOf(*context), *request, *response);
}

grpc::Status LoadBalancerService::UpdateVip(grpc::ServerContext* context,
                                            const v1::UpdateVipRequest* request,
                                            v1::UpdateVipResponse* response) {
  return Change(controller_, AuthorOf(*context), *request, *response);
}

grpc::Status LoadBalancerService::DeleteVip(grpc::ServerContext* context,
                                            const v1::DeleteVipRequest* request,
                                            v1::DeleteVipResponse* response) {
  return Change(controller_, AuthorOf(*context), *request, *response);
}

grpc::Status LoadBalancerService::ListVips(grpc::ServerContext*, const v1::ListVipsRequest*,
                                           v1::ListVipsResponse* response) {
  const auto snapshot = controller_.snapshot();
  for (const model::Vip& vip : snapshot->config.vips) *response->add_vips() = ToProto(vip);
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::AddReal(grpc::ServerContext* context,
                                          const v1::AddRealRequest* request,
                                          v1::AddRealResponse* response) {
  return Change(controller_, AuthorOf(*context), *request, *response);
}

grpc::Status LoadBalancerService::UpdateReal(grpc::ServerContext* context,
                                             const v1::UpdateRealRequest* request,
                                             v1::UpdateRealResponse* response) {
  return Change(controller_, AuthorOf(*context), *request, *response);
}

grpc::Status LoadBalancerService::DeleteReal(grpc::ServerContext* context,
                                             const v1::DeleteRealRequest* request,
                                             v1::DeleteRealResponse* response) {
  return Change(controller_, AuthorOf(*context), *request, *response);
}

grpc::Status LoadBalancerService::ListReals(grpc::ServerContext*,
                                            const v1::ListRealsRequest* request,
                                            v1::ListRealsResponse* response) {
  const auto key = VipKeyFromProto(request->vip(), "vip");
  if (!key.ok()) return ToGrpc(key.status());
  const auto snapshot = controller_.snapshot();
  const auto service = std::ranges::find(snapshot->services, *key,
                                         [](const auto& candidate) { return candidate.vip.key; });
  if (service == snapshot->services.end()) return ToGrpc(NotFound("no VIP " + key->ToString()));
  std::map<IpAddress, dataplane::NextHopResult> hops;
  for (dataplane::NextHopResult& hop : controller_.Report().next_hops) {
    hops[hop.real] = std::move(hop);
  }
  const dataplane::VipCounters counters = CountersOf(controller_.ReadStats(), *key);
  const std::vector<uint32_t> slots = service->SlotsPerReal();
  for (size_t i = 0; i < slots.size(); ++i) {
    // Of the configuration: those in force have their health in their state.
    const model::Real& real =
        *snapshot->config.FindVip(*key)->FindReal(service->vip.reals[i].address);
    v1::RealStatus& row = *response->add_reals();
    *row.mutable_real() = ToProto(real);
    row.set_slots(slots[i]);
    row.set_ring_slots(service->ring->size());
    row.set_next_hop_problem(ProblemOf(real, hops[real.address]));
    const auto counter =
        std::ranges::find(counters.reals, real.address, &dataplane::RealCounter::address);
    if (counter == counters.reals.end()) continue;
    row.set_flows(counter->flows);
    row.set_leaving_slots(counter->leaving_slots);
  }
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::GetStatus(grpc::ServerContext*,
                                            const v1::GetStatusRequest* request,
                                            v1::GetStatusResponse* response) {
  const auto snapshot = controller_.snapshot();
  const control::DataplaneReport report = controller_.Report();
  const auto now = steady_clock::now();
  const model::Config& config = snapshot->config;
  response->set_version(version_);
  response->set_metrics_listen(metrics_listen_);
  response->set_kernel(KernelRelease());
  response->set_uptime_seconds(duration_cast<seconds>(now - started_at_).count());
  response->set_generation(snapshot->generation);
  if (snapshot->confirm_by) *response->mutable_confirm_by() = TimeToProto(*snapshot->confirm_by);
  response->set_config_age_seconds(duration_cast<seconds>(now - snapshot->applied_at).count());
  for (const auto& attachment : report.attachments) {
    *response->add_attachments() = ToProto(attachment);
  }
  response->set_vips(config.vips.size());
  response->set_reals(config.CountReals());
  response->set_vips_without_real(
      std::ranges::count_if(snapshot->services, [](const dataplane::Service& service) {
        return std::ranges::all_of(*service.ring, [](uint16_t real) { return real == 0; });
      }));
  const control::HealthReport health = controller_.Health({.detail = health::Detail::kTotals});
  response->set_probing(DescribeProbing(health, config));
  uint32_t below = 0;
  uint32_t down = 0;
  for (const model::Vip& vip : config.vips) {
    below += health.book.StandingOf(vip).up ? 0 : 1;
    down += health.book.Sick(vip).size();
  }
  response->set_vips_below_min_healthy(below);
  response->set_reals_down(down);
  for (const auto& hop : report.next_hops) {
    if (!request->brief() || !hop.problem.empty()) *response->add_next_hops() = ToProto(hop);
  }
  uint64_t map_bytes = 0;
  for (const auto& [map, bytes] : report.map_bytes) map_bytes += bytes;
  response->set_map_bytes(map_bytes);
  response->set_resident_bytes(ResidentBytes());
  for (const std::string& warning : report.warnings) response->add_warnings(warning);
  if (config.settings.interfaces.empty() && !config.vips.empty()) {
    response->add_warnings("interfaces is empty: nothing is attached, so nothing is forwarded");
  }
  if (config.settings.has_default_hash_key() && !config.vips.empty()) {
    response->add_warnings(
        "hash_key is not set: clients can choose their real; make one with openssl rand -hex 16");
  }
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::GetStats(grpc::ServerContext*, const v1::GetStatsRequest*,
                                           v1::GetStatsResponse* response) {
  const auto snapshot = controller_.snapshot();
  *response = ToProto(controller_.ReadStats(), snapshot->config);
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::ListFlows(grpc::ServerContext*,
                                            const v1::ListFlowsRequest* request,
                                            v1::ListFlowsResponse* response) {
  const auto key = VipKeyFromProto(request->vip(), "vip");
  if (!key.ok()) return ToGrpc(key.status());
  const uint32_t limit = request->has_limit() ? request->limit() : kDefaultFlowLimit;
  if (limit == 0 || limit > kMaxFlowLimit) {
    return ToGrpc(
        InvalidArgument(fmt::format("limit: must be 1..{}, got {}", kMaxFlowLimit, limit)));
  }
  if (controller_.snapshot()->config.FindVip(*key) == nullptr) {
    return ToGrpc(NotFound("no VIP " + key->ToString()));
  }
  for (const dataplane::TrackedFlow& flow : controller_.ListFlows(*key, limit)) {
    *response->add_flows() = ToProto(flow);
  }
  const uint64_t total = CountersOf(controller_.ReadStats(), *key).tracking.flows;
  response->set_total(std::max<uint64_t>(total, response->flows_size()));
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::GetHealth(grpc::ServerContext*,
                                            const v1::GetHealthRequest* request,
                                            v1::GetHealthResponse* response) {
  const auto scope = ScopeFromProto(*request);
  if (!scope.ok()) return ToGrpc(scope.status());
  auto health = HealthToProto(*request, controller_.Health(*scope), controller_.snapshot()->config);
  if (!health.ok()) return ToGrpc(health.status());
  *response = *std::move(health);
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::SetRealHealth(grpc::ServerContext*,
                                                const v1::SetRealHealthRequest* request,
                                                v1::SetRealHealthResponse*) {
  const auto key = VipKeyFromProto(request->vip(), "vip");
  if (!key.ok()) return ToGrpc(key.status());
  const auto real = AddressFromProto(request->real(), "real");
  if (!real.ok()) return ToGrpc(real.status());
  if (request->has_seconds() &&
      (request->seconds() == 0 || request->seconds() > model::kMaxOverride)) {
    return ToGrpc(InvalidArgument(
        fmt::format("seconds: must be 1..{}, got {}", model::kMaxOverride, request->seconds())));
  }
  if (request->has_seconds() && !request->has_up()) {
    return ToGrpc(InvalidArgument("seconds: belongs to up, which is not set"));
  }
  std::optional<bool> up;
  std::optional<seconds> lifetime;
  if (request->has_up()) up = request->up();
  if (request->has_seconds()) lifetime = seconds(request->seconds());
  return ToGrpc(controller_.SetRealHealth(*key, *real, up, lifetime));
}

grpc::Status LoadBalancerService::PurgeFlows(grpc::ServerContext*,
                                             const v1::PurgeFlowsRequest* request,
                                             v1::PurgeFlowsResponse* response) {
  const auto key = VipKeyFromProto(request->vip(), "vip");
  if (!key.ok()) return ToGrpc(key.status());
  const auto snapshot = controller_.snapshot();
  const model::Vip* vip = snapshot->config.FindVip(*key);
  if (vip == nullptr) return ToGrpc(NotFound("no VIP " + key->ToString()));
  std::optional<IpAddress> real;
  if (!request->real().empty()) {
    const auto address = AddressFromProto(request->real(), "real");
    if (!address.ok()) return ToGrpc(address.status());
    if (vip->FindReal(*address) == nullptr) {
      return ToGrpc(
          NotFound(fmt::format("VIP {} has no real {}", key->ToString(), address->ToString())));
    }
    real = *address;
  }
  response->set_purged(controller_.PurgeFlows(*key, real));
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::ExplainFlow(grpc::ServerContext*,
                                              const v1::ExplainFlowRequest* request,
                                              v1::ExplainFlowResponse* response) {
  auto explained = api::ExplainFlow(controller_, *request);
  if (!explained.ok()) return ToGrpc(explained.status());
  *response = *std::move(explained);
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::Capture(grpc::ServerContext* context,
                                          const v1::CaptureRequest* request,
                                          grpc::ServerWriter<v1::CaptureResponse>* writer) {
  return ToGrpc(api::Capture(controller_, *request, [&](const v1::CaptureResponse& response) {
    return !context->IsCancelled() && writer->Write(response);
  }));
}

grpc::Status LoadBalancerService::ListVerdicts(grpc::ServerContext*, const v1::ListVerdictsRequest*,
                                               v1::ListVerdictsResponse* response) {
  *response = VerdictsToProto();
  return grpc::Status::OK;
}

grpc::Status LoadBalancerService::Doctor(grpc::ServerContext*, const v1::DoctorRequest*,
                                         v1::DoctorResponse* response) {
  for (const dataplane::Finding& finding : control::Examine(controller_)) {
    *response->add_findings() = ToProto(finding);
  }
  if (checks_ == nullptr) return grpc::Status::OK;
  for (const dataplane::Finding& finding : checks_()) {
    *response->add_findings() = ToProto(finding);
  }
  return grpc::Status::OK;
}

}  // namespace lb::api
