// SPDX-License-Identifier: Apache-2.0
// Transactions: what a change may be made conditional on, what is told about it, and what a journal
// keeps.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "lbd/control/controller.h"
#include "tests/support/fake_dataplane.h"
#include "tests/unit/model/config_testing.h"

namespace lb::control {
namespace {

using model::Ip;
using model::Key;
using model::VipOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kWeb = "192.0.2.1:80/tcp";

// A journal in memory, shared by the controllers of a test: a restart finds it.
struct Memory {
  std::map<uint64_t, Revision> kept;
  std::optional<Revision> prepared;
  Status prepare;  // what is answered
  Status commit;
};

class FakeJournal : public Journal {
 public:
  explicit FakeJournal(Memory& memory) : memory_(memory) {}

  Status Prepare(const Revision& revision,
                 const std::optional<std::set<model::VipKey>>& /*touched*/) override {
    if (memory_.prepare.ok()) memory_.prepared = revision;
    return memory_.prepare;
  }
  Status Commit() override {
    if (memory_.commit.ok()) memory_.kept[memory_.prepared->info.generation] = *memory_.prepared;
    memory_.prepared.reset();
    return memory_.commit;
  }
  void Abandon() override { memory_.prepared.reset(); }
  Status Confirm() override {
    memory_.kept.rbegin()->second.info.confirm_by.reset();
    return OkStatus();
  }
  StatusOr<std::vector<RevisionInfo>> List(size_t limit) const override {
    std::vector<RevisionInfo> infos;
    for (auto it = memory_.kept.rbegin(); it != memory_.kept.rend() && infos.size() < limit; ++it) {
      infos.push_back(it->second.info);
    }
    return infos;
  }
  StatusOr<Revision> Load(uint64_t generation) const override {
    const auto it = memory_.kept.find(generation);
    if (it == memory_.kept.end()) return NotFound("no such revision");
    return it->second;
  }

 private:
  Memory& memory_;
};

class TransactionTest : public ::testing::Test {
 protected:
  TransactionTest() { Start(); }

  void Start() {
    controller_.reset();
    auto plane = std::make_unique<testing::FakeDataplane>();
    plane_ = plane.get();
    controller_ =
        Controller::Create(std::move(plane), std::make_unique<FakeJournal>(memory_)).value();
    if (!memory_.kept.empty()) {
      EXPECT_TRUE(controller_->Restore(memory_.kept.rbegin()->second).ok());
    }
  }
  static model::ReplaceConfig Web(const std::vector<std::string_view>& reals) {
    return {model::ConfigOf({VipOf(kWeb, reals)}), std::nullopt};
  }
  Outcome Apply(const model::Change& change, const ChangeOptions& options = {}) {
    auto outcome = controller_->Apply(change, options);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.value_or(Outcome());
  }
  Status Refused(const model::Change& change, const ChangeOptions& options = {}) {
    const auto before = controller_->snapshot();
    const size_t applied = plane_->applied().size();
    const size_t kept = memory_.kept.size();
    const auto outcome = controller_->Apply(change, options);
    EXPECT_FALSE(outcome.ok());
    EXPECT_EQ(controller_->snapshot(), before);
    EXPECT_EQ(plane_->applied().size(), applied);
    EXPECT_EQ(memory_.kept.size(), kept);
    return outcome.status();
  }
  model::AddReal AddReal(std::string_view address) { return {Key(kWeb), {.address = Ip(address)}}; }

