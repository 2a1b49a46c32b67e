// SPDX-License-Identifier: Apache-2.0
// The flow table from both sides: lb/flow_table.h, which the program runs, and the sweeps.
#include "lbd/model/flow_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "tests/unit/model/tracking_testing.h"

namespace lb::model {
namespace {

constexpr uint32_t kTick = 1000;
constexpr FlowPolicy kHour{.idle = 3600};
constexpr FlowPolicy kAlways{.idle = 3600, .always = true};
constexpr uint16_t kTrack = LB_RING_TRACK;

std::vector<uint64_t> EntriesOf(std::span<lb_flow_bucket> buckets) {
  std::vector<uint64_t> entries;
  FlowTable(buckets).Visit([&](uint64_t entry) { entries.push_back(entry); });
  return entries;
}

// One bucket and four slots: 0 stable, 1 changing, 2 settling, 3 changing and down to nobody.
class FlowRealTest : public testing::Test {
 protected:
  FlowRealTest() {
    memory_.ring = {1, 1 | kTrack, 2 | kTrack, 1 | kTrack};
    memory_.next = {1, 2, 2, 0};
  }
  uint16_t Send(size_t slot, lb_flow_event event, uint32_t number = 1, uint32_t tick = kTick) {
    return Forward(memory_, buckets_, HashOf(slot, 4, number), event, tick, always_);
  }
  // Records `number` as if it had come while the slot's next owner was `real`.
  void Record(size_t slot, uint16_t real, uint32_t number = 1, uint32_t tick = kTick) {
    const uint64_t fingerprint = lb_flow_fingerprint(HashOf(slot, 4, number));
    ASSERT_TRUE(lb_flow_insert(buckets_.data(), lb_flow_entry(fingerprint, tick, real), tick, 0));
  }
  std::vector<uint16_t> Reals() {
    std::vector<uint16_t> reals;
    for (const uint64_t entry : EntriesOf(buckets_)) reals.push_back(lb_flow_entry_real(entry));
    return reals;
  }
  bool Refused(size_t slot) const { return memory_.refused[slot] != 0; }
  void Fill(size_t slot) {
    for (uint32_t number = 101; number <= 108; ++number) Record(slot, 9, number, kTick - 10);
  }

