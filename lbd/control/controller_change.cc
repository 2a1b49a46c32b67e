// SPDX-License-Identifier: Apache-2.0
// How the controller makes changes.
#include <absl/cleanup/cleanup.h>
#include <fmt/format.h>
#include <glog/logging.h>

#include <algorithm>
#include <variant>

#include "lbd/control/controller.h"
#include "lbd/model/diff.h"
#include "lbd/model/disruption.h"

namespace lb::control {
namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr std::chrono::seconds kRetry{5};
constexpr size_t kMaxBatch = 1024;
constexpr size_t kMaxChangesKept = 1000;

// Whether a change can be made together with others: it says nothing about what the result must be.
bool IsSmall(const model::Change& change, const ChangeOptions& options) {
  return model::SubjectOf(change) != nullptr && !options.validate_only && !options.max_disruption &&
         !options.max_changes;
}

std::vector<std::string> Cut(std::vector<std::string> lines) {
  if (lines.size() > kMaxChangesKept) {
    const size_t more = lines.size() - kMaxChangesKept;
    lines.resize(kMaxChangesKept);
    lines.push_back(fmt::format("and {} more changes", more));
  }
  return lines;
}

// A request with the same words each, in the order of the first.
template <typename Get>
std::string JoinDistinct(size_t count, Get get) {
  std::vector<std::string> seen;
  for (size_t i = 0; i < count; ++i) {
    const std::string& word = get(i);
    if (!word.empty() && std::ranges::find(seen, word) == seen.end()) seen.push_back(word);
  }
  return fmt::format("{}", fmt::join(seen, ", "));
}

Status NoJournal() {
  return FailedPrecondition("lbd keeps no revisions: it runs without --state_dir");
}

}  // namespace

StatusOr<Outcome> Controller::Apply(const model::Change& change, const ChangeOptions& options) {
  return Ask(change, options, /*rolls_back=*/false);
}

StatusOr<Outcome> Controller::Ask(const model::Change& change, const ChangeOptions& options,
                                  bool rolls_back) {
  Request request{change, options, rolls_back};
  auto answer = request.answer.get_future();
  bool first = false;
  {
    MutexLock lock(queue_mutex_);
    first = queue_.empty();
    queue_.push_back(&request);
  }
  if (first) loop_->Post([this] { ServeQueue(); });
  return answer.get();
}

void Controller::ServeQueue() {
  std::vector<Request*> queue;
  {
    MutexLock lock(queue_mutex_);
    queue.swap(queue_);
  }
  for (auto begin = queue.begin(); begin != queue.end();) {
    auto end = std::find_if_not(begin, queue.end(), [](const Request* request) {
      return IsSmall(request->change, request->options);
    });
    end = std::min(end, begin + std::min<ptrdiff_t>(kMaxBatch, queue.end() - begin));
    if (end == begin) ++end;
    Serve({begin, end});
    begin = end;
  }
}

Status Controller::Admit(const Request& request, const Snapshot& before, bool first) const {
  if (unconfirmed_ && !request.rolls_back && !request.options.validate_only) {
    return FailedPrecondition(fmt::format(
        "generation {} waits to be confirmed; confirm it (lbctl config confirm) or take "
        "it back (lbctl config rollback) before other changes",
        before.generation));
  }
  if (request.options.etag && (!first || *request.options.etag != before.etag())) {
    return Status(absl::StatusCode::kAborted,
                  fmt::format("options.etag: {} is not in force any more; read the configuration "
                              "again (now {}) and make the change for that",
                              *request.options.etag, before.etag()));
  }
  return OkStatus();
}

