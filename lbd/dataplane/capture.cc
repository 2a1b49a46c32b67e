// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/capture.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <tuple>

namespace lb::dataplane {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;  // ns
// What comes at once: the packets of a connection that starts. As so much time of the rate.
constexpr uint64_t kBurst = kSecond / 8;

void Copy(const IpAddress& address, __u32 (&out)[4]) {
  std::memcpy(out, address.mapped().data(), sizeof(out));
}

void Whole(__u32 (&mask)[4]) { std::ranges::fill(mask, ~0u); }

void CopyPrefix(const IpPrefix& prefix, __u32 (&address)[4], __u32 (&mask)[4]) {
  Copy(prefix.address(), address);
  const int bits = prefix.length() + (prefix.is_v4() ? 96 : 0);
  for (int word = 0; word < 4; ++word) {
    const int left = std::clamp(bits - 32 * word, 0, 32);
    mask[word] = htonl(left == 0 ? 0 : ~0u << (32 - left));
  }
}

lb_filter Encode(const CaptureFilter& filter) {
  lb_filter out{};
  for (const uint32_t verdict : filter.verdicts) out.verdicts |= 1ull << (verdict & 63);
  if (filter.verdicts.empty()) out.verdicts = ~0ull;
  out.every = filter.every;
  out.interval = kSecond / filter.rate;
  out.tolerance = kBurst;
  out.snap = filter.snap;
  if (filter.vip) {
    CopyPrefix(filter.vip->prefix(), out.destination, out.destination_mask);
    if (filter.vip->protocol != model::Protocol::kTcpUdp) {
      out.protocol = static_cast<uint8_t>(filter.vip->protocol);
    }
    std::tie(out.first_port, out.last_port) = filter.vip->ports();
    out.host_bits = filter.vip->host_bits;
    out.by_vip = 1;
  }
  if (filter.flow) {
    Copy(filter.flow->source, out.source);
    Copy(filter.flow->destination, out.destination);
    Whole(out.source_mask);
    Whole(out.destination_mask);
    out.protocol = filter.flow->protocol;
    const uint16_t ports[2] = {htons(filter.flow->source_port),
                               htons(filter.flow->destination_port)};
    std::memcpy(&out.ports, ports, sizeof(ports));
    out.by_flow = 1;
  }
  if (filter.prefix) CopyPrefix(*filter.prefix, out.prefix, out.prefix_mask);
  // IPv4 addresses are v4-mapped, and so among those of a short IPv6 prefix.
  out.v6 =
      (filter.prefix && !filter.prefix->is_v4()) || (filter.vip && !filter.vip->address.is_v4());
  if (filter.port) out.port_be = htons(*filter.port);
  if (filter.real) {
    Copy(*filter.real, out.real);
    out.by_real = 1;
  }
  return out;
}

int OnSample(void* context, void* data, size_t size) {
  const SampleRing::Visitor& visitor = **static_cast<const SampleRing::Visitor**>(context);
  visitor({static_cast<const uint8_t*>(data), size});
  return 0;
}

}  // namespace

void SampleRing::Close::operator()(ring_buffer* ring) const { ring_buffer__free(ring); }

StatusOr<SampleRing> SampleRing::Create(int map_fd) {
  SampleRing ring;
  ring.visitor_ = std::make_unique<const Visitor*>(nullptr);
  ring.ring_.reset(ring_buffer__new(map_fd, OnSample, ring.visitor_.get(), nullptr));
  if (ring.ring_ == nullptr) return ErrnoStatus(errno, "open the ring buffer of samples");
  return ring;
}

Status SampleRing::Drain(const Visitor& visitor) {
  *visitor_ = &visitor;
  const int result = ring_buffer__consume(ring_.get());
  *visitor_ = nullptr;
  return result < 0 ? ErrnoStatus(-result, "read the ring buffer of samples") : OkStatus();
}

StatusOr<TracingProgram> TracingProgram::Load(const lb_config& config,
                                              std::span<const MappedArray* const> tables,
                                              std::span<const PrefixMap* const> prefix_maps,
                                              const CaptureFilter& filter,
                                              std::optional<uint32_t> priority,
                                              const ProbePath* probes, int fragments_fd) {
  TracingProgram self;
  const uint32_t cpus = config.cpu_mask + 1;
  LB_ASSIGN_OR_RETURN(self.filter_, MappedArray::Create("lb_filter", sizeof(lb_filter)));
  LB_ASSIGN_OR_RETURN(self.state_,
                      MappedArray::Create("lb_tracing", sizeof(lb_tracing) * size_t{cpus}));
  self.filter_.as<lb_filter>()[0] = Encode(filter);
  std::vector<const MappedArray*> all(tables.begin(), tables.end());
  all.push_back(&self.filter_);
  all.push_back(&self.state_);
  LB_ASSIGN_OR_RETURN(self.program_, Program::Load(config, all, prefix_maps, priority,
                                                   Program::Build::kTrace, probes, fragments_fd));
  return self;
}

Status TracingProgram::Drain(const SampleRing::Visitor& visitor) const {
  LB_ASSIGN_OR_RETURN(SampleRing ring, SampleRing::Create(samples_fd()));
  return ring.Drain(visitor);
}

StatusOr<std::unique_ptr<CaptureReader>> CaptureReader::Create(
    const TracingProgram& program, std::span<const MappedArray* const> tables) {
  LB_ASSIGN_OR_RETURN(SampleRing ring, SampleRing::Create(program.samples_fd()));
  LB_ASSIGN_OR_RETURN(TraceDecoder decoder, TraceDecoder::Create(tables));
  LB_ASSIGN_OR_RETURN(MappedArray state, program.state().OpenAgain());
  return std::unique_ptr<CaptureReader>(
      new CaptureReader(std::move(ring), std::move(decoder), std::move(state)));
}

Status CaptureReader::Drain(const std::function<void(const Decision&)>& visitor) {
  return ring_.Drain([&](std::span<const uint8_t> sample) {
    if (const auto decision = decoder_.Decode(sample)) visitor(*decision);
  });
}

uint64_t CaptureReader::limited() const {
  uint64_t sum = 0;
  for (const lb_tracing& cpu : state_.as<lb_tracing>()) {
    sum += __atomic_load_n(&cpu.limited, __ATOMIC_RELAXED);
  }
  return sum;
}

uint64_t CaptureReader::lost() const {
  uint64_t sum = 0;
  for (const lb_tracing& cpu : state_.as<lb_tracing>()) {
    sum += __atomic_load_n(&cpu.lost, __ATOMIC_RELAXED);
  }
  return sum;
}

}  // namespace lb::dataplane