  using Numbers = std::vector<uint16_t>;
  SlotMemory memory_{4};
  std::vector<lb_flow_bucket> buckets_{1};
  bool always_ = false;
};

TEST_F(FlowRealTest, StableSlotRecordsNothing) {
  for (const lb_flow_event event : {LB_FLOW_OPEN, LB_FLOW_DATA, LB_FLOW_END, LB_FLOW_LOOKUP}) {
    EXPECT_EQ(Send(0, event), 1);
  }
  EXPECT_EQ(Reals(), Numbers{});
}

TEST_F(FlowRealTest, ChangingSlotSendsNewConnectionsToTheNextOwner) {
  EXPECT_EQ(Send(1, LB_FLOW_OPEN), 2);
  EXPECT_EQ(Send(1, LB_FLOW_DATA), 2);
  EXPECT_EQ(Send(1, LB_FLOW_END), 2);
  EXPECT_EQ(Reals(), Numbers{2});
}

TEST_F(FlowRealTest, ChangingSlotKeepsUnknownFlowsAndRecordsThem) {
  EXPECT_EQ(Send(1, LB_FLOW_DATA), 1);
  EXPECT_EQ(Reals(), Numbers{1});
  memory_.ring[1] = 2 | kTrack;  // the window is over
  EXPECT_EQ(Send(1, LB_FLOW_DATA), 1);
  EXPECT_EQ(Send(1, LB_FLOW_DATA, 2), 2);
}

TEST_F(FlowRealTest, EndOfAnUnknownFlowIsRecordedAsSuch) {
  EXPECT_EQ(Send(1, LB_FLOW_END), 1);
  ASSERT_EQ(EntriesOf(buckets_).size(), 1u);
  EXPECT_NE(EntriesOf(buckets_)[0] & LB_FLOW_ENDED, 0u);
}

TEST_F(FlowRealTest, LookupRecordsNothingAndRefreshesNothing) {
  EXPECT_EQ(Send(1, LB_FLOW_LOOKUP), 1);
  EXPECT_EQ(Reals(), Numbers{});
  Record(1, 2, 1, kTick - 9);
  const auto before = EntriesOf(buckets_);
  EXPECT_EQ(Send(1, LB_FLOW_LOOKUP), 2);
  EXPECT_EQ(EntriesOf(buckets_), before);
}

TEST_F(FlowRealTest, SettlingSlotKnowsItsFlowsAndRecordsNoOther) {
  Record(2, 1);
  EXPECT_EQ(Send(2, LB_FLOW_DATA), 1);
  EXPECT_EQ(Send(2, LB_FLOW_DATA, 2), 2);
  EXPECT_EQ(Send(2, LB_FLOW_OPEN, 3), 2);
  EXPECT_EQ(Send(2, LB_FLOW_END, 4), 2);
  EXPECT_EQ(Reals(), Numbers{1});
}

TEST_F(FlowRealTest, NewConnectionReplacesTheEntryOfAnOlderOne) {
  Record(2, 1);
  EXPECT_EQ(Send(2, LB_FLOW_OPEN), 2);
  EXPECT_EQ(Send(2, LB_FLOW_DATA), 2);
  EXPECT_EQ(Reals(), Numbers{2});
  Record(1, 5, 7);
  EXPECT_EQ(Send(1, LB_FLOW_END, 7), 5);
  EXPECT_EQ(Send(1, LB_FLOW_OPEN, 7), 2);
  EXPECT_EQ(Send(1, LB_FLOW_DATA, 7), 2);
  for (const uint64_t entry : EntriesOf(buckets_)) EXPECT_EQ(entry & LB_FLOW_ENDED, 0u);
}

TEST_F(FlowRealTest, ReopenedConnectionStaysWhereItsNamesakeWas) {
  Record(2, 1, 1, kTick - 5);
  EXPECT_EQ(Send(2, LB_FLOW_END), 1);
  EXPECT_EQ(Send(2, LB_FLOW_REOPEN), 1);
  EXPECT_EQ(Send(2, LB_FLOW_REOPEN, 2), 2);
  ASSERT_EQ(Reals(), Numbers{1});
  EXPECT_EQ(EntriesOf(buckets_)[0] & LB_FLOW_ENDED, 0u);
}

TEST_F(FlowRealTest, RetransmittedOpeningGoesWhereTheFirstWent) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Send(1, LB_FLOW_OPEN), 2);
  EXPECT_EQ(Reals(), Numbers{2});
}

TEST_F(FlowRealTest, FullBucketKeepsANewConnectionWithTheOldOwner) {
  Fill(1);
  EXPECT_EQ(Send(1, LB_FLOW_OPEN), 1);
  EXPECT_TRUE(Refused(1));
  EXPECT_EQ(Send(1, LB_FLOW_DATA), 1);
  EXPECT_EQ(Reals(), Numbers(8, 9));
}

TEST_F(FlowRealTest, FullBucketRefusesUnknownFlowsButNotKnownOnes) {
  Fill(1);
  EXPECT_EQ(Send(1, LB_FLOW_DATA, 101), 9);
  EXPECT_FALSE(Refused(1));
  EXPECT_EQ(Send(1, LB_FLOW_OPEN, 102), 2);  // in the place of its namesake
  EXPECT_FALSE(Refused(1));
  EXPECT_EQ(Send(1, LB_FLOW_DATA, 1), 1);
  EXPECT_TRUE(Refused(1));
}

TEST_F(FlowRealTest, FullBucketDoesNotMatterToStableAndSettlingSlots) {
  Fill(2);
  EXPECT_EQ(Send(2, LB_FLOW_OPEN), 2);
  EXPECT_EQ(Send(2, LB_FLOW_DATA), 2);
  EXPECT_FALSE(Refused(2));
}

