// SPDX-License-Identifier: Apache-2.0
#include "lbd/daemon.h"

#include <fmt/format.h>
#include <glog/logging.h>
#include <grp.h>
#include <linux/capability.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <iostream>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

#include "lbd/api/call_metrics.h"
#include "lbd/api/server.h"
#include "lbd/base/capabilities.h"
#include "lbd/base/service_manager.h"
#include "lbd/config/file_source.h"
#include "lbd/config/state_store.h"
#include "lbd/console.h"
#include "lbd/control/controller.h"
#include "lbd/control/metrics.h"
#include "lbd/dataplane/bpf_dataplane.h"
#include "lbd/dataplane/program.h"
#include "lbd/doctor.h"
#include "lbd/health/probe_checker.h"
#include "lbd/metrics/exporter.h"

namespace lb {
namespace {

// Programs and maps; links, routes and neighbours; AF_XDP, and its memory where RLIMIT_MEMLOCK is
// short. To open what an earlier lbd has loaded by its number takes more (see PinDirectory), so
// that is opened by its pins.
constexpr int kKeptCapabilities[] = {CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_NET_RAW,
                                     CAP_IPC_LOCK};

constexpr std::chrono::seconds kStopTime{5};

// The signals that lbd answers to, blocked in this thread and all that it starts.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set_, signal);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  // 0: none came in this time.
  int Wait(std::chrono::microseconds time) const {
    const timespec timeout{.tv_sec = time.count() / 1'000'000,
                           .tv_nsec = time.count() % 1'000'000 * 1000};
    const int signal = sigtimedwait(&set_, nullptr, &timeout);
    return signal > 0 ? signal : 0;
  }

 private:
  sigset_t set_;
};

// Nothing where there is no such group.
std::optional<gid_t> GroupOf(const std::string& name) {
  if (name.empty()) return std::nullopt;
  const group* entry = getgrnam(name.c_str());
  return entry != nullptr ? std::optional(entry->gr_gid) : std::nullopt;
}

// Everything about the API that needs more of root than what lbd keeps.
StatusOr<api::ServerOptions> OpenApi(const Options& options) {
  api::ServerOptions server{.version = LBD_VERSION,
                            .audit_log = options.audit_log,
                            .metrics_listen = options.metrics_listen};
  LB_ASSIGN_OR_RETURN(const std::string path, api::UnixPath(options.listen));
  const gid_t socket_group = GroupOf(options.socket_group).value_or(getegid());
  LB_ASSIGN_OR_RETURN(api::Listener local, api::BindUnix(path, socket_group));
  server.listeners.push_back(std::move(local));
  server.roles = {.admin_group = GroupOf(options.admin_group),
                  .operator_group = GroupOf(options.operator_group),
                  .admin_certificates = options.tls_admins,
                  .operator_certificates = options.tls_operators};
  server.checks = [options] { return ExamineFiles(options); };
  if (options.listen_tcp.empty()) return server;
  LB_ASSIGN_OR_RETURN(api::Listener remote,
                      api::BindTcp(options.listen_tcp, options.insecure ? api::Transport::kLoopback
                                                                        : api::Transport::kTls));
  server.listeners.push_back(std::move(remote));
  if (options.insecure) {
    LOG(WARNING) << "--insecure: every process on this host is an admin on " << options.listen_tcp;
  } else {
    server.tls = api::TlsOptions{options.tls_cert, options.tls_key, options.tls_client_ca};
  }
  return server;
}

std::string StatusLine(const control::Controller& controller) {
  const auto snapshot = controller.snapshot();
  return fmt::format("generation {}, {} VIPs, {} reals", snapshot->generation,
                     snapshot->config.vips.size(), snapshot->config.CountReals());
}

StatusOr<control::Outcome> ApplyFile(control::Controller& controller, const Options& options,
                                     const std::string& author) {
  LB_ASSIGN_OR_RETURN(const auto change, config::ReadConfigFile(options.config_file));
  auto outcome =
      controller.Apply(change, {.author = author, .comment = "from " + options.config_file});
  if (!outcome.ok()) return Annotate(outcome.status(), options.config_file);
  return outcome;
}

// Goes on with the latest revision; begins with the file where there is none.
Status Begin(control::Controller& controller, const std::optional<control::Revision>& latest,
             const Options& options) {
  if (latest) {
    const Status status =
        Annotate(controller.Restore(*latest),
                 fmt::format("revision {} of {}", latest->info.generation, options.state_path));
    if (!status.ok() && !options.config_authoritative) return status;
    if (!status.ok()) LOG(ERROR) << Message(status);
  }
  if (options.config_file.empty()) return OkStatus();
  if (!latest || options.config_authoritative) {
    return ApplyFile(controller, options, "lbd").status();
  }
  const auto change = config::ReadConfigFile(options.config_file);
  const auto outcome = change.ok() ? controller.Apply(*change, {.validate_only = true})
                                   : StatusOr<control::Outcome>(change.status());
  if (!outcome.ok()) {
    LOG(WARNING) << "Not used: " << Message(outcome.status());
  } else if (!outcome->changes.empty()) {
    LOG(WARNING) << options.config_file << " differs from revision " << latest->info.generation
                 << ", which is in force; to apply it: lbctl config reload, or SIGHUP";
  }
  return OkStatus();
}

void Reload(control::Controller& controller, const Options& options,
            const ServiceManager& manager) {
  manager.Reloading();
  if (options.config_file.empty()) {
    LOG(WARNING) << "SIGHUP: lbd was started without --config, there is nothing to read";
  } else if (const auto outcome = ApplyFile(controller, options, "SIGHUP"); !outcome.ok()) {
    LOG(ERROR) << "SIGHUP: the configuration stays as it is: " << Message(outcome.status());
  }
  manager.Ready(StatusLine(controller));
}

// Ends the process in a while, whatever clients do: all that was acknowledged is kept, and what
// forwards does not need us.
void EndSoon() {
  std::thread([] {
    std::this_thread::sleep_for(kStopTime);
    LOG(WARNING) << "Calls are still under way; they are given up";
    _exit(0);
  }).detach();
}

// Until a signal ends it.
void Serve(control::Controller& controller, const Options& options, const Signals& signals) {
  const ServiceManager manager = ServiceManager::FromEnvironment();
  manager.Ready(StatusLine(controller));
  auto pause = std::chrono::microseconds(std::chrono::seconds(10));
  if (manager.watchdog()) pause = std::min(pause, *manager.watchdog() / 3);
  while (true) {
    const int signal = signals.Wait(pause);
    if (signal == SIGHUP) {
      Reload(controller, options, manager);
    } else if (signal != 0) {
      LOG(INFO) << "Stopping on signal " << signal << "; forwarding goes on";
      manager.Stopping();
      EndSoon();
      return;
    } else {
      controller.Ping();  // a control thread that hangs is a lbd that hangs
      manager.Watchdog();
      manager.Status(StatusLine(controller));
    }
  }
}

metrics::Exports ExportsOf(control::Controller& controller, const api::CallMetrics& calls,
                           const api::LoadBalancerService::Checks& checks) {
  return {.sources = {[&controller](metrics::Samples& samples) {
                        control::CollectMetrics(controller, LBD_VERSION, samples);
                      },
                      [&calls](metrics::Samples& samples) { calls.Collect(samples); },
                      metrics::CollectProcess},
          .alive = [&controller] { return control::NotAlive(controller); },
          .ready = [&controller] { return control::NotReady(controller); },
          .pages = ConsoleRoutes(controller, LBD_VERSION, checks)};
}

}  // namespace