void Controller::Serve(std::span<Request* const> requests) {
  const std::shared_ptr<const Snapshot> before = snapshot();
  Draft draft(before->config);
  std::vector<Request*> made;
  std::vector<Request*> again;  // one with the same id is under way
  std::vector<std::vector<std::string>> lines;
  for (Request* request : requests) {
    const ChangeOptions& options = request->options;
    const auto known = request_log_.Find(options.request_id, options.request_digest);
    if (!known.ok() || *known) {
      request->answer.set_value(known.ok() ? StatusOr<Outcome>(**known) : known.status());
      continue;
    }
    const bool twin =
        !options.request_id.empty() && std::ranges::any_of(made, [&](const Request* other) {
          return other->options.request_id == options.request_id;
        });
    if (twin) {
      again.push_back(request);
      continue;
    }
    Status status = Admit(*request, *before, made.empty());
    if (status.ok()) {
      auto changed = draft.Make(request->change);
      status = changed.status();
      if (status.ok()) lines.push_back(*std::move(changed));
    }
    if (status.ok()) {
      made.push_back(request);
    } else {
      request->answer.set_value(status);
    }
  }
  if (!made.empty()) {
    auto outcome = Commit(before, draft, made);
    if (!outcome.ok() && made.size() > 1) {
      for (Request* request : made) Serve({&request, 1});
    } else {
      for (size_t i = 0; i < made.size(); ++i) {
        Request& request = *made[i];
        if (!outcome.ok()) {
          request.answer.set_value(outcome.status());
          continue;
        }
        Outcome own = *outcome;
        if (made.size() > 1) own.changes = std::move(lines[i]);
        const ChangeOptions& options = request.options;
        if (!options.validate_only)
          request_log_.Add(options.request_id, options.request_digest, own);
        request.answer.set_value(std::move(own));  // the last use of the request
      }
    }
  }
  for (Request* request : again) Serve({&request, 1});
}

std::vector<Disruption> Controller::Predict(const Snapshot& before, const model::Config& config,
                                            const dataplane::Desired& desired) const {
  std::vector<Disruption> disruptions;
  const dataplane::Stats stats = dataplane_->ReadStats();
  const bool other_hash = before.config.settings.hash_key != config.settings.hash_key ||
                          before.config.settings.flow_hash != config.settings.flow_hash;
  for (const dataplane::Service& service : before.services) {
    Disruption disruption{.vip = service.vip.key};
    const auto after = std::ranges::find(desired.services, service.vip.key,
                                         [](const dataplane::Service& s) { return s.vip.key; });
    const bool gone = after == desired.services.end();
    const bool all_move = gone || other_hash || service.vip.hash != after->vip.hash;
    disruption.moved_slots =
        all_move ? 1 : model::MovedShare(service.vip, *service.ring, after->vip, *after->ring);
    const auto counters =
        std::ranges::find(stats.vips, service.vip.key, &dataplane::VipCounters::key);
    if (counters != stats.vips.end()) {
      for (const dataplane::RealCounter& real : counters->reals) {
        const bool kept = !all_move && after->vip.FindReal(real.address) != nullptr;
        if (!kept) disruption.lost_flows += real.flows;
      }
    }
    if (disruption.moved_slots > 0 || disruption.lost_flows > 0) disruptions.push_back(disruption);
  }
  return disruptions;
}

