// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/drain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/objects.h"
#include "cli/output.h"

namespace lb::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// What still leads to a draining real.
struct Remainder {
  uint64_t flows = 0;
  uint32_t slots = 0;  // that lead unknown flows there

  bool none() const { return flows == 0 && slots == 0; }
  std::string ToString() const {
    return fmt::format("{} tracked flow{} and {} slot{} left", HumanCount(flows),
                       flows == 1 ? "" : "s", HumanCount(slots), slots == 1 ? "" : "s");
  }
};

class Drain {
 public:
  Drain(const Session& session, const v1::VipKey& vip, const std::string& address,
        const DrainPace& pace)
      : session_(session), vip_(vip), address_(address), pace_(pace) {}

  // Returns when nothing is left.
  Status Wait(std::optional<milliseconds> timeout) {
    Interrupt interrupt;
    auto something_left = start_;  // when there was last
    while (true) {
      LB_RETURN_IF_ERROR(Look());
      const auto now = Clock::now();
      if (!left_.none()) something_left = now;
      if (now - something_left >= pace_.confirm) {
        EndLine();
        return OkStatus();
      }
      Speak(now);
      auto pause = pace_.look;
      if (timeout) {
        const auto remaining = std::chrono::ceil<milliseconds>(*timeout - (now - start_));
        if (remaining <= remaining.zero()) return StillDraining(absl::StatusCode::kAborted);
        pause = std::min(pause, remaining);
      }
      if (!interrupt.Sleep(pause)) return StillDraining(absl::StatusCode::kCancelled);
    }
  }

  uint64_t seconds() const {
    return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start_).count();
  }

  nlohmann::ordered_json ToJson(uint64_t generation, bool drained) const {
    return {{"generation", generation},   {"vip", ToText(vip_)},  {"real", address_},
            {"drained", drained},         {"flows", left_.flows}, {"leaving_slots", left_.slots},
            {"waited_seconds", seconds()}};
  }

 private:
  Status Look() {
    v1::ListRealsRequest request;
    *request.mutable_vip() = vip_;
    const auto reals = session_.client.Call(request);
    if (!reals.ok()) {
      EndLine();
      return reals.status();
    }
    const auto real = std::ranges::find_if(reals->reals(), [&](const v1::RealStatus& row) {
      return row.real().address() == address_;
    });
    if (real == reals->reals().end()) {
      EndLine();
      return NotFound(fmt::format("{} was deleted meanwhile", RealName(vip_, address_)));
    }
    if (StateOf(real->real()) != v1::REAL_STATE_DRAINING) {
      EndLine();
      return FailedPrecondition(fmt::format("{} does not drain any more, it is {}",
                                            RealName(vip_, address_),
                                            ToText(real->real().state())));
    }
    left_ = {.flows = real->flows(), .slots = real->leaving_slots()};
    return OkStatus();
  }

  void Speak(Clock::time_point now) {
    if (session_.format != Format::kTable) return;
    const std::string line = fmt::format("{}, {}", left_.ToString(), HumanDuration(seconds()));
    if (session_.io.terminal) {
      session_.io.out << "\r\033[K" << line << std::flush;
      line_open_ = true;
    } else if (now >= speak_at_) {
      session_.io.out << line << std::endl;
      speak_at_ = now + pace_.speak;
    }
  }

  // Leaves the line of the progress to the next one.
  void EndLine() {
    if (line_open_) session_.io.out << "\r\033[K" << std::flush;
    line_open_ = false;
  }

  Status StillDraining(absl::StatusCode code) {
    EndLine();
    return Status(
        code, fmt::format("{} is still draining after {}, and goes on: {}",
                          RealName(vip_, address_), HumanDuration(seconds()), left_.ToString()));
  }

  const Session& session_;
  const v1::VipKey& vip_;
  const std::string& address_;
  DrainPace pace_;
  Clock::time_point start_ = Clock::now();
  Remainder left_;
  Clock::time_point speak_at_;
  bool line_open_ = false;
};

}  // namespace

Status DrainReal(const Session& session, const DrainArguments& arguments, const DrainPace& pace) {
  v1::UpdateRealRequest request;
  LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  LB_ASSIGN_OR_RETURN(*request.mutable_real(), ParseReal(arguments.address));
  request.mutable_real()->set_state(v1::REAL_STATE_DRAINING);
  if (arguments.deadline) request.mutable_real()->set_drain_seconds(*arguments.deadline);
  request.mutable_update_mask()->add_paths("state");
  WriteOptions(arguments.change, *request.mutable_options());
  LB_ASSIGN_OR_RETURN(const v1::UpdateRealResponse response, session.client.Call(request));
  const std::string name = RealName(request.vip(), request.real().address());
  if (!arguments.wait) {
    ReportChange(session, arguments.change, response, "draining " + name);
    return OkStatus();
  }
  if (session.format == Format::kTable) session.io.out << "draining " << name << std::endl;

  Drain drain(session, request.vip(), request.real().address(), pace);
  std::optional<milliseconds> timeout;
  if (arguments.wait_timeout) timeout = milliseconds(std::llround(*arguments.wait_timeout * 1000));
  const Status status = drain.Wait(timeout);
  const bool known = status.ok() || absl::IsAborted(status) || absl::IsCancelled(status);
  if (known) session.PrintForScript(drain.ToJson(response.generation(), status.ok()));
  LB_RETURN_IF_ERROR(status);
  if (session.format == Format::kTable) {
    session.io.out << fmt::format("drained {} in {}; it can be taken away\n", name,
                                  HumanDuration(drain.seconds()));
  }
  return OkStatus();
}

}  // namespace lb::cli