TEST_F(FlowRealTest, WithoutAPartOfTheTableTheOldOwnerKeepsAll) {
  buckets_.clear();
  EXPECT_EQ(Send(1, LB_FLOW_OPEN), 1);
  EXPECT_EQ(Send(1, LB_FLOW_DATA), 1);
  EXPECT_TRUE(Refused(1));
}

TEST_F(FlowRealTest, NobodyNextIsNobodyForNewConnectionsOnly) {
  EXPECT_EQ(Send(3, LB_FLOW_OPEN), 0);
  EXPECT_EQ(Send(3, LB_FLOW_DATA), 1);
  EXPECT_EQ(Send(3, LB_FLOW_OPEN), 0);
  EXPECT_EQ(Reals(), Numbers{1});
}

TEST_F(FlowRealTest, PacketsRefreshTheAgeAndKeepThatItEnded) {
  Send(1, LB_FLOW_OPEN, 1, kTick);
  Send(1, LB_FLOW_DATA, 1, kTick + 5);
  EXPECT_EQ(lb_flow_entry_age(EntriesOf(buckets_)[0], kTick + 6), 1u);
  Send(1, LB_FLOW_END, 1, kTick + 7);
  Send(1, LB_FLOW_DATA, 1, kTick + 9);
  EXPECT_EQ(lb_flow_entry_age(EntriesOf(buckets_)[0], kTick + 9), 0u);
  EXPECT_NE(EntriesOf(buckets_)[0] & LB_FLOW_ENDED, 0u);
}

TEST_F(FlowRealTest, AlwaysRecordsEveryFlow) {
  always_ = true;
  EXPECT_EQ(Send(2, LB_FLOW_OPEN, 1), 2);
  EXPECT_EQ(Send(2, LB_FLOW_DATA, 2), 2);
  EXPECT_EQ(Reals(), (Numbers{2, 2}));
  memory_.ring[2] = 5 | kTrack;
  memory_.next[2] = 5;
  EXPECT_EQ(Send(2, LB_FLOW_DATA, 1), 2);
  EXPECT_EQ(Send(2, LB_FLOW_DATA, 3), 5);
}

TEST_F(FlowRealTest, AlwaysMakesRoomByTheOldest) {
  always_ = true;
  for (uint32_t number = 1; number <= 8; ++number) {
    Send(2, LB_FLOW_DATA, number, kTick + (number == 5 ? 0 : number));
  }
  EXPECT_EQ(Send(2, LB_FLOW_DATA, 9, kTick + 20), 2);
  EXPECT_FALSE(Refused(2));
  std::set<uint64_t> there;
  for (const uint64_t entry : EntriesOf(buckets_)) there.insert(lb_flow_entry_fingerprint(entry));
  EXPECT_EQ(there.size(), 8u);
  EXPECT_FALSE(there.contains(lb_flow_fingerprint(HashOf(2, 4, 5))));
  EXPECT_TRUE(there.contains(lb_flow_fingerprint(HashOf(2, 4, 9))));
}

TEST_F(FlowRealTest, AlwaysMakesRoomByOneThatHasEndedBeforeTheOldest) {
  always_ = true;
  for (uint32_t number = 1; number <= 8; ++number) {
    Send(2, LB_FLOW_DATA, number, kTick + number);
  }
  Send(2, LB_FLOW_END, 6, kTick + 19);
  EXPECT_EQ(Send(2, LB_FLOW_DATA, 9, kTick + 20), 2);
  std::set<uint64_t> there;
  for (const uint64_t entry : EntriesOf(buckets_)) there.insert(lb_flow_entry_fingerprint(entry));
  EXPECT_EQ(there.size(), 8u);
  EXPECT_FALSE(there.contains(lb_flow_fingerprint(HashOf(2, 4, 6))));
  EXPECT_TRUE(there.contains(lb_flow_fingerprint(HashOf(2, 4, 1))));
}

