// SPDX-License-Identifier: Apache-2.0
#include <gflags/gflags.h>
#include <glog/logging.h>

#include <iostream>

#include "lbd/daemon.h"
#include "lbd/options.h"

DEFINE_string(config, "",
              "YAML or JSON configuration document to start with; without it lbd starts empty and "
              "waits for lbctl config apply");
DEFINE_string(listen, "unix:/run/lbd/lbd.sock", "where the gRPC API listens: a Unix socket");
DEFINE_string(bpffs, "/sys/fs/bpf/lbd",
              "directory on a mounted bpffs for pinned links and maps; created");
DEFINE_bool(detach, false, "remove programs, links and pins that lbd left, and exit");

int main(int argc, char** argv) {
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
  const lb::Options options{FLAGS_config, FLAGS_listen, FLAGS_bpffs};
  const lb::Status status = FLAGS_detach ? lb::Detach(options) : lb::RunDaemon(options);
  if (!status.ok()) {
    std::cerr << "lbd: " << lb::Message(status) << '\n';
    return 1;
  }
  return 0;
}
