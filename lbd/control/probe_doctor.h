// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "lbd/control/controller.h"
#include "lbd/dataplane/finding.h"
#include "lbd/health/port_range.h"

namespace lb::control {

// What of this host matters to probes.
struct ProbeHost {
  std::optional<health::PortClash> clash;
  std::vector<IpAddress> foreign_sources;  // those of the configuration that no interface has
};

ProbeHost ReadProbeHost(const model::ProbeSettings& settings);

// Whether reals are probed as `config` wants it. `report` says at least Detail::kTotals.
std::vector<dataplane::Finding> ExamineProbes(const model::Config& config,
                                              const HealthReport& report, const ProbeHost& host);

// What health makes of the VIPs.
std::vector<dataplane::Finding> ExamineHealth(const model::Config& config, const HealthBook& book);

}  // namespace lb::control
