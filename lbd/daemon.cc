// SPDX-License-Identifier: Apache-2.0
#include "lbd/daemon.h"

#include <glog/logging.h>

#include <csignal>
#include <iostream>
#include <memory>

#include "lbd/api/server.h"
#include "lbd/config/file_source.h"
#include "lbd/control/controller.h"
#include "lbd/dataplane/bpf_dataplane.h"

namespace lb {
namespace {

// SIGTERM and SIGINT, blocked in this thread and all that it starts.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  void Wait() const {
    int signal = 0;
    sigwait(&set_, &signal);
    LOG(INFO) << "Stopping on signal " << signal << "; forwarding goes on";
  }

 private:
  sigset_t set_;
};

}  // namespace

Status RunDaemon(const Options& options) {
  const StopSignals stop;
  std::optional<model::ReplaceConfig> initial;
  if (!options.config_file.empty()) {
    LB_ASSIGN_OR_RETURN(initial, config::ReadConfigFile(options.config_file));
  }
  LB_ASSIGN_OR_RETURN(auto dataplane, dataplane::BpfDataplane::Create(options.pin_path));
  LB_ASSIGN_OR_RETURN(auto controller, control::Controller::Create(std::move(dataplane)));
  if (initial) {
    LB_RETURN_IF_ERROR(Annotate(controller->Apply(*initial).status(), options.config_file));
  }
  LB_ASSIGN_OR_RETURN(auto server, api::Server::Start(options.listen, *controller, LBD_VERSION));
  LOG(INFO) << "lbd " LBD_VERSION " serves " << options.listen;
  stop.Wait();
  return OkStatus();
}

Status Detach(const Options& options) {
  LB_ASSIGN_OR_RETURN(const auto interfaces, dataplane::BpfDataplane::DetachAll(options.pin_path));
  for (const std::string& interface : interfaces) std::cout << "detached " << interface << '\n';
  if (interfaces.empty()) std::cout << "nothing was attached\n";
  return OkStatus();
}

}  // namespace lb
