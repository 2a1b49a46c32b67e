// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/unit/cli/lbctl_fixture.h"

namespace lb::cli {
namespace {

using nlohmann::json;

class LbctlTest : public LbctlFixture {
 protected:
  json Json() const { return json::parse(out_); }
};

TEST_F(LbctlTest, VipAddSendsWhatWasWritten) {
  EXPECT_EQ(Lbctl({"vip", "add", "203.0.113.10:80/tcp", "--name", "web", "--real", "10.0.0.1",
                   "--real", "10.0.0.2,weight=50", "--ring", "maglev", "--ring-bits", "16"}),
            kDone);
  EXPECT_EQ(lbd_.add_vip.vip().SerializeAsString(),
            Read<v1::Vip>("{address: 203.0.113.10, port: 80, protocol: tcp, name: web,"
                          " ring: {scheme: maglev, bits: 16},"
                          " reals: [{address: 10.0.0.1}, {address: 10.0.0.2, weight: 50}]}")
                .SerializeAsString());
  EXPECT_EQ(out_, "added 203.0.113.10:80/tcp\n");
  EXPECT_EQ(err_, "");
}

TEST_F(LbctlTest, VipUpdateNamesOnlyWhatItChanges) {
  EXPECT_EQ(Lbctl({"vip", "update", "[2001:db8::1]:any/udp", "--name", "", "--ring-bits", "12"}),
            kDone);
  const auto& mask = lbd_.update_vip.update_mask();
  EXPECT_EQ(std::vector<std::string>(mask.paths().begin(), mask.paths().end()),
            (std::vector<std::string>{"name", "ring.bits"}));
  EXPECT_TRUE(lbd_.update_vip.vip().any_port());
  EXPECT_EQ(lbd_.update_vip.vip().ring().bits(), 12);
  EXPECT_EQ(Lbctl({"vip", "update", "192.0.2.1:80"}), kUsage);
  EXPECT_NE(err_.find("--name"), std::string::npos) << err_;
}

TEST_F(LbctlTest, VipAddSendsHowFlowsAreTracked) {
  EXPECT_EQ(
      Lbctl({"vip", "add", "192.0.2.1:80", "--tracking", "none", "--window", "60", "--idle", "35",
             "--flow-entries", "1024", "--slow-start", "30", "--real", "10.0.0.1,state=standby"}),
      kDone);
  EXPECT_EQ(lbd_.add_vip.vip().SerializeAsString(),
            Read<v1::Vip>("{address: 192.0.2.1, port: 80, protocol: tcp, tracking: none,"
                          " flows: {window_seconds: 60, idle_seconds: 35, entries: 1024},"
                          " slow_start_seconds: 30,"
                          " reals: [{address: 10.0.0.1, state: standby}]}")
                .SerializeAsString());
  EXPECT_EQ(Lbctl({"vip", "add", "192.0.2.1:80"}), kDone);
  EXPECT_FALSE(lbd_.add_vip.vip().has_flows());
}

TEST_F(LbctlTest, VipUpdateKeepsTheFlowOptionsThatAreNotNamed) {
  lbd_.vips = Read<v1::ListVipsResponse>(
      "vips: [{address: 192.0.2.1, port: 80, protocol: tcp,"
      " flows: {window_seconds: 60, entries: 4096}}]");
  EXPECT_EQ(Lbctl({"vip", "update", "192.0.2.1:80", "--window", "120", "--idle", "90", "--tracking",
                   "always", "--slow-start", "0"}),
            kDone);
  const auto& mask = lbd_.update_vip.update_mask();
  EXPECT_EQ(std::vector<std::string>(mask.paths().begin(), mask.paths().end()),
            (std::vector<std::string>{"tracking", "flows", "slow_start_seconds"}));
  const v1::Flows& flows = lbd_.update_vip.vip().flows();
  EXPECT_EQ(flows.window_seconds(), 120);
  EXPECT_EQ(flows.idle_seconds(), 90);
  EXPECT_EQ(flows.entries(), 4096);
  EXPECT_EQ(lbd_.update_vip.vip().tracking(), v1::TRACKING_ALWAYS);
  EXPECT_EQ(Lbctl({"vip", "update", "192.0.2.9:80", "--window", "120"}), kRefused);
  EXPECT_EQ(err_, "lbctl: there is no VIP 192.0.2.9:80/tcp; see: lbctl vip list\n");
}

TEST_F(LbctlTest, RealCommandsSendWhatWasWritten) {
  EXPECT_EQ(
      Lbctl({"real", "add", "192.0.2.1:80", "10.0.0.1", "--weight", "5", "--state", "standby"}),
      kDone);
  EXPECT_EQ(lbd_.add_real.vip().address(), "192.0.2.1");
  EXPECT_EQ(lbd_.add_real.real().weight(), 5);
  EXPECT_EQ(lbd_.add_real.real().state(), v1::REAL_STATE_STANDBY);
  EXPECT_EQ(Lbctl({"real", "update", "192.0.2.1:80", "10.0.0.1", "--state", "down"}), kDone);
  ASSERT_EQ(lbd_.update_real.update_mask().paths_size(), 1);
  EXPECT_EQ(lbd_.update_real.update_mask().paths(0), "state");
  EXPECT_EQ(lbd_.update_real.real().state(), v1::REAL_STATE_DOWN);
  EXPECT_EQ(Lbctl({"real", "delete", "192.0.2.1:80", "10.0.0.1"}), kDone);
  EXPECT_EQ(lbd_.delete_real.address(), "10.0.0.1");
  EXPECT_EQ(out_, "deleted real 10.0.0.1 of 192.0.2.1:80/tcp\n");
}

TEST_F(LbctlTest, EventsAreShownUntilThereAreNoMore) {
  lbd_.events = {Read<v1::WatchEventsResponse>("{next_sequence: 1}"),
                 Read<v1::WatchEventsResponse>("{missed: 3, caught_up: true, events: [{sequence: 4,"
                                               " kind: config, message: \"generation 2\\n+ x\"}]}"),
                 Read<v1::WatchEventsResponse>("{events: [{message: too late}]}")};
  EXPECT_EQ(Lbctl({"events"}), kDone);
  EXPECT_EQ(lbd_.watch_events.from_sequence(), 0);
  EXPECT_NE(out_.find("config    generation 2\n    + x\n"), std::string::npos) << out_;
  EXPECT_EQ(out_.find("too late"), std::string::npos) << out_;
  EXPECT_EQ(err_, "lbctl: 3 events were missed\n");
}

TEST_F(LbctlTest, EventsCanBeFollowedAndFiltered) {
  lbd_.events = {Read<v1::WatchEventsResponse>("{caught_up: true}"),
                 Read<v1::WatchEventsResponse>("{events: [{sequence: 9, kind: health,"
                                               " object: a, message: b}]}")};
  EXPECT_EQ(Lbctl({"events", "-f", "--kind", "health", "--from", "9", "-o", "json"}), kDone);
  ASSERT_EQ(lbd_.watch_events.kinds_size(), 1);
  EXPECT_EQ(lbd_.watch_events.kinds(0), v1::EVENT_KIND_HEALTH);
  EXPECT_EQ(lbd_.watch_events.from_sequence(), 9);
  EXPECT_EQ(Json()["kind"], "health");
  EXPECT_EQ(Lbctl({"events", "-f"}), kDone);
  EXPECT_FALSE(lbd_.watch_events.has_from_sequence());
  EXPECT_EQ(Lbctl({"events", "--kind", "gossip"}), kUsage);
}

TEST_F(LbctlTest, RealActivateChangesTheStateOnly) {
  EXPECT_EQ(Lbctl({"real", "activate", "192.0.2.1:80", "10.0.0.1"}), kDone);
  EXPECT_EQ(out_, "activated real 10.0.0.1 of 192.0.2.1:80/tcp\n");
  ASSERT_EQ(lbd_.update_real.update_mask().paths_size(), 1);
  EXPECT_EQ(lbd_.update_real.update_mask().paths(0), "state");
  EXPECT_EQ(lbd_.update_real.real().state(), v1::REAL_STATE_ACTIVE);
  EXPECT_EQ(Lbctl({"real", "activate", "192.0.2.1:80", "10.0.0.1", "-o", "json"}), kDone);
  EXPECT_EQ(Json()["generation"], 7);
}

TEST_F(LbctlTest, EveryChangeOfAVipOrARealTakesTheOptionsOfChanges) {
  const auto options_of = [&](std::vector<const char*> words, const auto& request) {
    words.insert(words.end(), {"--dry-run", "--comment", "why", "--etag", "e1", "--request-id",
                               "r1", "--max-disruption", "5", "--max-changes", "0"});
    EXPECT_EQ(Lbctl(words), kDone) << err_;
    return request.options().SerializeAsString();
  };
  lbd_.changed = Read<v1::ChangeResult>("{etag: 7-5f, changes: [~ something]}");
  const std::string said =
      "~ something\nvalid; would make 1 change\n"
      "make it only if nothing else changes before: --etag 7-5f\n";
  const std::string wanted = Read<v1::ChangeOptions>(
                                 "{validate_only: true, comment: why, etag: e1, request_id: r1,"
                                 " max_disruption: 0.05, max_changes: 0}")
                                 .SerializeAsString();
  EXPECT_EQ(options_of({"vip", "add", "192.0.2.1:80"}, lbd_.add_vip), wanted);
  EXPECT_EQ(out_, said);
  EXPECT_EQ(options_of({"vip", "update", "192.0.2.1:80", "--name", "x"}, lbd_.update_vip), wanted);
  EXPECT_EQ(options_of({"vip", "delete", "192.0.2.1:80"}, lbd_.delete_vip), wanted);
  EXPECT_EQ(options_of({"real", "add", "192.0.2.1:80", "10.0.0.1"}, lbd_.add_real), wanted);
  for (std::vector<const char*> verb :
       {std::vector<const char*>{"update", "--weight=1"}, {"activate"}, {"drain"}}) {
    lbd_.update_real.Clear();
    verb.insert(verb.begin(), "real");
    verb.insert(verb.begin() + 2, {"192.0.2.1:80", "10.0.0.1"});
    EXPECT_EQ(options_of(verb, lbd_.update_real), wanted) << verb[1];
    EXPECT_EQ(out_, said) << verb[1];
  }
  EXPECT_EQ(options_of({"real", "delete", "192.0.2.1:80", "10.0.0.1"}, lbd_.delete_real), wanted);
}

TEST_F(LbctlTest, FlowListSaysHowManyMoreThereAre) {
  lbd_.flows = Read<v1::ListFlowsResponse>(R"(
flows:
  - {real: 10.0.0.1, slot: 1234, hash: 00c0ffee00, idle_seconds: 68}
  - {real: 10.0.0.2, slot: 7, hash: "0123456789", ended: true}
total: 2
)");
  EXPECT_EQ(Lbctl({"flow", "list", "192.0.2.1:80"}), kDone);
  EXPECT_EQ(lbd_.list_flows.vip().address(), "192.0.2.1");
  EXPECT_FALSE(lbd_.list_flows.has_limit());
  EXPECT_EQ(out_,
            "REAL       SLOT  HASH         IDLE  ENDED\n"
            "10.0.0.1  1,234  00c0ffee00  1m 8s\n"
            "10.0.0.2      7  0123456789     0s  yes\n");
  lbd_.flows.set_total(3000);
  EXPECT_EQ(Lbctl({"flow", "list", "192.0.2.1:80", "--limit", "2"}), kDone);
  EXPECT_EQ(lbd_.list_flows.limit(), 2);
  EXPECT_TRUE(out_.ends_with("2 of 3,000 flows; more with --limit\n")) << out_;
  EXPECT_EQ(Lbctl({"flow", "list", "192.0.2.1:80", "-o", "json"}), kDone);
  EXPECT_EQ(Json()["total"], 3000);
  EXPECT_EQ(Json()["flows"][0]["ended"], false);
  EXPECT_EQ(Json()["flows"][1]["hash"], "0123456789");
}

TEST_F(LbctlTest, FlowPurgeSaysHowMany) {
  lbd_.purged.set_purged(1234);
  EXPECT_EQ(Lbctl({"flow", "purge", "192.0.2.1:80"}), kDone);
  EXPECT_EQ(lbd_.purge_flows.real(), "");
  EXPECT_EQ(out_, "purged 1,234 flows of 192.0.2.1:80/tcp\n");
  lbd_.purged.set_purged(1);
  EXPECT_EQ(Lbctl({"flow", "purge", "192.0.2.1:80", "--real", "10.0.0.1"}), kDone);
  EXPECT_EQ(lbd_.purge_flows.real(), "10.0.0.1");
  EXPECT_EQ(out_, "purged 1 flow of real 10.0.0.1 of 192.0.2.1:80/tcp\n");
  EXPECT_EQ(Lbctl({"flow", "purge", "192.0.2.1:80", "-o", "json"}), kDone);
  EXPECT_EQ(Json()["purged"], 1);
  lbd_.FailWith({grpc::StatusCode::NOT_FOUND, "no VIP 192.0.2.1:80/tcp"});
  EXPECT_EQ(Lbctl({"flow", "purge", "192.0.2.1:80"}), kRefused);
  EXPECT_EQ(Lbctl({"flow", "list", "192.0.2.1:80"}), kRefused);
  EXPECT_EQ(err_, "lbctl: no VIP 192.0.2.1:80/tcp\n");
  EXPECT_EQ(out_, "");
}

TEST_F(LbctlTest, DeletingIsIdempotentWhenAsked) {
  lbd_.FailWith({grpc::StatusCode::NOT_FOUND, "there is no such thing"});
  EXPECT_EQ(Lbctl({"vip", "delete", "192.0.2.1:80"}), kRefused);
  EXPECT_EQ(err_, "lbctl: there is no such thing\n");
  EXPECT_EQ(Lbctl({"vip", "delete", "192.0.2.1:80", "--if-exists"}), kDone);
  EXPECT_EQ(Lbctl({"real", "delete", "192.0.2.1:80", "10.0.0.1"}), kRefused);
  EXPECT_EQ(Lbctl({"real", "delete", "192.0.2.1:80", "10.0.0.1", "--if-exists"}), kDone);
  lbd_.FailWith({grpc::StatusCode::INTERNAL, "broken"});
  EXPECT_EQ(Lbctl({"vip", "delete", "192.0.2.1:80", "--if-exists"}), kOther);
}

TEST_F(LbctlTest, VipListCountsTheRealsThatTakeTraffic) {
  lbd_.vips = Read<v1::ListVipsResponse>(R"(
vips:
  - address: 203.0.113.10
    port: 80
    protocol: tcp
    name: web
    ring: {scheme: rendezvous}
    reals:
      - {address: 10.0.0.1}
      - {address: 10.0.0.2, state: down}
      - {address: 10.0.0.3, weight: 0}
      - {address: 10.0.0.4}
      - {address: 10.0.0.5, state: standby}
  - {address: 192.0.2.1, port: 80, reals: [{address: 10.0.0.1, state: draining}, {address: 10.0.0.2, state: standby}]}
  - {address: "2001:db8::1", any_port: true, protocol: udp, ring: {scheme: maglev, bits: 16}}
)");
  lbd_.status = Read<v1::GetStatusResponse>("next_hops: [{real: 10.0.0.4, problem: no route}]");
  EXPECT_EQ(Lbctl({"vip", "list"}), kDone);
  EXPECT_EQ(out_,
            "VIP                    NAME  REALS  USABLE  RING\n"
            "203.0.113.10:80/tcp    web       5       1  rendezvous\n"
            "192.0.2.1:80/tcp                 2       1  rendezvous\n"
            "[2001:db8::1]:any/udp            0       0  maglev 2^16\n");
  // 10.0.0.1 is down for the first, which has no other; the second sends to those that are down.
  lbd_.health = Read<v1::GetHealthResponse>(R"(
vips:
  - vip: {address: 203.0.113.10, port: 80, protocol: tcp}
    reals: [{address: 10.0.0.1, state: down}]
  - vip: {address: 192.0.2.1, port: 80, protocol: tcp}
    failed_open: true
    reals: [{address: 10.0.0.2, state: down}]
)");
  EXPECT_EQ(Lbctl({"vip", "list"}), kDone);
  EXPECT_EQ(out_,
            "VIP                    NAME  REALS  USABLE  RING\n"
            "203.0.113.10:80/tcp    web       5       0  rendezvous\n"
            "192.0.2.1:80/tcp                 2       1  rendezvous\n"
            "[2001:db8::1]:any/udp            0       0  maglev 2^16\n");
  EXPECT_TRUE(lbd_.get_health.brief());
}

TEST_F(LbctlTest, ListsHaveAStableShapeForScripts) {
  EXPECT_EQ(Lbctl({"vip", "list", "-o", "json"}), kDone);
  EXPECT_EQ(out_, "{\n  \"vips\": []\n}\n");
  EXPECT_EQ(Lbctl({"real", "list", "-o", "yaml"}), kDone);
  EXPECT_EQ(out_, "reals: []\n");
}

TEST_F(LbctlTest, RealListGoesThroughAllVips) {
  lbd_.vips = Read<v1::ListVipsResponse>(
      "vips: [{address: 192.0.2.1, port: 80, protocol: tcp}, {address: 192.0.2.2, port: 80}]");
  lbd_.reals = Read<v1::ListRealsResponse>(R"(
reals:
  - {real: {address: 10.0.0.1}, slots: 12288, ring_slots: 16384, flows: 1234}
  - {real: {address: 10.0.0.2, weight: 0, state: draining}, ring_slots: 16384, next_hop_problem: no route}
)");
  EXPECT_EQ(Lbctl({"real", "list"}), kDone);
  EXPECT_EQ(
      out_,
      "VIP               ADDRESS   WEIGHT  STATE     ENCAP   SLOTS  SHARE  FLOWS  NEXT HOP\n"
      "192.0.2.1:80/tcp  10.0.0.1     100  active    ipip   12,288  75.0%  1,234  ok\n"
      "192.0.2.1:80/tcp  10.0.0.2       0  draining  ipip        0   0.0%      0  no route\n"
      "192.0.2.2:80/tcp  10.0.0.1     100  active    ipip   12,288  75.0%  1,234  ok\n"
      "192.0.2.2:80/tcp  10.0.0.2       0  draining  ipip        0   0.0%      0  no route\n");
  EXPECT_EQ(Lbctl({"real", "list", "192.0.2.1:80", "-o", "json"}), kDone);
  EXPECT_EQ(lbd_.list_reals.vip().address(), "192.0.2.1");
  ASSERT_EQ(Json()["reals"].size(), 2);
  EXPECT_EQ(Json()["reals"][1]["vip"], "192.0.2.1:80/tcp");
  EXPECT_EQ(Json()["reals"][1]["real"]["state"], "draining");
  EXPECT_EQ(Json()["reals"][1]["slots"], 0);
}

TEST_F(LbctlTest, RealListHasTheHealthOfRealsThatAreProbed) {
  lbd_.reals = Read<v1::ListRealsResponse>(R"(
reals:
  - {real: {address: 10.0.0.1}}
  - {real: {address: 10.0.0.2}}
  - {real: {address: 10.0.0.3}}
  - {real: {address: 10.0.0.4}}
)");
  lbd_.health = Read<v1::GetHealthResponse>(R"(
probing: true
vips:
  - vip: {address: 192.0.2.1, port: 80, protocol: tcp}
    reals:
      - {address: 10.0.0.1, state: up, checks: [{check: http}, {check: icmp, blind: no next hop}]}
      - {address: 10.0.0.2, state: down, checks: [{check: http}]}
      - {address: 10.0.0.3, state: down, override_up: true, checks: [{check: http}]}
)");
  EXPECT_EQ(Lbctl({"real", "list", "192.0.2.1:80"}), kDone);
  EXPECT_EQ(
      out_,
      "VIP               ADDRESS   WEIGHT  STATE   HEALTH     ENCAP  SLOTS  SHARE  FLOWS  NEXT "
      "HOP\n"
      "192.0.2.1:80/tcp  10.0.0.1     100  active  up, blind  ipip       0      -      0  ok\n"
      "192.0.2.1:80/tcp  10.0.0.2     100  active  down       ipip       0      -      0  ok\n"
      "192.0.2.1:80/tcp  10.0.0.3     100  active  set up     ipip       0      -      0  ok\n"
      "192.0.2.1:80/tcp  10.0.0.4     100  active  -          ipip       0      -      0  ok\n");
  EXPECT_EQ(lbd_.get_health.vip().address(), "192.0.2.1");
}

TEST_F(LbctlTest, VipShowIsOneVip) {
  lbd_.vips = Read<v1::ListVipsResponse>(
      "vips: [{address: 192.0.2.1, port: 80, protocol: tcp, name: web}]");
  lbd_.reals = Read<v1::ListRealsResponse>(
      "reals: [{real: {address: 10.0.0.1}, slots: 16384, ring_slots: 16384}]");
  EXPECT_EQ(Lbctl({"vip", "show", "192.0.2.1:80"}), kDone);
  EXPECT_EQ(out_,
            "VIP         192.0.2.1:80/tcp\n"
            "Name        web\n"
            "Ring        rendezvous\n"
            "Slots       16,384\n"
            "Hash        five_tuple\n"
            "Tracking    auto\n"
            "Flows       none\n"
            "Slow start  -\n"
            "\n"
            "ADDRESS   WEIGHT  STATE   ENCAP   SLOTS   SHARE  FLOWS  NEXT HOP\n"
            "10.0.0.1     100  active  ipip   16,384  100.0%      0  ok\n");
  EXPECT_EQ(Lbctl({"vip", "show", "192.0.2.1:80", "-o", "json"}), kDone);
  EXPECT_EQ(Json()["vip"]["name"], "web");
  EXPECT_EQ(Json()["reals"][0]["slots"], 16384);
  EXPECT_EQ(Lbctl({"vip", "show", "192.0.2.1:443"}), kRefused);
  EXPECT_EQ(err_, "lbctl: there is no VIP 192.0.2.1:443/tcp; see: lbctl vip list\n");
}

TEST_F(LbctlTest, VipShowSaysHowFlowsAreTracked) {
  lbd_.vips = Read<v1::ListVipsResponse>(
      "vips: [{address: 192.0.2.1, port: 80, protocol: tcp, tracking: always, slow_start_seconds: "
      "90,"
      " flows: {window_seconds: 60, idle_seconds: 600}}]");
  lbd_.stats = Read<v1::GetStatsResponse>(R"(
vips:
  - {vip: {address: 192.0.2.2, port: 80, protocol: tcp}, tracking: {flows: 7, flow_capacity: 64}}
  - vip: {address: 192.0.2.1, port: 80, protocol: tcp}
    tracking: {slots: 16384, changing_slots: 1200, settling_slots: 5, flows: 1234, flow_capacity: 524288, flow_peak: 2000}
)");
  EXPECT_EQ(Lbctl({"vip", "show", "192.0.2.1:80"}), kDone);
  EXPECT_EQ(out_.substr(0, out_.find("\n\n") + 1),
            "VIP         192.0.2.1:80/tcp\n"
            "Name        -\n"
            "Ring        rendezvous\n"
            "Slots       16,384, 1,200 changing, 5 settling\n"
            "Hash        five_tuple\n"
            "Tracking    always, window 1m 0s, idle 10m 0s\n"
            "Flows       1,234 of 524,288 (peak 2,000)\n"
            "Slow start  1m 30s\n");
  EXPECT_EQ(Lbctl({"vip", "show", "192.0.2.1:80", "-o", "json"}), kDone);
  EXPECT_EQ(Json()["vip"]["tracking"], "always");
  EXPECT_EQ(Json()["vip"]["flows"]["window_seconds"], 60);
  EXPECT_EQ(Json()["tracking"]["changing_slots"], 1200);
  EXPECT_EQ(Json()["tracking"]["flow_peak"], 2000);
}

TEST_F(LbctlTest, StatusSaysWhatIsWrong) {
  lbd_.status = Read<v1::GetStatusResponse>(R"(
version: 0.1.0
kernel: 6.1.0
uptime_seconds: 3725
metrics_listen: 127.0.0.1:9188
generation: 5
config_age_seconds: 65
attachments: [{interface: eth0, mode: native, attach: chained, program_id: 12, link_up: true}]
vips: 3
reals: 12
reals_down: 2
probing: "af_xdp in copy mode, 4 queues"
vips_without_real: 1
next_hops:
  - {real: 10.0.0.1, via: 10.0.0.1, mac: "02:00:00:00:00:01", interface: eth0}
  - {real: 10.0.0.2, problem: no route}
map_bytes: 3145728
resident_bytes: 20971520
warnings: ["the hash key is the public default; set hash_key"]
)");
  EXPECT_EQ(Lbctl({"status"}), kDone);
  EXPECT_EQ(out_,
            "Version        lbd 0.1.0 on Linux 6.1.0\n"
            "Uptime         1h 2m\n"
            "Configuration  generation 5, 1m 5s old\n"
            "VIPs           3, 1 without a usable real\n"
            "Reals          12, 2 down by their checks\n"
            "Probing        af_xdp in copy mode, 4 queues\n"
            "Metrics        http://127.0.0.1:9188/metrics\n"
            "Memory         3.0 MiB BPF maps, 20.0 MiB resident\n"
            "\n"
            "INTERFACE  MODE    ATTACH   LINK  PROGRAM\n"
            "eth0       native  chained  up         12\n"
            "\n"
            "REAL      VIA  INTERFACE  PROBLEM\n"
            "10.0.0.2  -    -          no route\n"
            "\n"
            "warning: the hash key is the public default; set hash_key\n");
  EXPECT_EQ(Lbctl({"-o", "json", "status"}), kDone);
  EXPECT_EQ(Json()["attachments"][0]["mode"], "native");
}

TEST_F(LbctlTest, HealthSaysWhyARealIsDown) {
  lbd_.health = Read<v1::GetHealthResponse>(R"(
probing: true
vips:
  - vip: {address: 192.0.2.1, port: 80, protocol: tcp}
    healthy: 1
    min_healthy: 2
    reals:
      - address: 10.0.0.1
        state: up
        checks:
          - {check: http, state: up, state_milliseconds: 65000, last_milliseconds: 300, last_result: ok,
             p50_microseconds: 310, p99_microseconds: 1200, next_milliseconds: 1700}
      - address: 10.0.0.2
        state: down
        override_up: false
        override_seconds: 60
        checks:
          - {check: http, state: down, state_milliseconds: 500, last_milliseconds: 20,
             last_result: status, last_reason: "got 503, want 200-299", next_milliseconds: 480}
      - address: 10.0.0.3
        state: up
        checks: [{check: http, state: up, blind: eth0 is down, next_milliseconds: 10}]
)");
  EXPECT_EQ(Lbctl({"health"}), kDone);
  EXPECT_EQ(out_,
            "VIP               REAL      CHECK  STATE                  SINCE  "
            "LAST RESULT                           P50     P99    NEXT\n"
            "192.0.2.1:80/tcp  10.0.0.1  http   up                     1m 5s  "
            "ok 300 ms ago                      310 us  1.2 ms      1s\n"
            "192.0.2.1:80/tcp  10.0.0.2  -      set down, 1m 0s left       -  "
            "-                                       -       -       -\n"
            "192.0.2.1:80/tcp  10.0.0.2  http   down                  500 ms  "
            "got 503, want 200-299 (20 ms ago)       -       -  480 ms\n"
            "192.0.2.1:80/tcp  10.0.0.3  http   up                      0 ms  "
            "blind: eth0 is down                     -       -   10 ms\n"
            "192.0.2.1:80/tcp: 1 of 2 needed reals are healthy\n");
  EXPECT_EQ(Lbctl({"health", "192.0.2.1:80/tcp"}), kDone);
  EXPECT_EQ(lbd_.get_health.vip().port(), 80u);
}

TEST_F(LbctlTest, HealthCanBeSetAndLookedBackAt) {
  EXPECT_EQ(Lbctl({"health", "set", "192.0.2.1:80", "10.0.0.1", "down", "--for", "60"}), kDone);
  EXPECT_EQ(out_, "real 10.0.0.1 of 192.0.2.1:80/tcp counts as down\n");
  EXPECT_FALSE(lbd_.set_real_health.up());
  EXPECT_TRUE(lbd_.set_real_health.has_up());
  EXPECT_EQ(lbd_.set_real_health.seconds(), 60u);
  EXPECT_EQ(Lbctl({"health", "set", "192.0.2.1:80", "10.0.0.1", "auto"}), kDone);
  EXPECT_FALSE(lbd_.set_real_health.has_up());
  lbd_.health = {};
  EXPECT_EQ(Lbctl({"health", "history", "10.0.0.1"}), kDone);
  EXPECT_TRUE(lbd_.get_health.history());
  EXPECT_EQ(out_, "10.0.0.1 has not changed since it is probed\n");
}

TEST_F(LbctlTest, StatsHideVerdictsThatNobodyGot) {
  lbd_.stats = Read<v1::GetStatsResponse>(R"(
vips:
  - vip: {address: 192.0.2.1, port: 80, protocol: tcp}
    name: web
    total: {packets: 1234, bytes: 2048, dropped: 12}
    reals: [{address: 10.0.0.1, counter: {packets: 1234, bytes: 2048}}, {address: 10.0.0.2, counter: {dropped: 5}}]
verdicts:
  - {verdict: forward, action: tx, packets: 1234, description: Sent to a real.}
  - {verdict: no_real, action: drop, packets: 0, description: The VIP has no usable real.}
)");
  EXPECT_EQ(Lbctl({"stats"}), kDone);
  EXPECT_EQ(out_,
            "VIP               NAME  REAL      PACKETS    BYTES  DROPPED\n"
            "192.0.2.1:80/tcp  web   all         1,234  2.0 KiB       12\n"
            "                        10.0.0.1    1,234  2.0 KiB        0\n"
            "                        10.0.0.2        0      0 B        5\n"
            "\n"
            "VERDICT  ACTION  PACKETS  MEANING\n"
            "forward  tx        1,234  Sent to a real.\n");
  EXPECT_EQ(Lbctl({"stats", "--all"}), kDone);
  EXPECT_NE(out_.find("no_real"), std::string::npos);
  EXPECT_EQ(Lbctl({"stats", "-o", "json"}), kDone);
  EXPECT_EQ(Json()["vips"][0]["reals"][1]["counter"]["packets"], 0);
  EXPECT_EQ(Json()["verdicts"].size(), 2);
  EXPECT_EQ(Lbctl({"stats", "192.0.2.9:80"}), kRefused);
}

TEST_F(LbctlTest, ConfigApplyReadsTheStandardInput) {
  in_ = "vips: [{address: 192.0.2.1, port: 0, protocol: tcp}]\n";
  lbd_.applied =
      Read<v1::ApplyConfigResponse>("{generation: 8, result: {changes: [+ 192.0.2.1:80/tcp]}}");
  EXPECT_EQ(Lbctl({"config", "apply", "-"}), kDone);
  EXPECT_TRUE(lbd_.apply_config.config().vips(0).has_port());
  EXPECT_FALSE(lbd_.apply_config.options().validate_only());
  EXPECT_EQ(out_, "+ 192.0.2.1:80/tcp\napplied 1 change; generation 8\n");
  EXPECT_EQ(Lbctl({"config", "apply", "-", "--dry-run"}), kDone);
  EXPECT_TRUE(lbd_.apply_config.options().validate_only());
  EXPECT_EQ(out_, "+ 192.0.2.1:80/tcp\nvalid; would make 1 change\n");
  lbd_.applied.clear_result();
  EXPECT_EQ(Lbctl({"config", "apply", "-"}), kDone);
  EXPECT_EQ(out_, "nothing to change\n");
}

TEST_F(LbctlTest, ConfigApplySaysWhatIsDisruptedAndWhatWaits) {
  in_ = "{}";
  lbd_.applied = Read<v1::ApplyConfigResponse>(
      "{generation: 8, result: {changes: [a, b], disruptions: [{moved_slots: 0.125, lost_flows: 7,"
      " vip: {address: 192.0.2.1, port: 80, protocol: tcp}}]}}");
  EXPECT_EQ(Lbctl({"config", "apply", "-", "--dry-run", "--max-disruption", "12.5", "--max-changes",
                   "3", "--comment", "why", "--etag", "8-ab", "--confirm-within", "60"}),
            kDone);
  const v1::ChangeOptions& options = lbd_.apply_config.options();
  EXPECT_EQ(options.max_disruption(), 0.125);
  EXPECT_EQ(options.max_changes(), 3);
  EXPECT_EQ(options.comment(), "why");
  EXPECT_EQ(options.etag(), "8-ab");
  EXPECT_EQ(lbd_.apply_config.confirm_within_seconds(), 60);
  EXPECT_NE(out_.find("192.0.2.1:80/tcp          12.50 %           7\n"), std::string::npos)
      << out_;
  lbd_.applied.mutable_result()->mutable_confirm_by()->set_seconds(1'700'000'000);
  EXPECT_EQ(Lbctl({"config", "apply", "-"}), kDone);
  EXPECT_NE(out_.find("unless confirmed: lbctl config confirm\n"), std::string::npos) << out_;
  EXPECT_EQ(Lbctl({"config", "confirm", "--etag", "8-ab"}), kDone);
  EXPECT_EQ(lbd_.confirm_config.etag(), "8-ab");
  EXPECT_EQ(out_, "confirmed; generation 7 stays\n");
}

TEST_F(LbctlTest, ADocumentIsValidatedWithoutLbd) {
  server_ = "unix:/nobody/here";
  in_ =
      "vips: [{address: 192.0.2.1, port: 80, protocol: tcp, reals: [{address: 10.0.0.1,\n"
      "  weight: 1000001}]}]\n";
  EXPECT_EQ(Lbctl({"config", "validate", "-"}), kRefused);
  EXPECT_EQ(err_,
            "<stdin>:2:11: vips[0].reals[0].weight: must be 0..1000000, got 1000001\n"
            "lbctl: the document has errors\n");
  in_ = "{}";
  EXPECT_EQ(Lbctl({"config", "validate", "-"}), kDone);
  EXPECT_EQ(out_, "<stdin>: valid\n");
}

TEST_F(LbctlTest, EditorsGetASchemaWithDescriptionsAndRanges) {
  EXPECT_EQ(Lbctl({"config", "schema"}), kDone);
  const json schema = Json();
  EXPECT_EQ(schema["additionalProperties"], false);
  EXPECT_EQ(schema["properties"]["vips"]["items"]["$ref"], "#/$defs/Vip");
  const json& real = schema["$defs"]["Real"]["properties"];
  EXPECT_EQ(real["weight"]["maximum"], 1000000);
  EXPECT_EQ(real["weight"]["type"], "integer");
  EXPECT_NE(real["weight"]["description"].get<std::string>().find("Default 100"),
            std::string::npos);
  EXPECT_EQ(real["state"]["enum"][0], "active");
  EXPECT_EQ(schema["$defs"]["Vip"]["properties"]["port"]["maximum"], 65535);
}

TEST_F(LbctlTest, ImportPrintsADocumentWithItsNotes) {
  in_ = "-A -t 192.0.2.1:80 -s rr\n";
  EXPECT_EQ(Lbctl({"import", "ipvs"}), kDone);
  EXPECT_TRUE(out_.starts_with("# line 1: scheduler rr")) << out_;
  const std::string document = out_;
  in_ = document;
  EXPECT_EQ(Lbctl({"config", "validate", "-"}), kDone);
  in_ = "what\n";
  EXPECT_EQ(Lbctl({"import", "katran", "-"}), kRefused);
}

TEST_F(LbctlTest, RevisionsAreListedComparedAndRolledBack) {
  lbd_.revisions = Read<v1::ListRevisionsResponse>(
      "{revisions: [{generation: 12, author: alice, comment: more, changes: [x, y]}]}");
  EXPECT_EQ(Lbctl({"config", "history"}), kDone);
  EXPECT_NE(out_.find("alice         2  more\n"), std::string::npos) << out_;
  lbd_.diff = Read<v1::DiffConfigResponse>("{changes: [+ a]}");
  EXPECT_EQ(Lbctl({"config", "diff", "3", "5"}), kDone);
  EXPECT_EQ(lbd_.diff_config.from(), 3);
  EXPECT_EQ(lbd_.diff_config.to(), 5);
  EXPECT_EQ(out_, "+ a\n");
  EXPECT_EQ(Lbctl({"config", "diff"}), kDone);
  EXPECT_FALSE(lbd_.diff_config.has_from());
  EXPECT_EQ(Lbctl({"config", "diff", "3", "x"}), kRefused);
  in_ = "{}";
  EXPECT_EQ(Lbctl({"config", "diff", "-"}), kDone);
  EXPECT_TRUE(lbd_.apply_config.options().validate_only());
  lbd_.rolled_back =
      Read<v1::RollbackConfigResponse>("{generation: 13, result: {changes: [\"- a\"]}}");
  EXPECT_EQ(Lbctl({"config", "rollback", "11"}), kDone);
  EXPECT_EQ(lbd_.rollback_config.revision(), 11);
  EXPECT_EQ(out_, "- a\napplied 1 change; generation 13\n");
  EXPECT_EQ(Lbctl({"config", "get", "--revision", "11"}), kDone);
  EXPECT_EQ(lbd_.get_config.revision(), 11);
  EXPECT_EQ(Lbctl({"config", "reload"}), kDone);
  EXPECT_EQ(out_, "nothing to change\n");
}

TEST_F(LbctlTest, ConfigErrorsPointIntoTheDocument) {
  in_ = "vips:\n  - adress: 192.0.2.1\n";
  EXPECT_EQ(Lbctl({"config", "apply", "-"}), kRefused);
  EXPECT_EQ(err_,
            "<stdin>:2:5: vips[0]: unknown field \"adress\"; did you mean \"address\"?\n"
            "lbctl: the document has errors; the configuration in force is unchanged\n");
  in_ = "vips:\n  - address: 192.0.2\n";
  lbd_.FailWith({grpc::StatusCode::INVALID_ARGUMENT,
                 "vips[0].address: not an address\nvips[0].port: required"});
  EXPECT_EQ(Lbctl({"config", "apply", "-"}), kRefused);
  EXPECT_EQ(err_,
            "<stdin>:2:14: vips[0].address: not an address\n"
            "<stdin>:2:5: vips[0].port: required\n"
            "lbctl: lbd refused the document; the configuration in force is unchanged\n");
}

TEST_F(LbctlTest, ManyProblemsFitInOneAnswer) {
  in_ = "{vips: []}";
  std::string message;
  for (int i = 0; i < 1000; ++i) message += "vips: this is problem " + std::to_string(i) + "\n";
  lbd_.FailWith({grpc::StatusCode::INVALID_ARGUMENT, message});
  EXPECT_EQ(Lbctl({"config", "apply", "-"}), kRefused);
  EXPECT_NE(err_.find("this is problem 999"), std::string::npos) << err_.substr(0, 500);
}

TEST_F(LbctlTest, AnEmptyInputDoesNotWipeTheConfiguration) {
  EXPECT_EQ(Lbctl({"config", "apply", "-"}), kRefused);
  EXPECT_NE(err_.find("the document is empty"), std::string::npos) << err_;
}

TEST_F(LbctlTest, AnUnreadableFileIsNamed) {
  EXPECT_EQ(Lbctl({"config", "apply", "/nonexistent/lb.yaml"}), kOther);
  EXPECT_EQ(err_, "lbctl: cannot read /nonexistent/lb.yaml: No such file or directory\n");
  EXPECT_EQ(Lbctl({"config", "apply", "/"}), kOther);
  EXPECT_EQ(err_, "lbctl: cannot read /: Is a directory\n");
}

TEST_F(LbctlTest, ConfigGetPrintsADocumentThatCanBeApplied) {
  lbd_.config = Read<v1::GetConfigResponse>(
      "config: {interfaces: [eth0], vips: [{address: 192.0.2.1, port: 80, protocol: "
      "tcp}]}\ngeneration: 3");
  EXPECT_EQ(Lbctl({"config", "get"}), kDone);
  EXPECT_EQ(
      out_,
      "interfaces:\n  - eth0\nvips:\n  - address: 192.0.2.1\n    port: 80\n    protocol: tcp\n");
  in_ = out_;
  EXPECT_EQ(Lbctl({"config", "apply", "-"}), kDone);
  EXPECT_EQ(lbd_.apply_config.config().SerializeAsString(),
            lbd_.config.config().SerializeAsString());
  EXPECT_EQ(Lbctl({"config", "get", "-o", "json"}), kDone);
  EXPECT_EQ(Json()["interfaces"][0], "eth0");
}

TEST_F(LbctlTest, VersionNamesBothSides) {
  lbd_.status.set_version("9.9.9");
  EXPECT_EQ(Lbctl({"version"}), kDone);
  EXPECT_EQ(out_, "lbctl " LB_VERSION "\nlbd 9.9.9\n");
  server_ = "unix:/nonexistent/lbd.sock";
  EXPECT_EQ(Lbctl({"version", "-o", "json"}), kUnreachable);
  EXPECT_EQ(Json()["lbctl"], LB_VERSION);
}

TEST_F(LbctlTest, AnUnreachableServerIsExplained) {
  server_ = "/nonexistent/lbd.sock";
  EXPECT_EQ(Lbctl({"status"}), kUnreachable);
  EXPECT_EQ(
      err_,
      "lbctl: cannot reach lbd at unix:/nonexistent/lbd.sock: No such file or directory. Is lbd "
      "running? Try: pgrep -a lbd. If it listens elsewhere: --server unix:PATH or LBCTL_SERVER.\n");
  server_ = "unix:/" + std::string(200, 'x');
  EXPECT_EQ(Lbctl({"status"}), kUsage);
}

TEST_F(LbctlTest, RefusalsKeepTheWordsOfTheServer) {
  lbd_.FailWith({grpc::StatusCode::ALREADY_EXISTS, "192.0.2.1:80/tcp is there already"});
  EXPECT_EQ(Lbctl({"vip", "add", "192.0.2.1:80"}), kRefused);
  EXPECT_EQ(err_, "lbctl: 192.0.2.1:80/tcp is there already\n");
  EXPECT_EQ(out_, "");
}

TEST_F(LbctlTest, WrongCommandLinesAreExplained) {
  const struct {
    std::vector<const char*> words;
    const char* message;
  } kCases[] = {
      {{},
       "a command is missing: status, vip, real, flow, health, config, import, stats, capture, "
       "doctor, top, support-bundle, events, version, completion"},
      {{"vip"}, "a command is missing: add, update, delete, list, show"},
      {{"vip", "lst"}, "unknown command \"lst\"; did you mean \"list\"?"},
      {{"frobnicate"}, "unknown command \"frobnicate\"; known: status, vip,"},
      {{"vip", "add", "192.0.2.1"}, "the port is missing"},
      {{"vip", "add", "192.0.2.1:80", "--real", "10.0.0.1,weight=x"}, "weight: want 0..1000000"},
      {{"vip", "add", "192.0.2.1:80", "--ring", "x"}, "{rendezvous,maglev}"},
      {{"vip", "add", "192.0.2.1:80", "--ring-bits", "21"}, "8 to 20"},
      {{"real", "add", "192.0.2.1:80", "10.0.0.256"}, "10.0.0.256"},
      {{"real", "add", "192.0.2.1:80", "10.0.0.1", "--weight", "1000001"}, "0 to 1000000"},
      {{"real", "update", "192.0.2.1:80", "10.0.0.1"}, "--weight"},
      {{"real", "update", "192.0.2.1:80", "10.0.0.1", "--state", "up"},
       "{active,draining,down,standby}"},
      {{"real", "drain", "192.0.2.1:80", "10.0.0.1", "--deadline", "0"}, "1 to 604800"},
      {{"real", "drain", "192.0.2.1:80", "10.0.0.1", "--wait-timeout", "5"}, "requires --wait"},
      {{"vip", "add", "192.0.2.1:80", "--tracking", "x"}, "{auto,always,none}"},
      {{"vip", "add", "192.0.2.1:80", "--window", "0"}, "1 to 86400"},
      {{"vip", "add", "192.0.2.1:80", "--idle", "34"}, "35 to 4200"},
      {{"vip", "add", "192.0.2.1:80", "--flow-entries", "63"}, "64 to 33554432"},
      {{"vip", "add", "192.0.2.1:80", "--slow-start", "3601"}, "0 to 3600"},
      {{"flow"}, "a command is missing: list, purge, explain"},
      {{"flow", "list"}, "VIP is required"},
      {{"flow", "list", "192.0.2.1:80", "--limit", "100001"}, "1 to 100000"},
      {{"flow", "purge", "192.0.2.1:80", "--real", "x"}, "x"},
      {{"vip", "list", "-o", "xml"}, "{table,wide,json,yaml,name}"},
      {{"config", "apply"}, "FILE is required"},
      {{"vip", "list", "--wathc"}, "unknown option --wathc; did you mean --watch?"},
      {{"vip", "add", "192.0.2.1:80", "--rnig=maglev"}, "--rnig; did you mean --ring?"},
      {{"real", "update", "192.0.2.1:80", "10.0.0.1", "--wieght", "5"}, "did you mean --weight?"},
      {{"--sevrer", "x", "vip"}, "unknown option --sevrer; did you mean --server?"},
      {{"vip", "list", "--xyzzy"}, "unknown option --xyzzy\n"},
      {{"stats", "--watch", "192.0.2.1:80"},
       "want 0.1..3600 seconds or nothing, got \"192.0.2.1:80\"; other words go before it"},
      {{"health", "--watch", "0"}, "want 0.1..3600 seconds"},
      {{"flow", "list", "192.0.2.1:80", "--watch", "0"}, "want 0.1..3600 seconds"},
      {{"health", "set", "192.0.2.1:80", "10.0.0.1", "up", "--watch"}, "--watch"},
      {{"real", "drain", "192.0.2.1:80", "10.0.0.1", "--wait", "--dry-run"}, "excludes --"},
      {{"help", "vpi"}, "unknown command \"vpi\"; did you mean \"vip\"?"},
      {{"help", "real", "dran"}, "did you mean \"drain\"?"},
      {{"help", "status", "x"}, "unknown command \"x\"; status has none"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(Lbctl(test.words), kUsage) << test.message;
    EXPECT_NE(err_.find(test.message), std::string::npos) << err_;
    EXPECT_EQ(out_, "");
  }
}

TEST_F(LbctlTest, HelpDocumentsTheExitCodes) {
  EXPECT_EQ(Lbctl({"help", "options"}), kDone);
  EXPECT_NE(out_.find("3  cannot reach lbd"), std::string::npos);
  EXPECT_EQ(err_, "");
}

TEST_F(LbctlTest, CompletionAsksTheServer) {
  lbd_.vips = Read<v1::ListVipsResponse>(
      "vips: [{address: 192.0.2.1, port: 80, protocol: tcp}, {address: 198.51.100.1, port: 80}]");
  lbd_.reals = Read<v1::ListRealsResponse>("reals: [{real: {address: 10.0.0.1}}]");
  EXPECT_EQ(Lbctl({"__complete", "--server", server_.c_str(), "vip", "show", "192"}), kDone);
  EXPECT_EQ(out_, "192.0.2.1:80/tcp\n");
  EXPECT_EQ(
      Lbctl({"__complete", "--server", server_.c_str(), "real", "update", "192.0.2.1:80", ""}),
      kDone);
  EXPECT_EQ(out_, "10.0.0.1\n");
  EXPECT_EQ(Lbctl({"__complete", "--server", server_.c_str(), "real", "drain", "192.0.2.1:80", ""}),
            kDone);
  EXPECT_EQ(out_, "10.0.0.1\n");
  EXPECT_EQ(Lbctl({"__complete", "--server", server_.c_str(), "flow", "list", "198"}), kDone);
  EXPECT_EQ(out_, "198.51.100.1:80/tcp\n");
  EXPECT_EQ(Lbctl({"__complete", "--server", server_.c_str(), "flow", "purge", "192.0.2.1:80",
                   "--real", ""}),
            kDone);
  EXPECT_EQ(out_, "10.0.0.1\n");
  EXPECT_EQ(Lbctl({"__complete", "real", "add", "x", "y", "--state", "d"}), kDone);
  EXPECT_EQ(out_, "draining\ndown\n");
  EXPECT_EQ(Lbctl({"__complete", "real", "update", "x", "y", "--st"}), kDone);
  EXPECT_EQ(out_, "--state\n");
  EXPECT_EQ(Lbctl({"__complete", "-o", ""}), kDone);
  EXPECT_EQ(out_, "table\nwide\njson\nyaml\nname\n");
  EXPECT_EQ(Lbctl({"__complete", "help", "real", "dr"}), kDone);
  EXPECT_EQ(out_, "drain\n");
  EXPECT_EQ(Lbctl({"__complete", "completion", ""}), kDone);
  EXPECT_EQ(out_, "bash\nzsh\nfish\n");
}

TEST_F(LbctlTest, RealsAreCompletedWhereverOneIsMeant) {
  lbd_.vips = Read<v1::ListVipsResponse>(
      "vips: [{address: 192.0.2.1, port: 80, reals: [{address: 10.0.0.2}, {address: 10.0.0.1}]},"
      " {address: 192.0.2.2, port: 80, reals: [{address: 10.0.0.2}]}]");
  lbd_.reals = Read<v1::ListRealsResponse>("reals: [{real: {address: 10.0.0.7}}]");
  const auto complete = [&](std::vector<const char*> words) {
    words.insert(words.begin(), {"__complete", "--server", server_.c_str()});
    words.push_back("");
    EXPECT_EQ(Lbctl(words), kDone);
    return out_;
  };
  const std::string all = "10.0.0.1\n10.0.0.2\n";
  EXPECT_EQ(complete({"health", "history"}), all);
  EXPECT_EQ(complete({"capture", "--real"}), all);
  EXPECT_EQ(complete({"flow", "purge", "--real"}), all);
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{"health", "history", "--vip", "192.0.2.1:80"},
                                             {"capture", "--vip", "192.0.2.1:80", "--real"},
                                             {"flow", "purge", "192.0.2.1:80", "--real"},
                                             {"health", "set", "192.0.2.1:80"},
                                             {"vip", "update", "192.0.2.1:80", "--real"}}) {
    lbd_.list_reals.Clear();
    EXPECT_EQ(complete(words), "10.0.0.7\n") << words[0] << ' ' << words[1];
    EXPECT_EQ(lbd_.list_reals.vip().address(), "192.0.2.1") << words[0] << ' ' << words[1];
  }
  EXPECT_EQ(complete({"health", "history", "--vip", "nonsense"}), "");
}

TEST_F(LbctlTest, VipsAreCompletedWhereverOneIsMeant) {
  lbd_.vips = Read<v1::ListVipsResponse>("vips: [{address: 192.0.2.1, port: 80}]");
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{"vip", "show"},
                                             {"real", "list"},
                                             {"stats"},
                                             {"health"},
                                             {"health", "history", "--vip"},
                                             {"capture", "--vip"},
                                             {"flow", "list"},
                                             {"flow", "explain", "198.51.100.7:40000"}}) {
    std::vector<const char*> line = {"__complete", "--server", server_.c_str()};
    line.insert(line.end(), words.begin(), words.end());
    line.push_back("1");
    EXPECT_EQ(Lbctl(line), kDone);
    EXPECT_EQ(out_, "192.0.2.1:80/tcp\n") << words[0];
  }
  lbd_.vips = Read<v1::ListVipsResponse>(
      "vips: [{address: 192.0.2.0/24, port: 80}, {address: 192.0.2.1, any_port: true},"
      " {address: 192.0.2.1, port: 80, last_port: 90},"
      " {address: 192.0.2.1, port: 53, protocol: tcp_udp}]");
  EXPECT_EQ(Lbctl({"__complete", "--server", server_.c_str(), "flow", "explain", "x", "1"}), kDone);
  EXPECT_EQ(out_, "") << "a packet has one destination";
}

