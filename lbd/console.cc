// SPDX-License-Identifier: Apache-2.0
#include "lbd/console.h"

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "lbd/api/convert.h"
#include "lbd/api/service.h"
#include "lbd/base/mutex.h"
#include "lbd/config/document_writer.h"
#include "lbd/console_page.h"

namespace lb {
namespace {

using nlohmann::ordered_json;
using std::chrono::steady_clock;

constexpr size_t kEvents = 30;
// Looking at the host takes longer than the page's interval should.
constexpr std::chrono::seconds kExamineEvery{10};

template <typename Message>
ordered_json Json(const Message& message) {
  return config::ToJson(message, config::Fields::kAll);
}

// The calls of the API that only look.
class Looks final : public api::LoadBalancerService {
 public:
  using LoadBalancerService::LoadBalancerService;

 private:
  std::string AuthorOf(const grpc::ServerContext&) const override { return "console"; }
};

// The page's data. Thread-safe.
class Console {
 public:
  Console(control::Controller& controller, const std::string& version,
          api::LoadBalancerService::Checks checks)
      : controller_(controller), service_(controller, version, nullptr, std::move(checks)) {}

  std::string Data() {
    ordered_json data;
    v1::GetStatusRequest brief;
    brief.set_brief(true);
    v1::GetStatusResponse status;
    (void)service_.GetStatus(nullptr, &brief, &status);
    data["status"] = Json(status);
    v1::GetStatsResponse stats;
    (void)service_.GetStats(nullptr, nullptr, &stats);
    data["stats"] = Json(stats);
    data["vips"] = Vips(stats);
    data["findings"] = Findings();
    data["events"] = Events();
    return data.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  }

 private:
  // Row by row as the VIPs of `stats`: what to call it, and its reals.
  ordered_json Vips(const v1::GetStatsResponse& stats) const {
    const auto snapshot = controller_.snapshot();
    const control::HealthReport health = controller_.Health({.detail = health::Detail::kBlind});
    std::map<control::HealthBook::RealId, std::string_view> blind;
    for (const health::CheckReport& check : health.probes.checks) {
      blind.try_emplace({check.vip, check.real}, check.blind);
    }
    ordered_json rows = ordered_json::array();
    for (const v1::VipStats& vip : stats.vips()) {
      ordered_json& row = rows.emplace_back(ordered_json::object());
      const auto key = api::VipKeyFromProto(vip.vip(), "vip");
      if (!key.ok()) continue;
      row["vip"] = key->ToString();
      model::VipKey group = *key;
      if (!vip.source_route().empty()) group.route = model::RouteNumber(vip.source_route());
      const auto service =
          std::ranges::find(snapshot->services, group,
                            [](const dataplane::Service& candidate) { return candidate.vip.key; });
      if (service == snapshot->services.end()) continue;
      row["slots"] = service->SlotsPerReal();
      for (const model::Real& real : snapshot->ConfiguredReals(group)) {
        row["states"].push_back(model::ToString(real.state));
        const control::HealthBook::Entry* entry = health.book.Find({*key, real.address});
        const auto why = blind.find({*key, real.address});
        row["health"].push_back(
            {{"state", entry != nullptr ? health::ToString(entry->state) : "unknown"},
             {"up", entry != nullptr && entry->up()},
             {"set", entry != nullptr && entry->override_.has_value()},
             {"blind", why != blind.end() ? why->second : ""}});
      }
      const model::Vip* vip_of = snapshot->config.FindVip(*key);
      row["failed_open"] = vip_of != nullptr && health.book.StandingOf(*vip_of).failed_open;
    }
    return rows;
  }

  ordered_json Findings() {
    MutexLock lock(mutex_);
    const auto now = steady_clock::now();
    if (findings_.is_null() || now - examined_ > kExamineEvery) {
      v1::DoctorResponse response;
      (void)service_.Doctor(nullptr, nullptr, &response);
      findings_ = Json(response)["findings"];
      examined_ = now;
    }
    return findings_;
  }

  ordered_json Events() const {
    const events::EventHub& hub = controller_.events();
    const uint64_t next = hub.next_sequence();
    ordered_json rows = ordered_json::array();
    const auto batch =
        hub.Read(next > kEvents ? next - kEvents : 0, kEvents, std::chrono::milliseconds(0));
    for (const events::Event& event : batch.events) rows.push_back(Json(api::ToProto(event)));
    return rows;
  }

  control::Controller& controller_;
  Looks service_;
  Mutex mutex_;
  ordered_json findings_ LB_GUARDED_BY(mutex_);
  steady_clock::time_point examined_ LB_GUARDED_BY(mutex_);
};

}  // namespace

metrics::HttpServer::Routes ConsoleRoutes(control::Controller& controller,
                                          const std::string& version,
                                          api::LoadBalancerService::Checks checks) {
  const auto console = std::make_shared<Console>(controller, version, std::move(checks));
  return {{"/",
           [] {
             return metrics::HttpResponse{.content_type = "text/html; charset=utf-8",
                                          .body = kConsolePage};
           }},
          {"/console.json", [console] {
             return metrics::HttpResponse{.content_type = "application/json",
                                          .body = console->Data()};
           }}};
}

}  // namespace lb