StatusOr<Outcome> Controller::Commit(const std::shared_ptr<const Snapshot>& before,
                                     const Draft& draft, std::span<Request* const> requests) {
  const model::Config& config = draft.config();
  LB_RETURN_IF_ERROR(draft.Check());
  LB_RETURN_IF_ERROR(CanProbe(config));
  const ChangeOptions& options = requests.front()->options;
  Outcome outcome{.generation = before->generation,
                  .etag = before->etag(),
                  .changes = model::Diff(before->config, config),
                  .confirm_by = before->confirm_by};
  if (options.max_changes && outcome.changes.size() > *options.max_changes) {
    return FailedPrecondition(fmt::format("{} changes, but options.max_changes is {}",
                                          outcome.changes.size(), *options.max_changes));
  }
  const auto now = steady_clock::now();
  const Lifecycle lifecycle_before = lifecycle_;
  const HealthBook health_before = health_;
  absl::Cleanup take_back = [&] {
    lifecycle_ = lifecycle_before;
    health_ = health_before;
  };
  lifecycle_.Update(before->config, config, now);
  if (draft.touched() && before->generation > 0) {
    health_.UpdateVips(config, now, *draft.touched());
  } else {
    health_.Update(
        config, now,
        before->generation == 0 ? dataplane_->Serving() : std::set<HealthBook::RealId>());
  }
  dataplane::Desired desired =
      DesiredNow(config, now, behind_ ? nullptr : before.get(), draft.touched());
  if (options.validate_only || options.max_disruption) {
    outcome.disruptions = Predict(*before, config, desired);
  }
  rings_.Trim();  // here, so that refused changes do not pile up theirs
  for (const Disruption& disruption : outcome.disruptions) {
    if (!options.max_disruption || disruption.moved_slots <= *options.max_disruption) continue;
    return FailedPrecondition(fmt::format(
        "{:.2f} % of the slots of {} would move, but options.max_disruption is {:.2f} %",
        disruption.moved_slots * 100, disruption.vip.ToString(), *options.max_disruption * 100));
  }
  if (options.validate_only || (config == before->config && before->generation > 0)) return outcome;

  auto after = std::make_shared<Snapshot>();
  after->generation = before->generation + 1;
  after->time = std::chrono::floor<std::chrono::microseconds>(system_clock::now());
  after->applied_at = now;
  if (options.confirm_within) after->confirm_by = after->time + *options.confirm_within;
  const size_t count = requests.size();
  Revision revision{
      .info = {.generation = after->generation,
               .time = after->time,
               .author = JoinDistinct(count, [&](size_t i) { return requests[i]->options.author; }),
               .comment =
                   JoinDistinct(count, [&](size_t i) { return requests[i]->options.comment; }),
               .changes = Cut(outcome.changes),
               .confirm_by = after->confirm_by,
               .restores = after->confirm_by ? before->generation : 0},
      .config = config};
  for (const Request* request : requests) {
    const ChangeOptions& asked = request->options;
    if (asked.request_id.empty()) continue;
    revision.info.requests.push_back({asked.request_id, asked.request_digest});
  }
  LB_RETURN_IF_ERROR(Install(revision, draft, desired, *before));
  std::move(take_back).Cancel();
  behind_ = false;

  unconfirmed_.reset();
  if (options.confirm_within) {
    unconfirmed_ = Unconfirmed{before->config, before->generation, now + *options.confirm_within};
  }
  after->config = std::move(revision.config);
  after->services = std::move(desired.services);
  ScheduleTimer(now);
  StartProbing(after->config);
  LOG(INFO) << "Generation " << after->generation << " is in force"
            << (revision.info.author.empty() ? "" : ", by " + revision.info.author);
  for (const std::string& line : revision.info.changes) LOG(INFO) << "  " << line;
  Tell(before->config, *after, revision.info.changes);
  LookSoon();
  outcome.generation = after->generation;
  outcome.etag = after->etag();
  outcome.confirm_by = after->confirm_by;
  Publish(std::move(after));
  return outcome;
}

Status Controller::Install(const Revision& revision, const Draft& draft,
                           const dataplane::Desired& desired, const Snapshot& before) {
  if (journal_ != nullptr) LB_RETURN_IF_ERROR(journal_->Prepare(revision, draft.touched()));
  if (const Status status = dataplane_->Apply(desired); !status.ok()) {
    if (journal_ != nullptr) journal_->Abandon();
    return status;
  }
  if (journal_ == nullptr) return OkStatus();
  const Status status = journal_->Commit();
  if (status.ok()) return status;
  const Status undone =
      dataplane_->Apply({before.config.settings, before.services, before.config.probing()});
  LOG_IF(ERROR, !undone.ok()) << "Taking a change back: " << Message(undone);
  return status;
}

Status Controller::Restore(const Revision& revision) {
  return Call([&] { return RestoreOnLoop(revision); });
}

Status Controller::RestoreOnLoop(const Revision& revision) {
  const auto now = steady_clock::now();
  lifecycle_.Update({}, revision.config, now);
  std::set<HealthBook::RealId> serving = dataplane_->Serving();
  if (const Status status = CanProbe(revision.config); !status.ok()) {
    LOG(ERROR) << "Every real counts as up until it was probed: " << Message(status);
    for (const model::Vip& vip : revision.config.vips) {
      for (const model::Real& real : vip.AllReals()) serving.emplace(vip.key, real.address);
    }
  }
  health_.Update(revision.config, now, serving);
  dataplane::Desired desired = DesiredNow(revision.config, now);
  LB_RETURN_IF_ERROR(dataplane_->Apply(desired));
  if (journal_ != nullptr) {
    LB_ASSIGN_OR_RETURN(std::vector<RevisionInfo> infos, journal_->List(SIZE_MAX));
    std::ranges::reverse(infos);
    for (const RevisionInfo& info : infos) {
      const Snapshot named{.generation = info.generation, .time = info.time};
      const Outcome outcome{.generation = info.generation, .etag = named.etag()};
      for (const auto& request : info.requests)
        request_log_.Add(request.id, request.digest, outcome);
    }
  }
  auto restored = std::make_shared<Snapshot>();
  restored->config = revision.config;
  restored->generation = revision.info.generation;
  restored->time = revision.info.time;
  restored->applied_at = now;
  restored->services = std::move(desired.services);
  if (revision.info.confirm_by && journal_ != nullptr) {
    Unconfirmed waiting{.generation_before = revision.info.restores};
    if (waiting.generation_before != 0) {
      LB_ASSIGN_OR_RETURN(Revision before, journal_->Load(waiting.generation_before));
      waiting.before = std::move(before.config);
    }
    waiting.deadline = now + (*revision.info.confirm_by - system_clock::now());
    unconfirmed_ = std::move(waiting);
    restored->confirm_by = revision.info.confirm_by;
  }
  LOG(INFO) << "Generation " << restored->generation << " is in force again"
            << (unconfirmed_ ? ", and waits to be confirmed" : "");
  events_.Publish({.kind = events::Kind::kConfig,
                   .message = fmt::format("generation {} is in force again: lbd was started",
                                          restored->generation),
                   .generation = restored->generation});
  LookSoon();
  StartProbing(revision.config);
  Publish(std::move(restored));
  ScheduleTimer(now);
  return OkStatus();
}

