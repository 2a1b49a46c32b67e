// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/state_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <iterator>
#include <utility>

#include "lbd/config/revision_convert.h"
#include "lbd/config/revision_file.h"

namespace lb::config {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "revision-";

// A partial revision pays while it has no more than this share of the VIPs, and a complete one is
// written now and then so that old ones can go.
constexpr size_t kMinPartial = 8;
constexpr size_t kPartialShare = 4;
constexpr uint64_t kMaxPartials = StateStore::kKept / 2;

std::vector<model::VipKey> Keys(const model::Config& config) {
  std::vector<model::VipKey> keys;
  for (const model::Vip& vip : config.vips) keys.push_back(vip.key);
  return keys;
}

}  // namespace

StatusOr<std::unique_ptr<StateStore>> StateStore::Open(const std::string& path) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return ErrnoStatus(errno, "create " + path);
  UniqueFd lock(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid()) return ErrnoStatus(errno, "open " + path);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return FailedPrecondition(fmt::format(
        "another lbd is running with --state_dir {}; stop it first, or name another directory",
        path));
  }
  std::unique_ptr<StateStore> self(new StateStore(path, std::move(lock)));
  fs::remove(self->NewPath(), error);
  for (const uint64_t generation : self->Generations()) {
    const auto header = ReadRevisionHeader(self->PathOf(generation));
    if (!header.ok()) {
      self->PutAside(generation, header.status());
      continue;
    }
    self->bases_[generation] = header->base();
  }
  return self;
}

StatusOr<StateStore::Contents> StateStore::Look(const std::string& path) {
  Contents contents;
  if (access(path.c_str(), R_OK | X_OK) != 0) {
    if (errno == ENOENT) return contents;
    return ErrnoStatus(errno, "open " + path);
  }
  const StateStore store(path, UniqueFd());
  std::vector<uint64_t> generations = store.Generations();
  std::ranges::reverse(generations);
  for (const uint64_t generation : generations) {
    auto revision = store.Load(generation);
    if (revision.ok()) {
      contents.latest = *std::move(revision);
      break;
    }
    contents.problems.push_back(Message(revision.status()));
  }
  return contents;
}

std::string StateStore::PathOf(uint64_t generation) const {
  return fmt::format("{}/{}{:020}", path_, kPrefix, generation);
}

std::vector<uint64_t> StateStore::Generations() const {
  std::vector<uint64_t> generations;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix)) continue;
    uint64_t generation = 0;
    const char* const end = name.data() + name.size();
    const auto [next, problem] = std::from_chars(name.data() + kPrefix.size(), end, generation);
    if (problem == std::errc() && next == end) generations.push_back(generation);
  }
  std::ranges::sort(generations);
  return generations;
}

void StateStore::PutAside(uint64_t generation, const Status& why) {
  const std::string aside = fmt::format("{}/damaged-{}", path_, generation);
  problems_.push_back(fmt::format("{}; it is kept as {}", Message(why), aside));
  rename(PathOf(generation).c_str(), aside.c_str());
  bases_.erase(generation);
}

std::optional<control::Revision> StateStore::Latest() {
  while (!bases_.empty()) {
    const uint64_t generation = bases_.rbegin()->first;
    auto revision = Load(generation);
    if (revision.ok()) return *std::move(revision);
    PutAside(generation, revision.status());
  }
  return std::nullopt;
}

Status StateStore::Prepare(const control::Revision& revision,
                           const std::optional<std::set<model::VipKey>>& touched) {
  Prepared prepared{.generation = revision.info.generation};
  const size_t vips = revision.config.vips.size();
  if (touched && base_ != 0 && prepared.generation - base_ < kMaxPartials &&
      KeepsOrder(revision.config)) {
    std::set<model::VipKey> all = since_base_;
    all.insert(touched->begin(), touched->end());
    if (all.size() <= std::max(kMinPartial, vips / kPartialShare)) {
      prepared.base = base_;
      prepared.touched = std::move(all);
    }
  }
  if (prepared.base == 0) prepared.order = Keys(revision.config);
  RevisionFile file;
  file.header = HeaderToProto(revision.info);
  file.header.set_base(prepared.base);
  file.body = BodyToProto(revision.config, prepared.touched);
  LB_RETURN_IF_ERROR(WriteRevisionFile(NewPath(), file));
  prepared_ = std::move(prepared);
  return OkStatus();
}

