// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/capture.h"
#include "lbd/dataplane/dataplane.h"
#include "lbd/dataplane/forwarder.h"
#include "lbd/dataplane/interface.h"
#include "lbd/dataplane/next_hop.h"
#include "lbd/dataplane/pin_directory.h"
#include "lbd/dataplane/xdp_hook.h"

namespace lb::dataplane {

// The data plane in the kernel. Links and maps are pinned: forwarding goes on when this is
// destroyed.
class BpfDataplane : public Dataplane {
 public:
  // `pin_path`: a directory on a bpffs, which is created. What an earlier process left there keeps
  // forwarding until the first Apply(), which takes it over without a gap.
  static StatusOr<std::unique_ptr<BpfDataplane>> Create(const std::string& pin_path);

  // What an lbd, running or not, has attached by what is pinned at `pin_path`. Only looks.
  static std::vector<Attachment> AttachmentsAt(const std::string& pin_path);

  // Detaches every program whose link is pinned at `pin_path` and removes all pins. Returns the
  // interfaces.
  static StatusOr<std::vector<std::string>> DetachAll(const std::string& pin_path);

  Status Apply(const Desired& desired) override;
  Status UpdateRings(const std::vector<Service>& services) override;
  std::set<std::pair<model::VipKey, IpAddress>> Serving() const override;
  ProbePath* probe_path() override { return probes_.get(); }
  int event_fd() const override { return events_.get(); }
  void OnEvents() override;
  std::vector<Attachment> Attachments() const override;
  std::vector<NextHopResult> NextHops() const override { return next_hops_; }
  Stats ReadStats() const override;
  std::vector<TrackedFlow> ListFlows(const model::VipKey& vip, size_t limit) const override;
  uint64_t PurgeFlows(const model::VipKey& vip, const std::optional<IpAddress>& real) override;
  StatusOr<Explanation> Explain(const Frame& frame, const std::string& interface,
                                const Desired* pending) override;
  StatusOr<std::unique_ptr<CaptureReader>> StartCapture(const CaptureFilter& filter) override;
  void StopCapture() override;
  std::map<std::string, uint64_t> MapBytes() const override;
  std::string PinPath() const override { return pins_.path(); }
  std::vector<std::string> Warnings() const override;

 private:
  using Interfaces = std::map<std::string, InterfaceInfo>;

  BpfDataplane(PinDirectory pins, std::unique_ptr<NextHopResolver> resolver, UniqueFd refresh_timer,
               UniqueFd sweep_timer, UniqueFd events, std::unique_ptr<ProbePath> probes);

  static StatusOr<Interfaces> FindInterfaces(const model::Settings& settings);
  std::vector<NextHopResult> ResolveAll(const Desired& desired, const Interfaces& interfaces);
  // As ResolveAll, but gives neighbours that are asked for the first time a moment to answer, so
  // that a new real does not start with lost packets.
  std::vector<NextHopResult> ResolvePatiently(const Desired& desired, const Interfaces& interfaces);
  // The id of the program in force, be it ours or that of an lbd before us; 0: there is none.
  uint32_t ProgramInForce() const;
  // What it does; empty: there is none.
  StatusOr<std::optional<Image>> ImageInForce(uint32_t program_id) const;
  // A forwarder that has `desired` in place and goes on as `image` does, attached to nothing.
  StatusOr<std::unique_ptr<Forwarder>> Build(const Desired& desired,
                                             const std::vector<NextHopResult>& hops,
                                             const std::optional<Image>& image) const;
  // Lets frames leave by all of `interfaces`.
  static void OpenPorts(const Program& program, const Interfaces& interfaces);
  // What keeps a program attached to an interface: of an earlier process, or new.
  StatusOr<std::unique_ptr<XdpHook>> AdoptHook(const InterfaceInfo& info) const;
  StatusOr<std::unique_ptr<XdpHook>> NewHook(const InterfaceInfo& info, const Program& program,
                                             const model::Settings& settings) const;
  // Attaches `program` to the interfaces of `settings` in place of what is there; all or nothing.
  Status Attach(const Program& program, const model::Settings& settings,
                const Interfaces& interfaces);
  // The same for one interface; adds how to take it back to `undo`.
  Status AttachTo(const InterfaceInfo& info, const Program& program,
                  const model::Settings& settings, std::vector<std::function<void()>>& undo);
  void ReattachLost();
  // Brings attachments and next hops in line with what the kernel says now.
  void Refresh();
  // Lets every link run this program.
  Status SwitchTo(int program_fd);
  // Keeps the sweeps coming while there is something to sweep.
  void ScheduleSweep();

  PinDirectory pins_;
  std::unique_ptr<NextHopResolver> resolver_;
  UniqueFd refresh_timer_;  // one refresh for a burst of events
  UniqueFd sweep_timer_;
  UniqueFd events_;                       // epoll over the resolver's events and the timers
  std::unique_ptr<ProbePath> probes_;     // outlives every program
  bool refresh_pending_ = false;          // the timer runs
  std::unique_ptr<Forwarder> forwarder_;  // null until the first Apply()
  std::map<std::string, std::unique_ptr<XdpHook>> hooks_;  // by interface
  struct Capture {
    TracingProgram program;
    std::shared_ptr<std::atomic<bool>> ended;  // told to the reader
  };
  std::optional<Capture> capture_;  // its program runs in place of the forwarder's
  ProgramStats program_before_;     // of the programs before this one
  Desired desired_;
  std::vector<NextHopResult> next_hops_;
  std::string not_taken_over_;  // what was lost since the start; empty: nothing
};

}  // namespace lb::dataplane
