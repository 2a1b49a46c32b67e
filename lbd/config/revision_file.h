// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lb/state/revision.pb.h"
#include "lbd/base/status.h"

// One revision in one file: a magic line, then header and body, each as length, checksum (SipHash)
// and protobuf. A file is complete or it is not there: it is written beside its place, synced, and
// renamed.
namespace lb::config {

struct RevisionFile {
  state::RevisionHeader header;
  state::RevisionBody body;
};

// FAILED_PRECONDITION where the file is torn or damaged.
StatusOr<RevisionFile> ReadRevisionFile(const std::string& path);
StatusOr<state::RevisionHeader> ReadRevisionHeader(const std::string& path);

// Creates or replaces `path`, readable by the owner only, and syncs it; on error there is no file.
Status WriteRevisionFile(const std::string& path, const RevisionFile& revision);
// Puts `from` in the place of `to`, durably.
Status RenameDurably(const std::string& from, const std::string& to);

}  // namespace lb::config
