// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/support_bundle.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "cli/commands/doctor.h"
#include "cli/commands/version.h"
#include "cli/program.h"
#include "lbd/config/document_writer.h"

namespace lb::cli {
namespace {

namespace fs = std::filesystem;

// A directory that goes with it.
class Scratch {
 public:
  Scratch() : path_(fs::temp_directory_path() / "lbctl-support-XXXXXX") {
    std::string name = path_.string();
    made_ = ::mkdtemp(name.data()) != nullptr;
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    if (made_) fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  bool made() const { return made_; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  bool made_ = false;
};

class Bundle {
 public:
  Bundle(const Session& session, fs::path directory)
      : session_(session), directory_(std::move(directory)) {}

  void Collect() {
    Ask("config.yaml", v1::GetConfigRequest());  // lbd never gives its key away
    Ask("status.yaml", v1::GetStatusRequest());
    Ask("stats.yaml", v1::GetStatsRequest());
    Ask("vips.yaml", v1::ListVipsRequest());
    v1::GetHealthRequest health;
    health.set_history(true);
    Ask("health.yaml", health);
    Ask("revisions.yaml", v1::ListRevisionsRequest());
    Ask("verdicts.yaml", v1::ListVerdictsRequest());
    Write("doctor.yaml", config::FormatYaml(Examine(session_, {}), config::Fields::kAll));
    Events();
    Metrics();
    Write("versions.txt", fmt::format("lbctl {}\n", kVersion));
    const std::pair<const char*, std::vector<std::string>> commands[] = {
        {"uname.txt", {"uname", "-a"}},
        {"links.txt", {"ip", "-d", "-s", "link"}},
        {"routes.txt", {"ip", "route", "show", "table", "all"}},
        {"neighbours.txt", {"ip", "neigh"}},
        {"bpf_maps.txt", {"bpftool", "map", "list"}},
        {"bpf_net.txt", {"bpftool", "net", "show"}},
        {"log.txt", {"journalctl", "-u", "lbd", "-n", "2000", "--no-pager"}},
    };
    for (const auto& [file, command] : commands) Run(file, command);
  }

 private:
  void Run(const char* file, const std::vector<std::string>& command) const {
    const Ran ran = RunProgram(command, Errors::kToOutput);
    Write(file,
          ran.code >= 0 ? ran.output : fmt::format("{} cannot be run here\n", command.front()));
  }

  void Write(const std::string& file, const std::string& text) const {
    std::ofstream(directory_ / file, std::ios::binary) << text;
  }

  template <typename Request>
  void Ask(const char* file, const Request& request) const {
    const auto response = session_.client.Call(request);
    Write(file, response.ok() ? config::FormatYaml(*response, config::Fields::kAll)
                              : Message(response.status()) + "\n");
  }

  void Events() const {
    v1::WatchEventsRequest request;
    request.set_from_sequence(0);
    std::string text;
    const Status status =
        session_.client.Watch(request, [&](const v1::WatchEventsResponse& response) {
          for (const v1::Event& event : response.events()) {
            text += "---\n" + config::FormatYaml(event, config::Fields::kAll);
          }
          return !response.caught_up();
        });
    Write("events.yaml", status.ok() ? text : text + Message(status) + "\n");
  }

  // What Prometheus gets, where lbd is on this host.
  void Metrics() const {
    const char* const file = "metrics.txt";
    const auto status = session_.client.GetBriefStatus();
    if (!status.ok()) return Write(file, Message(status.status()) + "\n");
    if (status->metrics_listen().empty()) return Write(file, "lbd has no --metrics_listen\n");
    const std::string url = fmt::format("http://{}/metrics", status->metrics_listen());
    if (!session_.client.is_local()) {
      return Write(file, fmt::format("{} is that of another host\n", url));
    }
    Run(file, {"curl", "-sSg", "--noproxy", "*", "--max-time", "10", url});
  }

  const Session& session_;
  fs::path directory_;
};

}  // namespace

Status SupportBundle(const Session& session, const std::string& file) {
  const Scratch scratch;
  if (!scratch.made()) return ErrnoStatus(errno, "make a directory for the bundle");
  const fs::path directory = scratch.path() / "lbd-support";
  fs::create_directory(directory);
  Bundle(session, directory).Collect();
  const Ran tar = RunProgram(
      {"tar", "-czf", fs::absolute(file).string(), "-C", scratch.path().string(), "lbd-support"},
      Errors::kToOutput);
  if (tar.code != 0) return Internal(fmt::format("tar cannot write {}", file));
  session.io.out << fmt::format("wrote {}; look through it before you send it\n", file);
  return OkStatus();
}

}  // namespace lb::cli
