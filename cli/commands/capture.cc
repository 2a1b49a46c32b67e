// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/capture.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/objects.h"
#include "cli/output.h"
#include "cli/pcapng.h"
#include "lbd/config/document_writer.h"

namespace lb::cli {
namespace {

constexpr uint32_t kDefaultSnap = 2048;

StatusOr<v1::CaptureRequest> RequestOf(const CaptureArguments& arguments) {
  v1::CaptureRequest request;
  if (!arguments.vip.empty()) {
    LB_ASSIGN_OR_RETURN(*request.mutable_vip(), ParseVip(arguments.vip));
  }
  request.set_real(arguments.real);
  for (const std::string& verdict : arguments.verdicts) request.add_verdicts(verdict);
  request.set_prefix(arguments.prefix);
  request.set_port(arguments.port.value_or(0));
  request.set_source(arguments.source);
  const size_t slash = arguments.destination.find('/');
  request.set_destination(arguments.destination.substr(0, slash));
  if (slash != std::string::npos) request.set_protocol(arguments.destination.substr(slash + 1));
  request.set_every(arguments.every.value_or(0));
  request.set_rate(arguments.rate.value_or(0));
  request.set_snap(arguments.snap.value_or(0));
  request.set_count(arguments.count.value_or(0));
  request.set_seconds(arguments.seconds.value_or(0));
  return request;
}

// "forward vip=203.0.113.10:443/tcp real=10.0.0.1 slot=17/16384 stable cpu=0 generation=3"
std::string Comment(const v1::CapturedPacket& packet) {
  const v1::Decision& decision = packet.decision();
  std::string text = decision.verdict();
  if (decision.has_vip()) text += " vip=" + ToText(decision.vip());
  if (!decision.source_route().empty()) text += " source_route=" + decision.source_route();
  if (!decision.server_id().empty()) text += " " + decision.server_id();
  if (!decision.real().empty()) text += " real=" + decision.real();
  if (!decision.slot_state().empty()) {
    text += fmt::format(" slot={}/{} {}", decision.slot(), decision.ring_slots(),
                        decision.slot_state());
  }
  if (!decision.recorded().empty()) text += " flow=" + decision.recorded();
  return text + fmt::format(" cpu={} generation={}", decision.cpu(), packet.generation());
}

std::string LocalTime(uint64_t nanos) {
  const auto seconds = static_cast<std::time_t>(nanos / 1'000'000'000);
  std::tm local{};
  localtime_r(&seconds, &local);
  return fmt::format("{:%T}.{:06}", local, nanos % 1'000'000'000 / 1000);
}

void PrintText(const Session& session, const v1::CapturedPacket& packet) {
  if (session.format == Format::kJson) {
    session.io.out << config::ToJson(packet, config::Fields::kAll).dump() << '\n';
    return;
  }
  if (session.format == Format::kYaml) {
    session.io.out << "---\n" << config::FormatYaml(packet, config::Fields::kAll);
    return;
  }
  const v1::Decision& decision = packet.decision();
  const std::string ends = decision.destination().empty()
                               ? std::string("not IP")
                               : fmt::format("{} -> {} {}", decision.source(),
                                             decision.destination(), decision.protocol());
  const std::string flags =
      decision.tcp_flags().empty() ? "" : fmt::format(" [{}]", decision.tcp_flags());
  const Colour colour = decision.action() == "drop" ? Colour::kRed : Colour::kNone;
  session.io.out << fmt::format("{}  {}{} {} bytes: {}\n", LocalTime(packet.time_nanos()), ends,
                                flags, packet.frame_length(),
                                Paint(Comment(packet), colour, session.io.colour));
}

}  // namespace

Status Capture(const Session& session, const CaptureArguments& arguments) {
  LB_ASSIGN_OR_RETURN(const v1::CaptureRequest request, RequestOf(arguments));
  std::ofstream file;
  std::unique_ptr<PcapngWriter> writer;
  if (!arguments.file.empty()) {
    if (arguments.file != "-") {
      file.open(arguments.file, std::ios::binary);
      if (!file) return ErrnoStatus(errno, "write " + arguments.file);
    }
    writer = std::make_unique<PcapngWriter>(arguments.file == "-" ? session.io.out : file,
                                            "lbctl capture", arguments.snap.value_or(kDefaultSnap));
  }
  uint64_t packets = 0;
  v1::CaptureResponse last;
  Interrupt interrupt;
  const Status status = session.client.Watch(request, [&](const v1::CaptureResponse& response) {
    for (const v1::CapturedPacket& packet : response.packets()) {
      ++packets;
      if (!writer) {
        PrintText(session, packet);
        continue;
      }
      const std::string comment = Comment(packet);
      writer->Write({.time_nanos = packet.time_nanos(),
                     .frame = packet.frame(),
                     .length = packet.frame_length(),
                     .outgoing = packet.outgoing(),
                     .comment = comment});
    }
    (file.is_open() ? file : session.io.out).flush();
    last.set_limited(response.limited());
    last.set_lost(response.lost());
    return interrupt.Sleep(std::chrono::milliseconds(0)) && session.io.out.good() &&
           (!file.is_open() || file.good());
  });
  if (file.is_open() && !file.good()) return ErrnoStatus(errno, "write " + arguments.file);
  if (session.format == Format::kTable && (status.ok() || packets > 0)) {
    session.io.err << fmt::format("{} packets captured", HumanCount(packets));
    if (last.limited() > 0) {
      session.io.err << fmt::format(", {} kept back by --rate", HumanCount(last.limited()));
    }
    if (last.lost() > 0) session.io.err << fmt::format(", {} lost", HumanCount(last.lost()));
    session.io.err << '\n';
  }
  return status;
}

}  // namespace lb::cli