StatusOr<uint64_t> Controller::Confirm(const std::optional<std::string>& etag,
                                       const std::string& author) {
  return Call([&] { return ConfirmOnLoop(etag, author); });
}

StatusOr<uint64_t> Controller::ConfirmOnLoop(const std::optional<std::string>& etag,
                                             const std::string& author) {
  const std::shared_ptr<const Snapshot> before = snapshot();
  if (!unconfirmed_) return FailedPrecondition("no configuration waits to be confirmed");
  if (etag && *etag != before->etag()) {
    return Status(
        absl::StatusCode::kAborted,
        fmt::format("etag: {} does not wait to be confirmed; {} does", *etag, before->etag()));
  }
  if (journal_ != nullptr) LB_RETURN_IF_ERROR(journal_->Confirm());
  unconfirmed_.reset();
  ScheduleTimer(steady_clock::now());
  auto after = std::make_shared<Snapshot>(*before);
  after->confirm_by.reset();
  const std::string message = fmt::format("generation {} is confirmed{}", after->generation,
                                          author.empty() ? "" : " by " + author);
  LOG(INFO) << message;
  events_.Publish(
      {.kind = events::Kind::kConfig, .message = message, .generation = after->generation});
  Publish(std::move(after));
  return before->generation;
}

void Controller::TakeBack() {
  const model::Change change =
      model::ReplaceConfig{unconfirmed_->before, unconfirmed_->before.settings.hash_key};
  const uint64_t generation = snapshot()->generation;
  const ChangeOptions options{
      .author = "lbd",
      .comment =
          fmt::format("generation {} was not confirmed in time; that of generation {} is back",
                      generation, unconfirmed_->generation_before)};
  LOG(WARNING) << options.comment;
  events_.Publish(
      {.kind = events::Kind::kConfig, .message = options.comment, .generation = generation});
  Request request{change, options, /*rolls_back=*/true};
  auto answer = request.answer.get_future();
  Request* only = &request;
  Serve({&only, 1});
  const auto outcome = answer.get();
  if (outcome.ok()) return;
  LOG(ERROR) << "Taking generation " << generation << " back: " << Message(outcome.status());
  unconfirmed_->deadline = steady_clock::now() + kRetry;
}

StatusOr<Outcome> Controller::Rollback(std::optional<uint64_t> generation,
                                       const ChangeOptions& options) {
  if (journal_ == nullptr) return NoJournal();
  if (!generation) {
    LB_ASSIGN_OR_RETURN(const std::vector<RevisionInfo> latest, journal_->List(2));
    if (latest.size() < 2) return FailedPrecondition("there is no revision before this one");
    generation = latest[1].generation;
  }
  LB_ASSIGN_OR_RETURN(const model::Config config, LoadRevision(*generation));
  ChangeOptions named = options;
  if (named.comment.empty()) named.comment = fmt::format("back to generation {}", *generation);
  return Ask(model::ReplaceConfig{config, config.settings.hash_key}, named, /*rolls_back=*/true);
}

StatusOr<std::vector<RevisionInfo>> Controller::ListRevisions(size_t limit) const {
  if (journal_ == nullptr) return NoJournal();
  return journal_->List(limit);
}

StatusOr<model::Config> Controller::LoadRevision(uint64_t generation) const {
  const auto current = snapshot();
  if (generation == current->generation) return current->config;
  if (journal_ == nullptr) return NoJournal();
  LB_ASSIGN_OR_RETURN(Revision revision, journal_->Load(generation));
  return std::move(revision.config);
}

}  // namespace lb::control