Status RunDaemon(const Options& options) {
  const Signals signals;
  LB_ASSIGN_OR_RETURN(api::ServerOptions server_options, OpenApi(options));
  UniqueFd run_times;
  if (options.bpf_run_time) {
    LB_ASSIGN_OR_RETURN(run_times, dataplane::MeasureRunTimes());
  }
  std::vector<int> kept(std::begin(kKeptCapabilities), std::end(kKeptCapabilities));
  if (options.keep_sys_admin) kept.push_back(CAP_SYS_ADMIN);
  LB_RETURN_IF_ERROR(KeepOnlyCapabilities(kept));
  std::unique_ptr<config::StateStore> store;
  std::optional<control::Revision> latest;
  if (!options.state_path.empty()) {
    LB_ASSIGN_OR_RETURN(store, config::StateStore::Open(options.state_path));
    latest = store->Latest();
    for (const std::string& problem : store->problems()) LOG(ERROR) << problem;
    if (latest && !store->problems().empty()) {
      LOG(WARNING) << "Going on with revision " << latest->info.generation;
    }
  }
  LB_ASSIGN_OR_RETURN(auto dataplane, dataplane::BpfDataplane::Create(options.pin_path));
  LB_ASSIGN_OR_RETURN(auto checker, health::ProbeChecker::Create(*dataplane->probe_path()));
  LB_ASSIGN_OR_RETURN(
      auto controller,
      control::Controller::Create(std::move(dataplane), std::move(store), std::move(checker)));
  LB_RETURN_IF_ERROR(Begin(*controller, latest, options));
  if (!options.config_file.empty()) {
    server_options.read_config = [&] { return config::ReadConfigFile(options.config_file); };
  }
  api::CallMetrics calls;
  std::unique_ptr<metrics::HttpServer> exports;
  if (!options.metrics_listen.empty()) {
    auto listener = metrics::ServeExports(options.metrics_listen,
                                          ExportsOf(*controller, calls, server_options.checks));
    LB_RETURN_IF_ERROR(Annotate(listener.status(), "--metrics_listen"));
    exports = *std::move(listener);
    LOG(INFO) << "Metrics on http://" << options.metrics_listen << "/metrics";
  }
  server_options.calls = &calls;
  LB_ASSIGN_OR_RETURN(auto server, api::Server::Start(std::move(server_options), *controller));
  LOG(INFO) << "lbd " LBD_VERSION " serves " << options.listen;
  Serve(*controller, options, signals);
  return OkStatus();
}

Status Detach(const Options& options) {
  LB_ASSIGN_OR_RETURN(const auto interfaces, dataplane::BpfDataplane::DetachAll(options.pin_path));
  for (const std::string& interface : interfaces) std::cout << "detached " << interface << '\n';
  if (interfaces.empty()) std::cout << "nothing was attached\n";
  return OkStatus();
}

Status CheckFile(const std::string& path) {
  LB_RETURN_IF_ERROR(config::ReadConfigFile(path).status());
  std::cout << path << ": ok\n";
  return OkStatus();
}

}  // namespace lb
