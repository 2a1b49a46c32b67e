// SPDX-License-Identifier: Apache-2.0
#include "lbd/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <sstream>
#include <string>

#include "lbd/api/certificate_check.h"
#include "lbd/config/file_source.h"
#include "lbd/config/state_store.h"
#include "lbd/control/doctor.h"
#include "lbd/dataplane/bpf_dataplane.h"
#include "lbd/dataplane/doctor.h"
#include "lbd/metrics/http_server.h"

namespace lb {
namespace {

using dataplane::Finding;
using dataplane::Level;

void Append(std::vector<Finding>& to, std::vector<Finding> findings) {
  std::ranges::move(findings, std::back_inserter(to));
}

// What is wrong with a document, a finding for each line.
std::vector<Finding> FromProblems(const Status& status, const std::string& file, Level level) {
  std::vector<Finding> findings;
  std::istringstream lines(Message(status));
  for (std::string line; std::getline(lines, line);) {
    findings.push_back({"configuration", level, line, "lbd --check " + file});
  }
  return findings;
}

// The configuration with which lbd begins; empty where that is an error, which `out` has then.
std::optional<model::Config> ConfigAtStart(const Options& options, std::vector<Finding>& out) {
  config::StateStore::Contents state;
  if (!options.state_path.empty()) {
    auto contents = config::StateStore::Look(options.state_path);
    if (!contents.ok()) {
      out.push_back(
          {"state", Level::kFail, Message(contents.status()), "ls -ld " + options.state_path});
      return std::nullopt;
    }
    state = *std::move(contents);
    for (const std::string& problem : state.problems) {
      out.push_back({"state", Level::kWarn, problem + "; lbd puts it aside", ""});
    }
  }
  const auto begins_with = [&](const std::string& what) {
    out.push_back({"configuration", Level::kOk, "lbd begins with " + what, ""});
  };
  const bool from_file =
      !options.config_file.empty() && (!state.latest || options.config_authoritative);
  if (!options.config_file.empty()) {
    auto file = config::ReadConfigFile(options.config_file);
    if (!file.ok()) {
      Append(out, FromProblems(file.status(), options.config_file,
                               from_file ? Level::kFail : Level::kWarn));
      if (from_file) return std::nullopt;
    } else if (from_file) {
      begins_with(options.config_file);
      // A document without a key keeps the one in force.
      if (!file->hash_key && state.latest) file->hash_key = state.latest->config.settings.hash_key;
      if (file->hash_key) file->config.settings.hash_key = *file->hash_key;
      return std::move(file->config);
    }
  }
  if (!state.latest) {
    out.push_back({"configuration", Level::kWarn,
                   "there is no revision, and no --config: lbd begins with nothing",
                   "lbctl config apply FILE"});
    return std::nullopt;
  }
  begins_with(fmt::format("revision {} of {}", state.latest->info.generation, options.state_path));
  return std::move(state.latest->config);
}

// Whether lbd could listen; it is tried.
std::vector<Finding> ExamineListeners(const Options& options) {
  std::vector<Finding> out;
  const auto note = [&](const char* flag, const std::string& address, const Status& status) {
    const std::string port = address.substr(address.rfind(':') + 1);
    if (status.ok()) {
      out.push_back({flag, Level::kOk, address + " is free", ""});
    } else {
      out.push_back(
          {flag, Level::kFail, Message(status),
           fmt::format("ss -ltnp 'sport = :{}'; end that, or give another address", port)});
    }
  };
  if (!options.listen_tcp.empty()) {
    note("--listen_tcp", options.listen_tcp,
         api::BindTcp(options.listen_tcp,
                      options.insecure ? api::Transport::kLoopback : api::Transport::kTls)
             .status());
  }
  if (!options.metrics_listen.empty()) {
    note("--metrics_listen", options.metrics_listen,
         metrics::HttpServer::Start(options.metrics_listen, {}).status());
  }
  return out;
}

}  // namespace

std::vector<Finding> ExamineFiles(const Options& options) {
  std::vector<std::string> certificates;
  if (!options.listen_tcp.empty() && !options.insecure) {
    certificates = {options.tls_cert, options.tls_client_ca};
  }
  auto findings = api::ExamineCertificates(certificates, std::chrono::system_clock::now());
  if (!options.state_path.empty()) {
    findings.push_back(
        dataplane::ExamineDisk(options.state_path, dataplane::FreeBytes(options.state_path)));
  }
  return findings;
}

std::vector<Finding> ExamineOccupants(const Options& options, const Occupants& occupants) {
  const auto path = api::UnixPath(options.listen);
  if (!path.ok()) return {{"socket", Level::kFail, Message(path.status()), ""}};
  const std::optional<Process>& server = occupants.server;
  const auto is_lbd = [&](const Process& process) {
    return (occupants.pins && occupants.pins->id == process.id) ||
           (occupants.state && occupants.state->id == process.id);
  };
  std::vector<Finding> out;
  if (occupants.socket == api::SocketPath::kTaken) {
    out.push_back({"socket", Level::kFail, *path + " is there, and is no socket", "rm " + *path});
  } else if (server && !is_lbd(*server)) {
    out.push_back(
        {"socket", Level::kFail,
         fmt::format("{} is served by {}, which is not this lbd", *path, server->ToString()),
         fmt::format("kill {}, or give another --listen", server->id)});
  }
  const std::pair<const std::optional<Process>&, const std::string&> locks[] = {
      {occupants.state, options.state_path}, {occupants.pins, options.pin_path}};
  for (const auto& [holder, directory] : locks) {
    if (!holder || (server && holder->id == server->id)) continue;
    out.push_back(
        {"process", Level::kFail,
         fmt::format("{} has {}, and does not serve {}", holder->ToString(), directory, *path),
         fmt::format("ps -fp {0}; where it is no lbd that starts: kill {0}", holder->id)});
  }
  if (!out.empty()) return out;
  if (server) return {{"process", Level::kOk, "lbd runs: " + server->ToString(), ""}};
  return {{"process", Level::kWarn, "no lbd runs; what it attached goes on forwarding",
           "systemctl start lbd"}};
}

std::vector<Finding> ExamineWithoutDaemon(const Options& options) {
  const dataplane::HostFacts host = dataplane::ReadHostFacts(options.pin_path);
  std::vector<Finding> out = ExamineHost(host);
  if (!host.capable) return out;  // nor may we see the rest
  Occupants occupants;
  if (const auto path = api::UnixPath(options.listen); path.ok()) {
    occupants.socket = api::LookAt(*path);
    occupants.server = ServerOf(*path);
  }
  occupants.state = LockHolder(options.state_path);
  occupants.pins = LockHolder(options.pin_path);
  Append(out, ExamineOccupants(options, occupants));
  if (!occupants.server && !occupants.state && !occupants.pins) {
    Append(out, ExamineListeners(options));
  }
  Append(out, ExamineFiles(options));
  const auto config = ConfigAtStart(options, out);
  if (!config) return out;
  Append(out, control::ExamineConfig(*config));
  Append(out,
         control::ExamineInterfaces(
             config->settings, dataplane::BpfDataplane::AttachmentsAt(options.pin_path), host));
  return out;
}

}  // namespace lb
