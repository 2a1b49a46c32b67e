// SPDX-License-Identifier: Apache-2.0
#include <gflags/gflags.h>
#include <glog/logging.h>
#include <malloc.h>

#include <iostream>
#include <set>
#include <sstream>
#include <string>

#include "lbd/daemon.h"
#include "lbd/doctor.h"
#include "lbd/options.h"

DEFINE_string(config, "",
              "YAML or JSON configuration document to begin with, where the state directory has "
              "none; read again on SIGHUP and by lbctl config reload");
DEFINE_bool(config_authoritative, false,
            "apply --config at each start, in place of the latest revision in the state directory");
DEFINE_string(state_dir, "/var/lib/lbd",
              "directory for the revisions of the configuration; empty: changes made by lbctl last "
              "until lbd ends");
DEFINE_string(
    socket_group, "lbd",
    "Unix group that may connect to the socket, where it exists; its members look, unless "
    "they are in one of the next two groups");
DEFINE_string(admin_group, "lbd-admin", "Unix group that may change everything");
DEFINE_string(operator_group, "lbd-operator",
              "Unix group that may drain reals and override their health");
DEFINE_string(audit_log, "",
              "file for what was changed by whom, one JSON object a line; empty: log");
DEFINE_string(listen_tcp, "",
              "ADDRESS:PORT where the API listens as well, for clients with certificates");
DEFINE_string(tls_cert, "", "PEM file with the certificate chain of --listen_tcp");
DEFINE_string(tls_key, "", "PEM file with its key");
DEFINE_string(tls_client_ca, "",
              "PEM file with the authorities that sign the certificates of clients");
DEFINE_string(tls_admins, "",
              "names in client certificates (CN, DNS or URI), with commas, that may change "
              "everything; who is in no list looks");
DEFINE_string(tls_operators, "", "names that may drain reals and override their health");
DEFINE_bool(insecure, false,
            "no TLS on --listen_tcp, which must be on loopback: every process here is an admin");
DEFINE_string(check, "", "check a configuration document, and exit");
DEFINE_string(listen, "unix:/run/lbd/lbd.sock", "where the gRPC API listens: a Unix socket");
DEFINE_string(bpffs, "/sys/fs/bpf/lbd",
              "directory on a mounted bpffs for pinned links and maps; created");
DEFINE_string(
    metrics_listen, "127.0.0.1:9188",
    "where /metrics, /healthz, /readyz and the status page are served over HTTP, readable "
    "by whoever can connect; empty: nowhere");
DEFINE_bool(
    bpf_run_time, false,
    "let the kernel measure the run time of BPF programs, for /metrics; costs some 20 ns per "
    "packet");
DEFINE_bool(keep_sys_admin, false, "keep CAP_SYS_ADMIN, which libxdp needs for attach: dispatcher");
DEFINE_bool(doctor, false,
            "say what keeps an lbd with these flags from starting, answering or forwarding, change "
            "nothing, and exit");
DEFINE_string(output, "table", "what --doctor prints: table, or json for scripts");
DEFINE_bool(detach, false, "remove programs, links and pins that lbd left, and exit");

namespace {

// "a,b" as a set.
std::set<std::string> Words(const std::string& list) {
  std::set<std::string> words;
  std::istringstream in(list);
  for (std::string word; std::getline(in, word, ',');) {
    if (!word.empty()) words.insert(word);
  }
  return words;
}

// Prints what is found on this host; an error where something fails.
lb::Status Doctor(const lb::Options& options) {
  const auto findings = lb::ExamineWithoutDaemon(options);
  std::cout << (FLAGS_output == "json" ? ToJson(findings) : ToText(findings));
  return ToStatus(findings);
}

}  // namespace

int main(int argc, char** argv) {
  // Each thread of gRPC would keep the room of its largest answer: 60 MiB for 20 000 reals.
  mallopt(M_ARENA_MAX, 2);
  FLAGS_logtostderr = true;
  gflags::SetVersionString(LBD_VERSION);
  gflags::SetUsageMessage(
      "XDP layer 4 load balancer daemon. Control it with lbctl.\n"
      "  lbd --config /etc/lbd/lbd.yaml");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  google::InitGoogleLogging(argv[0]);
  if (argc > 1) {
    std::cerr << "lbd: unexpected argument \"" << argv[1] << "\"; see lbd --help\n";
    return 2;
  }
  if (FLAGS_config_authoritative && FLAGS_config.empty()) {
    std::cerr << "lbd: --config_authoritative needs --config\n";
    return 2;
  }
  if (FLAGS_output != "table" && FLAGS_output != "json") {
    std::cerr << "lbd: --output: table or json, got \"" << FLAGS_output << "\"\n";
    return 2;
  }
  const lb::Options options{.config_file = FLAGS_config,
                            .config_authoritative = FLAGS_config_authoritative,
                            .listen = FLAGS_listen,
                            .pin_path = FLAGS_bpffs,
                            .state_path = FLAGS_state_dir,
                            .keep_sys_admin = FLAGS_keep_sys_admin,
                            .metrics_listen = FLAGS_metrics_listen,
                            .bpf_run_time = FLAGS_bpf_run_time,
                            .socket_group = FLAGS_socket_group,
                            .admin_group = FLAGS_admin_group,
                            .operator_group = FLAGS_operator_group,
                            .audit_log = FLAGS_audit_log,
                            .listen_tcp = FLAGS_listen_tcp,
                            .insecure = FLAGS_insecure,
                            .tls_cert = FLAGS_tls_cert,
                            .tls_key = FLAGS_tls_key,
                            .tls_client_ca = FLAGS_tls_client_ca,
                            .tls_admins = Words(FLAGS_tls_admins),
                            .tls_operators = Words(FLAGS_tls_operators)};
  if (!FLAGS_check.empty()) {
    const lb::Status status = lb::CheckFile(FLAGS_check);
    if (!status.ok()) std::cerr << lb::Message(status) << '\n';  // FILE:LINE:COLUMN: ...
    return status.ok() ? 0 : 1;
  }
  const lb::Status status = FLAGS_doctor   ? Doctor(options)
                            : FLAGS_detach ? lb::Detach(options)
                                           : lb::RunDaemon(options);
  if (!status.ok()) {
    std::cerr << "lbd: " << lb::Message(status) << '\n';
    return 1;
  }
  return 0;
}