  Memory memory_;
  testing::FakeDataplane* plane_ = nullptr;
  std::unique_ptr<Controller> controller_;
};

TEST_F(TransactionTest, AStaleEtagIsRefused) {
  const Outcome first = Apply(Web({"10.0.0.1"}));
  EXPECT_EQ(first.etag, controller_->snapshot()->etag());
  const Outcome second = Apply(AddReal("10.0.0.2"), {.etag = first.etag});
  const Status stale = Refused(AddReal("10.0.0.3"), {.etag = first.etag});
  EXPECT_EQ(stale.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(Message(stale), HasSubstr(second.etag));
}

TEST_F(TransactionTest, AnEtagHoldsOverARestart) {
  const Outcome outcome = Apply(Web({"10.0.0.1"}));
  Start();
  EXPECT_EQ(controller_->snapshot()->etag(), outcome.etag);
  EXPECT_EQ(Apply(AddReal("10.0.0.2"), {.etag = outcome.etag}).generation, 2u);
}

TEST_F(TransactionTest, TheSameRequestIsMadeOnce) {
  Apply(Web({"10.0.0.1"}));
  const ChangeOptions options{.request_id = "a", .request_digest = 1};
  const Outcome outcome = Apply(AddReal("10.0.0.2"), options);
  EXPECT_EQ(Apply(AddReal("10.0.0.2"), options).etag, outcome.etag);
  EXPECT_EQ(controller_->snapshot()->generation, 2u);
  Start();
  EXPECT_EQ(Apply(AddReal("10.0.0.2"), options).etag, outcome.etag);
  const Status other = Refused(AddReal("10.0.0.3"), {.request_id = "a", .request_digest = 2});
  EXPECT_EQ(other.code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(TransactionTest, ARefusedRequestCanBeTriedAgain) {
  Apply(Web({"10.0.0.1"}));
  const ChangeOptions options{.request_id = "a", .request_digest = 1};
  plane_->AnswerWith(Unavailable("not now"));
  EXPECT_EQ(Message(Refused(AddReal("10.0.0.2"), options)), "not now");
  plane_->AnswerWith(OkStatus());
  EXPECT_EQ(Apply(AddReal("10.0.0.2"), options).generation, 2u);
}

TEST_F(TransactionTest, WhatWouldMoveIsPredicted) {
  Apply(Web({"10.0.0.1", "10.0.0.2"}));
  plane_->stats.vips = {{.key = Key(kWeb),
                         .reals = {{.address = Ip("10.0.0.1"), .flows = 5},
                                   {.address = Ip("10.0.0.2"), .flows = 7}}}};
  const Outcome outcome = Apply(Web({"10.0.0.2"}), {.validate_only = true});
  ASSERT_THAT(outcome.disruptions, SizeIs(1));
  EXPECT_NEAR(outcome.disruptions[0].moved_slots, 0.5, 0.02);
  EXPECT_EQ(outcome.disruptions[0].lost_flows, 5u);
  EXPECT_THAT(Apply(model::DeleteVip{Key(kWeb)}, {.validate_only = true}).disruptions,
              ElementsAre(Disruption{Key(kWeb), 1, 12}));
  model::ReplaceConfig key = Web({"10.0.0.1", "10.0.0.2"});
  key.hash_key = HashKey{1, 2};
  EXPECT_THAT(Apply(key, {.validate_only = true}).disruptions,
              ElementsAre(Disruption{Key(kWeb), 1, 12}));
  const model::UpdateVip hash{.key = Key(kWeb), .hash = model::HashPolicy::kSource};
  EXPECT_THAT(Apply(hash, {.validate_only = true}).disruptions,
              ElementsAre(Disruption{Key(kWeb), 1, 12}));
  EXPECT_THAT(Apply(Web({"10.0.0.2", "10.0.0.1"}), {.validate_only = true}).disruptions, IsEmpty());
  EXPECT_EQ(controller_->snapshot()->generation, 1u);
}

TEST_F(TransactionTest, MoreDisruptionOrMoreChangesThanAllowedAreRefused) {
  Apply(Web({"10.0.0.1", "10.0.0.2"}));
  const Status moved = Refused(Web({"10.0.0.2"}), {.max_disruption = 0.1});
  EXPECT_EQ(moved.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(moved), HasSubstr(kWeb));
  const Status many = Refused(Web({"10.0.0.3", "10.0.0.4"}), {.max_changes = 3});
  EXPECT_EQ(Message(many), "4 changes, but options.max_changes is 3");
  Apply(Web({"10.0.0.2"}), {.max_disruption = 0.6, .max_changes = 1});
}

TEST_F(TransactionTest, AnUnconfirmedChangeGoesBackByItself) {
  Apply(Web({"10.0.0.1"}));
  const Outcome outcome = Apply(Web({"10.0.0.2"}), {.confirm_within = std::chrono::seconds(1)});
  EXPECT_TRUE(outcome.confirm_by);
  EXPECT_EQ(Refused(AddReal("10.0.0.3")).code(), absl::StatusCode::kFailedPrecondition);
  while (controller_->snapshot()->generation < 3) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(controller_->snapshot()->config, Web({"10.0.0.1"}).config);
  EXPECT_FALSE(controller_->snapshot()->confirm_by);
  EXPECT_EQ(memory_.kept[3].info.author, "lbd");
  Apply(AddReal("10.0.0.3"));
}

TEST_F(TransactionTest, AConfirmedChangeStays) {
  Apply(Web({"10.0.0.1"}));
  const Outcome outcome = Apply(Web({"10.0.0.2"}), {.confirm_within = std::chrono::seconds(1)});
  EXPECT_EQ(controller_->Confirm("1-0", "").status().code(), absl::StatusCode::kAborted);
  ASSERT_TRUE(controller_->Confirm(outcome.etag, "alice").ok());
  EXPECT_FALSE(memory_.kept[2].info.confirm_by);
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_EQ(controller_->snapshot()->generation, 2u);
  EXPECT_FALSE(controller_->Confirm(std::nullopt, "").ok());
}

TEST_F(TransactionTest, AnUnconfirmedChangeGoesBackAfterARestartToo) {
  Apply(Web({"10.0.0.1"}));
  Apply(Web({"10.0.0.2"}), {.confirm_within = std::chrono::seconds(1)});
  Start();
  EXPECT_TRUE(controller_->snapshot()->confirm_by);
  while (controller_->snapshot()->generation < 3) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(controller_->snapshot()->config, Web({"10.0.0.1"}).config);
}

TEST_F(TransactionTest, RevisionsAreListedAndComeBack) {
  Apply(Web({"10.0.0.1"}), {.author = "alice", .comment = "first"});
  Apply(Web({"10.0.0.2"}), {.author = "bob"});
  Apply(Web({"10.0.0.3"}), {.confirm_within = std::chrono::hours(1)});
  const auto revisions = controller_->ListRevisions(10);
  ASSERT_THAT(*revisions, SizeIs(3));
  EXPECT_EQ((*revisions)[2].author, "alice");
  EXPECT_THAT((*revisions)[1].changes, ElementsAre(HasSubstr("- 192.0.2.1:80/tcp real"),
                                                   HasSubstr("+ 192.0.2.1:80/tcp real")));
  // Also while one waits to be confirmed.
  EXPECT_EQ(controller_->Rollback(std::nullopt, {})->generation, 4u);
  EXPECT_EQ(controller_->snapshot()->config, Web({"10.0.0.2"}).config);
  EXPECT_EQ(controller_->Rollback(1, {})->generation, 5u);
  EXPECT_EQ(controller_->snapshot()->config, Web({"10.0.0.1"}).config);
  EXPECT_EQ(controller_->Rollback(77, {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(memory_.kept[5].info.comment, "back to generation 1");
}

TEST_F(TransactionTest, WhatTheJournalCannotKeepIsNotMade) {
  Apply(Web({"10.0.0.1"}));
  memory_.prepare = ResourceExhausted("no space left");
  EXPECT_EQ(Message(Refused(Web({"10.0.0.2"}))), "no space left");
  memory_.prepare = OkStatus();
  memory_.commit = Unavailable("rename");
  const auto before = controller_->snapshot();
  EXPECT_FALSE(controller_->Apply(Web({"10.0.0.2"})).ok());
  EXPECT_EQ(controller_->snapshot(), before);
  EXPECT_EQ(plane_->applied().back().services, before->services);
  memory_.commit = OkStatus();
  EXPECT_EQ(Apply(Web({"10.0.0.2"})).generation, 2u);
}

TEST_F(TransactionTest, WhatChangesNothingMakesNoRevision) {
  Apply(Web({"10.0.0.1"}));
  EXPECT_EQ(Apply(Web({"10.0.0.1"})).generation, 1u);
  EXPECT_THAT(memory_.kept, SizeIs(1));
}

TEST_F(TransactionTest, ManySmallChangesAtOnceAreAllMadeAndTheBadOnesAreTold) {
  Apply(Web({"10.0.0.1"}));
  constexpr int kThreads = 8;
  constexpr int kEach = 20;
  std::vector<std::thread> threads;
  std::atomic<int> refused = 0;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const model::AddReal add{Key(kWeb), {.address = Ip(fmt::format("10.1.{}.{}", t, i + 1))}};
        if (!controller_->Apply(add).ok()) ++refused;
        // The weight is wrong, and must not take others down with it.
        model::AddReal bad = add;
        bad.real.address = Ip("10.9.9.9");
        bad.real.weight = 2'000'000;
        if (!controller_->Apply(bad).ok()) ++refused;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, kThreads * kEach);
  EXPECT_EQ(controller_->snapshot()->config.vips[0].reals.size(), 1u + kThreads * kEach);
  EXPECT_EQ(memory_.kept.rbegin()->second.config, controller_->snapshot()->config);
}

TEST_F(TransactionTest, AnySequenceOfChangesLeadsToWhatARebuildWould) {
  std::mt19937 random(11);
  Apply(Web({"10.0.0.1"}));
  for (int step = 0; step < 200; ++step) {
    const auto key = Key(fmt::format("192.0.2.{}:80/tcp", random() % 3 + 1));
    const auto real = Ip(fmt::format("10.0.0.{}", random() % 5 + 1));
    const model::Change changes[] = {
        model::AddVip{{.key = key}},
        model::DeleteVip{key},
        model::AddReal{key, {.address = real, .weight = static_cast<uint32_t>(random() % 3 * 50)}},
        model::AddReal{key, {.address = real}},
        model::UpdateReal{.vip = key, .address = real, .weight = random() % 200},
        model::UpdateReal{.vip = key, .address = real, .state = model::RealState::kDraining},
        model::UpdateReal{.vip = key, .address = real, .state = model::RealState::kActive},
        model::DeleteReal{key, real}};
    (void)controller_->Apply(changes[random() % std::size(changes)]);
  }
  const auto snapshot = controller_->snapshot();
  const auto incremental = plane_->applied().back();
  EXPECT_EQ(memory_.kept.rbegin()->second.config, snapshot->config);
  Start();
  EXPECT_EQ(controller_->snapshot()->config, snapshot->config);
  const auto rebuilt = plane_->applied().back();
  ASSERT_EQ(rebuilt.services.size(), incremental.services.size());
  for (size_t i = 0; i < rebuilt.services.size(); ++i) {
    EXPECT_EQ(rebuilt.services[i].vip, incremental.services[i].vip);
    EXPECT_EQ(*rebuilt.services[i].ring, *incremental.services[i].ring);
  }
}

}  // namespace
}  // namespace lb::control