TEST(FlowEntryTest, HoldsWhatItIsMadeOf) {
  const uint64_t fingerprint = (uint64_t{1} << 40) - 1;
  const uint64_t entry = lb_flow_entry(fingerprint, 0x1234, LB_RING_REAL_MASK);
  EXPECT_EQ(lb_flow_entry_fingerprint(entry), fingerprint);
  EXPECT_EQ(lb_flow_entry_real(entry | LB_FLOW_ENDED), uint32_t{LB_RING_REAL_MASK});
  EXPECT_EQ(lb_flow_entry_age(entry, 0x1234), 0u);
  EXPECT_EQ(entry & LB_FLOW_ENDED, 0u);
}

TEST(FlowEntryTest, AgeWrapsAndAFutureOneIsYoung) {
  for (uint32_t now = 0; now < 512; ++now) {
    for (uint32_t age = 0; age < 256; ++age) {
      const uint64_t entry = lb_flow_entry(1, now - age, 1);
      ASSERT_EQ(lb_flow_entry_age(entry, now), age <= LB_FLOW_MAX_AGE ? age : 0u);
    }
  }
  EXPECT_EQ(lb_flow_entry_age(lb_flow_entry(1, 101, 1), 100), 0u);  // another CPU's clock
}

TEST(FlowTicksTest, CoverTheSecondsAndFitTheAge) {
  EXPECT_EQ(FlowTicks(1), 1u);
  EXPECT_EQ(FlowTicks(17), 1u);
  EXPECT_EQ(FlowTicks(18), 2u);
  EXPECT_EQ(FlowTicks(3600), 210u);
  EXPECT_LT(FlowTicks(4200), LB_FLOW_MAX_AGE);
}

class FlowTableTest : public testing::Test {
 protected:
  FlowTableTest() {
    memory_.ring = {1, 1 | kTrack, 2 | kTrack, 3 | kTrack};
    memory_.next = {1, 2, 2, 4};
  }
  void Put(size_t slot, uint16_t real, uint32_t number, uint32_t age = 0, bool ended = false) {
    const uint64_t hash = HashOf(slot, 4, number, number % buckets_.size());
    const uint64_t entry = lb_flow_entry(lb_flow_fingerprint(hash), kTick - age, real);
    ASSERT_TRUE(lb_flow_insert(&buckets_[number % buckets_.size()],
                               ended ? entry | LB_FLOW_ENDED : entry, kTick, 0));
  }
  FlowTable::Census Sweep(const FlowPolicy& policy = kHour) {
    return table_.Sweep(Slots(memory_.words(), 0), policy, kTick);
  }

  SlotMemory memory_{4};
  std::vector<lb_flow_bucket> buckets_ = std::vector<lb_flow_bucket>(4);
  FlowTable table_{buckets_};
};

TEST_F(FlowTableTest, CountsWhatItKeeps) {
  Put(1, 1, 1);
  Put(1, 2, 2);
  Put(2, 1, 3);
  Put(3, 1, 4);
  Put(3, 4, 5);
  const FlowTable::Census census = Sweep();
  EXPECT_EQ(census.entries, 5u);
  EXPECT_EQ(census.foreign, (std::vector<uint32_t>{0, 1, 1, 2}));
  EXPECT_EQ(census.per_real, (std::vector<uint32_t>{0, 3, 1, 0, 1}));
  EXPECT_EQ(census.expired, 0u);
}

TEST_F(FlowTableTest, SweepRemovesWhatIsIdleForLongerThanThePolicySays) {
  Put(1, 2, 1, FlowTicks(3600));
  Put(1, 2, 2, FlowTicks(3600) + 1);
  const FlowTable::Census census = Sweep();
  EXPECT_EQ(census.entries, 1u);
  EXPECT_EQ(census.expired, 1u);
  EXPECT_EQ(lb_flow_entry_fingerprint(EntriesOf(buckets_).at(0)),
            lb_flow_fingerprint(HashOf(1, 4, 1)));
}

