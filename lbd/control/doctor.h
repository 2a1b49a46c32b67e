// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "lbd/control/controller.h"
#include "lbd/dataplane/doctor.h"
#include "lbd/dataplane/finding.h"

namespace lb::control {

// What of a configuration keeps packets from reals, whatever the host.
std::vector<dataplane::Finding> ExamineConfig(const model::Config& config);

// The interfaces of a configuration. `attachments`: what lbd has attached.
std::vector<dataplane::Finding> ExamineInterfaces(
    const model::Settings& settings, std::span<const dataplane::Attachment> attachments,
    const dataplane::HostFacts& host);

// Everything that may stand between packets and reals on this host: kernel, interfaces, next hops,
// configuration. Only looks.
std::vector<dataplane::Finding> Examine(Controller& controller);

}  // namespace lb::control
