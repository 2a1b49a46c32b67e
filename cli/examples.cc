// SPDX-License-Identifier: Apache-2.0
#include "cli/examples.h"

namespace lb::cli {
namespace {

struct Example {
  std::string_view command;
  std::string_view line;
};

constexpr Example kExamples[] = {
    {"status", "lbctl status"},
    {"status", "lbctl status -o json | jq .generation"},
    {"vip add",
     "lbctl vip add 203.0.113.10:443/tcp --name www --real 10.0.0.1 --real 10.0.0.2,weight=50"},
    {"vip add", "lbctl vip add [2001:db8::10]:any/udp --real fd00::1"},
    {"vip update", "lbctl vip update 203.0.113.10:443/tcp --tracking always"},
    {"vip update", "lbctl vip update 203.0.113.10:443/tcp --hash source --dry-run"},
    {"vip delete", "lbctl vip delete 203.0.113.10:443/tcp --if-exists"},
    {"vip list", "lbctl vip list -o wide"},
    {"vip list", "lbctl vip list -o name | xargs -n 1 lbctl vip show"},
    {"vip show", "lbctl vip show 203.0.113.10:443/tcp --watch"},
    {"real add", "lbctl real add 203.0.113.10:443/tcp 10.0.0.3 --weight 50"},
    {"real update", "lbctl real update 203.0.113.10:443/tcp 10.0.0.3 --weight 100"},
    {"real update",
     "lbctl real update 203.0.113.10:443/tcp 10.0.0.3 --weight 0 --max-disruption 20 --comment "
     "'OPS-7'"},
    {"real drain", "lbctl real drain 203.0.113.10:443/tcp 10.0.0.3 --deadline 600 --wait"},
    {"real activate", "lbctl real activate 203.0.113.10:443/tcp 10.0.0.3"},
    {"real delete", "lbctl real delete 203.0.113.10:443/tcp 10.0.0.3"},
    {"real list", "lbctl real list --watch 5"},
    {"flow list", "lbctl flow list 203.0.113.10:443/tcp --limit 20"},
    {"flow purge", "lbctl flow purge 203.0.113.10:443/tcp --real 10.0.0.3"},
    {"flow explain", "lbctl flow explain 198.51.100.7:40000 203.0.113.10:443/tcp"},
    {"flow explain",
     "lbctl flow explain 198.51.100.7:40000 203.0.113.10:443/tcp --pending new.yaml"},
    {"flow explain",
     "lbctl flow explain 198.51.100.7:40000 203.0.113.10:443/tcp --live --count 10"},
    {"health", "lbctl health 203.0.113.10:443/tcp"},
    {"health", "lbctl health --watch"},
    {"health history", "lbctl health history 10.0.0.3"},
    {"health set", "lbctl health set 203.0.113.10:443/tcp 10.0.0.3 down --for 600"},
    {"config apply", "lbctl config apply /etc/lbd/lbd.yaml --dry-run"},
    {"config get", "lbctl config get > lbd.yaml"},
    {"config validate", "lbctl config validate lbd.yaml"},
    {"config schema", "lbctl config schema > lbd.schema.json"},
    {"config diff", "lbctl config diff new.yaml"},
    {"config confirm", "lbctl config apply new.yaml --confirm-within 60 && lbctl config confirm"},
    {"config history", "lbctl config history"},
    {"config rollback", "lbctl config rollback 41 --dry-run"},
    {"config reload", "lbctl config reload"},
    {"import ipvs", "ipvsadm -Sn | lbctl import ipvs - > lbd.yaml"},
    {"import katran", "katran_goclient -l | lbctl import katran > lbd.yaml"},
    {"stats", "lbctl stats 203.0.113.10:443/tcp --watch"},
    {"stats drops", "lbctl stats drops"},
    {"capture", "lbctl capture --verdict no_real --verdict too_big"},
    {"capture", "lbctl capture --vip 203.0.113.10:443/tcp -w - | tcpdump -nr -"},
    {"capture", "lbctl capture --prefix 198.51.100.0/24 --every 1000 -w sample.pcapng"},
    {"doctor", "lbctl doctor --all"},
    {"top", "lbctl top"},
    {"top", "lbctl top --once"},
    {"events", "lbctl events -f"},
    {"version", "lbctl version"},
    {"completion", "source <(lbctl completion bash)"},
    {"completion", "lbctl completion fish | source"},
    {"support-bundle", "lbctl support-bundle lbd.tar.gz"},
    {"help", "lbctl help real drain"},
    {"help", "lbctl help options"},
};

}  // namespace

std::string ExamplesOf(std::string_view command) {
  std::string text;
  for (const Example& example : kExamples) {
    const bool verb = example.command.starts_with(command) &&
                      example.command.substr(command.size()).starts_with(' ');
    if (example.command == command || verb) text += "  " + std::string(example.line) + "\n";
  }
  return text;
}

}  // namespace lb::cli
