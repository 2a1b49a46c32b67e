// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/contenders.h"

#include <linux/bpf.h>

#include <cerrno>
#include <map>
#include <vector>

#include "bench_ipip.skel.h"
#include "bench_xdp_tx.skel.h"

namespace lb::bench {

std::string_view ToString(Contender contender) {
  switch (contender) {
    case Contender::kXdpTx:
      return "xdp_tx";
    case Contender::kIpip:
      return "ipip";
    case Contender::kLbd:
      return "lbd";
    case Contender::kSampled:
      return "lbd_sampled";
  }
  return "?";
}

void Contenders::Destroy::operator()(bench_xdp_tx_bpf* skeleton) const {
  bench_xdp_tx_bpf::destroy(skeleton);
}

void Contenders::Destroy::operator()(bench_ipip_bpf* skeleton) const {
  bench_ipip_bpf::destroy(skeleton);
}

StatusOr<Contenders> Contenders::Load(const Case& c, const dataplane::NextHop& hop) {
  Contenders self(c);
  self.xdp_tx_.reset(bench_xdp_tx_bpf::open_and_load());
  if (self.xdp_tx_ == nullptr) return ErrnoStatus(errno, "load bench_xdp_tx");

  self.ipip_.reset(bench_ipip_bpf::open());
  if (self.ipip_ == nullptr) return ErrnoStatus(errno, "open bench_ipip");
  self.ipip_->rodata->bench_outer_v6 = c.v6;
  if (bench_ipip_bpf::load(self.ipip_.get()) != 0) return ErrnoStatus(errno, "load bench_ipip");

  LB_ASSIGN_OR_RETURN(self.forwarder_, dataplane::Forwarder::Create(SettingsOf(c), FeaturesOf(c)));
  const std::vector<dataplane::Service> services = ServicesOf(c);
  std::map<IpAddress, dataplane::NextHop> hops;
  for (const dataplane::Service& service : services) {
    for (const model::Real& real : service.vip.reals) hops[real.address] = hop;
  }
  LB_RETURN_IF_ERROR(self.forwarder_->Update(services));
  self.forwarder_->SetNextHops(hops);
  // As `lbctl capture --every 1000` has it.
  LB_ASSIGN_OR_RETURN(self.sampled_, dataplane::TracingProgram::Load(self.forwarder_->config(),
                                                                     self.forwarder_->maps(),
                                                                     self.forwarder_->prefix_maps(),
                                                                     {.every = 1000, .snap = 128}));
  return self;
}

int Contenders::fd(Contender contender) const {
  switch (contender) {
    case Contender::kXdpTx:
      return bpf_program__fd(xdp_tx_->progs.bench_xdp_tx);
    case Contender::kIpip:
      return bpf_program__fd(ipip_->progs.bench_ipip);
    case Contender::kLbd:
      return forwarder_->program().fd();
    case Contender::kSampled:
      return sampled_.program().fd();
  }
  return -1;
}

Effect Contenders::expected(Contender contender) const {
  const Effect untouched{XDP_TX, static_cast<uint32_t>(FrameOf(case_).size())};
  const Effect encapsulated{XDP_TX, untouched.length + (case_.v6 ? 40 : 20)};
  switch (contender) {
    case Contender::kXdpTx:
      return untouched;
    case Contender::kIpip:
      return encapsulated;
    case Contender::kLbd:
    case Contender::kSampled:
      return case_.verdict == LB_FORWARD ? encapsulated : Effect{XDP_PASS, untouched.length};
  }
  return {};
}

uint64_t Contenders::Tracked() const {
  forwarder_->Sweep();
  uint64_t flows = 0;
  for (const auto& vip : forwarder_->ReadVipCounters()) flows += vip.tracking.flows;
  return flows;
}

}  // namespace lb::bench