Status StateStore::Commit() {
  Prepared prepared = *std::exchange(prepared_, std::nullopt);
  if (const Status status = RenameDurably(NewPath(), PathOf(prepared.generation)); !status.ok()) {
    unlink(NewPath().c_str());
    unlink(PathOf(prepared.generation).c_str());
    return status;
  }
  bases_[prepared.generation] = prepared.base;
  if (prepared.base == 0) {
    base_ = prepared.generation;
    base_order_ = std::move(prepared.order);
  }
  since_base_ = prepared.touched.value_or(std::set<model::VipKey>());
  RemoveOld();
  return OkStatus();
}

bool StateStore::KeepsOrder(const model::Config& config) const {
  const std::vector<model::VipKey> order = Keys(config);
  const std::set<model::VipKey> now(order.begin(), order.end());
  const std::set<model::VipKey> then(base_order_.begin(), base_order_.end());
  std::vector<model::VipKey> completed;
  std::ranges::copy_if(base_order_, std::back_inserter(completed),
                       [&](const model::VipKey& key) { return now.contains(key); });
  std::ranges::copy_if(order, std::back_inserter(completed),
                       [&](const model::VipKey& key) { return !then.contains(key); });
  return completed == order;
}

void StateStore::Abandon() {
  prepared_.reset();
  unlink(NewPath().c_str());
}

void StateStore::RemoveOld() {
  if (bases_.size() <= kKept) return;
  std::set<uint64_t> needed{base_};
  const auto first_kept = std::prev(bases_.end(), kKept);
  for (auto it = first_kept; it != bases_.end(); ++it) needed.insert(it->second);
  for (auto it = bases_.begin(); it != first_kept;) {
    if (needed.contains(it->first)) {
      ++it;
      continue;
    }
    unlink(PathOf(it->first).c_str());
    it = bases_.erase(it);
  }
}

Status StateStore::Confirm() {
  if (bases_.empty()) return OkStatus();
  const std::string path = PathOf(bases_.rbegin()->first);
  LB_ASSIGN_OR_RETURN(RevisionFile file, ReadRevisionFile(path));
  file.header.clear_confirm_by_unix_micros();
  file.header.clear_restores();
  LB_RETURN_IF_ERROR(WriteRevisionFile(NewPath(), file));
  return RenameDurably(NewPath(), path);
}

StatusOr<std::vector<control::RevisionInfo>> StateStore::List(size_t limit) const {
  std::vector<control::RevisionInfo> infos;
  std::vector<uint64_t> generations = Generations();
  std::ranges::reverse(generations);
  for (const uint64_t generation : generations) {
    if (infos.size() == limit) break;
    const auto header = ReadRevisionHeader(PathOf(generation));
    if (header.ok()) infos.push_back(InfoFromProto(*header));  // else it has just been removed
  }
  return infos;
}

StatusOr<control::Revision> StateStore::Load(uint64_t generation) const {
  const auto missing = [&](const Status& status) {
    return absl::IsNotFound(status)
               ? NotFound(fmt::format("there is no revision {} (any more)", generation))
               : status;
  };
  auto file = ReadRevisionFile(PathOf(generation));
  if (!file.ok()) return missing(file.status());
  if (file->header.base() != 0) {
    auto base = ReadRevisionFile(PathOf(file->header.base()));
    if (!base.ok()) return missing(base.status());
    file->body = Complete(std::move(base->body), file->body);
  }
  LB_ASSIGN_OR_RETURN(model::Config config, ConfigFromBody(file->body, generation));
  return control::Revision{InfoFromProto(file->header), std::move(config)};
}

}  // namespace lb::config