// 30 seconds at least, whenever in a tick the packet came.
TEST_F(FlowTableTest, SweepRemovesWhatHasEndedSoon) {
  for (uint32_t age = 0; age < 5; ++age) Put(1, 2, age, age, true);
  EXPECT_EQ(Sweep().entries, 3u);
  static_assert((uint64_t{2} << LB_FLOW_TICK_SHIFT) > uint64_t{30} * 1'000'000'000);
}

TEST_F(FlowTableTest, SweepRemovesWhatItsSlotSaysByItself) {
  Put(0, 1, 1);  // stable
  Put(0, 2, 2);  // stable, and yet another: nothing asks for it any more
  Put(2, 2, 3);  // settling
  Put(1, 1, 4);  // changing: unknown after the flip
  const FlowTable::Census census = Sweep();
  EXPECT_EQ(census.entries, 1u);
  EXPECT_EQ(census.expired, 0u);
  EXPECT_EQ(lb_flow_entry_real(EntriesOf(buckets_).at(0)), 1u);
}

TEST_F(FlowTableTest, SweepOfAlwaysKeepsWhatItsSlotSaysByItself) {
  Put(2, 2, 1);
  Put(2, 2, 2, FlowTicks(3600) + 1);
  const FlowTable::Census census = Sweep(kAlways);
  EXPECT_EQ(census.entries, 1u);
  EXPECT_EQ(census.foreign[2], 0u);
}

TEST_F(FlowTableTest, SweepKeepsEntriesOfClocksThatAreAhead) {
  Put(1, 2, 1, static_cast<uint32_t>(-1));
  Put(1, 2, 2, static_cast<uint32_t>(-5));
  EXPECT_EQ(Sweep().entries, 2u);
}

// A packet refreshes what the sweep is about to remove: whoever is first, they agree.
TEST_F(FlowTableTest, SweepAndPacketsAgreeOnWhatIsThere) {
  memory_.ring[1] = 1 | kTrack;
  memory_.next[1] = 2;
  const uint64_t hash = HashOf(1, 4, 1);
  const uint64_t stale = lb_flow_entry(lb_flow_fingerprint(hash), kTick - 3, 5) | LB_FLOW_ENDED;
  const Slots slots(memory_.words(), 0);
  std::atomic<bool> stop = false;
  std::thread sweeper([&] {
    while (!stop) table_.Sweep(slots, kHour, kTick);
  });
  // A connection with the addresses of one that has ended.
  int swept = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::atomic_ref<__u64>(buckets_[0].entries[0]).store(stale);
    memory_.refused[1] = 0;
    const uint16_t opened = Forward(memory_, buckets_, hash, LB_FLOW_OPEN, kTick);
    ASSERT_EQ(Forward(memory_, buckets_, hash, LB_FLOW_DATA, kTick), opened) << i;
    ASSERT_TRUE(opened == 2 || memory_.refused[1] != 0) << i;
    std::atomic_ref<__u64>(buckets_[0].entries[0]).store(0);
  }
  // A packet of a connection that was about to be forgotten: the real it went to stays its real.
  for (int i = 0; i < 300'000; ++i) {
    std::atomic_ref<__u64>(buckets_[0].entries[0]).store(stale);
    const uint16_t first = Forward(memory_, buckets_, hash, LB_FLOW_DATA, kTick);
    ASSERT_EQ(Forward(memory_, buckets_, hash, LB_FLOW_DATA, kTick), first) << i;
    swept += first == 1;
    std::atomic_ref<__u64>(buckets_[0].entries[0]).store(0);
  }
  stop = true;
  sweeper.join();
  EXPECT_LT(swept, 300'000);
}

// Two CPUs meet the same unknown flows at the same time.
TEST_F(FlowTableTest, OneFlowOnTwoCpusIsOneEntry) {
  memory_.ring[1] = 1 | kTrack;
  memory_.next[1] = 2;
  for (int round = 0; round < 300; ++round) {
    std::vector<lb_flow_bucket> buckets(256);
    std::atomic<int> ready = 0;
    const auto send = [&] {
      ++ready;
      while (ready < 2) {
      }
      for (uint32_t number = 0; number < 512; ++number) {
        const uint64_t hash = HashOf(1, 4, number, number % 256);
        lb_flow_event event = LB_FLOW_OPEN;
        lb_flow_record record{};
        EXPECT_NE(lb_flow_real(&buckets[number % 256], lb_flow_fingerprint(hash), 1, 2, event,
                               kTick, 0, &record),
                  0u);
      }
    };
    std::thread other(send);
    send();
    other.join();
    ASSERT_EQ(EntriesOf(buckets).size(), 512u) << round;
  }
}

TEST_F(FlowTableTest, PurgeRemovesTheEntriesOfTheseReals) {
  Put(1, 1, 1);
  Put(1, 2, 2);
  Put(2, 1, 3, 0, true);
  EXPECT_EQ(table_.Purge([](uint16_t real) { return real == 1; }), 2u);
  ASSERT_EQ(EntriesOf(buckets_).size(), 1u);
  EXPECT_EQ(lb_flow_entry_real(EntriesOf(buckets_)[0]), 2u);
  EXPECT_EQ(table_.Purge([](uint16_t) { return true; }), 1u);
  EXPECT_EQ(table_.Purge([](uint16_t) { return true; }), 0u);
}

class TakeoverTest : public testing::Test {
 protected:
  static uint64_t Entry(uint32_t number, uint16_t real, uint32_t age) {
    return lb_flow_entry(lb_flow_fingerprint(HashOf(1, 4, number)), kTick - age, real);
  }
  void Put(std::vector<lb_flow_bucket>& buckets, uint64_t entry, size_t bucket = 0) {
    ASSERT_TRUE(lb_flow_insert(&buckets[bucket], entry, kTick, 0));
  }

  std::vector<lb_flow_bucket> from_ = std::vector<lb_flow_bucket>(2);
  std::vector<lb_flow_bucket> to_ = std::vector<lb_flow_bucket>(2);
};

TEST_F(TakeoverTest, CopyIsTheSame) {
  for (uint32_t number = 1; number <= 8; ++number) Put(from_, Entry(number, 1, number));
  Put(from_, Entry(9, 2, 0) | LB_FLOW_ENDED, 1);
  FlowTable(to_).CopyFrom(from_);
  EXPECT_EQ(EntriesOf(to_), EntriesOf(from_));
}

TEST_F(TakeoverTest, RefreshTakesTheYoungerAgeOfTheSameReal) {
  Put(from_, Entry(1, 1, 5));
  Put(to_, Entry(1, 1, 3));
  Put(from_, Entry(2, 1, 3));
  Put(to_, Entry(2, 1, 5));
  Put(from_, Entry(4, 1, 3));
  Put(to_, Entry(4, 2, 3));  // a new connection
  FlowTable(to_).Refresh(from_, kTick);
  EXPECT_EQ(EntriesOf(to_),
            (std::vector<uint64_t>{Entry(1, 1, 3), Entry(2, 1, 3), Entry(4, 2, 3)}));
}

TEST_F(TakeoverTest, FlowHasEndedWhereBothSaySo) {
  for (const uint32_t age : {2, 3, 4}) {
    for (const uint64_t from : {0, LB_FLOW_ENDED}) {
      for (const uint64_t to : {0, LB_FLOW_ENDED}) {
        from_[0] = to_[0] = {};
        Put(from_, Entry(1, 1, age) | from);
        Put(to_, Entry(1, 1, 3) | to);
        FlowTable(to_).Refresh(from_, kTick);
        EXPECT_EQ(EntriesOf(to_),
                  std::vector<uint64_t>{Entry(1, 1, std::min(age, 3u)) | (from & to)});
      }
    }
  }
}

TEST_F(TakeoverTest, RefreshBringsNothingBack) {
  Put(from_, Entry(1, 1, 0));
  FlowTable(to_).Refresh(from_, kTick);
  EXPECT_EQ(EntriesOf(to_).size(), 0u);
}

}  // namespace
}  // namespace lb::model