TEST_F(LbctlTest, CompletionSpeaksTlsWhereCommandsDo) {
  lbd_.vips = Read<v1::ListVipsResponse>("vips: [{address: 192.0.2.1, port: 80}]");
  const std::vector<const char*> words = {"__complete", "--server", server_.c_str(),
                                          "vip",        "show",     ""};
  EXPECT_EQ(Lbctl(words), kDone);
  EXPECT_EQ(out_, "192.0.2.1:80/tcp\n");
  // The fake speaks plain text only.
  std::vector<const char*> with_tls = words;
  with_tls.insert(with_tls.begin() + 1, {"--tls-ca", "/dev/null"});
  EXPECT_EQ(Lbctl(with_tls), kDone);
  EXPECT_EQ(out_, "");
  ::setenv("LBCTL_TLS_CA", "/dev/null", 1);
  EXPECT_EQ(Lbctl(words), kDone);
  EXPECT_EQ(out_, "");
  ::unsetenv("LBCTL_TLS_CA");
}

TEST(ExitCodeTest, EveryCodeHasItsMeaning) {
  EXPECT_EQ(ToExitCode(OkStatus()), kDone);
  EXPECT_EQ(ToExitCode(ResourceExhausted("")), kRefused);
  EXPECT_EQ(ToExitCode(FailedPrecondition("")), kRefused);
  EXPECT_EQ(ToExitCode(Unavailable("")), kUnreachable);
  EXPECT_EQ(ToExitCode(Status(absl::StatusCode::kDeadlineExceeded, "")), kUnreachable);
  EXPECT_EQ(ToExitCode(Status(absl::StatusCode::kAborted, "")), kRefused);
  EXPECT_EQ(ToExitCode(Status(absl::StatusCode::kCancelled, "")), kInterrupted);
  EXPECT_EQ(ToExitCode(Internal("")), kOther);
}

}  // namespace
}  // namespace lb::cli
