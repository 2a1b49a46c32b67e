// SPDX-License-Identifier: Apache-2.0
// How slots change hands: one test per row of the state machine.
#include "lbd/model/slots.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <ostream>
#include <random>
#include <vector>

#include "tests/unit/model/tracking_testing.h"

namespace lb::model {
namespace {

using Target = std::vector<uint16_t>;

constexpr uint32_t kSeconds = 900;
constexpr SlotPolicy kAuto{.window = kSeconds};
constexpr SlotPolicy kAlways{.window = kSeconds, .track = true, .always = true};
constexpr SlotPolicy kNone{.window = kSeconds, .track = false, .always = false};
// Until such a window is over by a clock of whole seconds: the first was already under way.
constexpr uint32_t kWindow = kSeconds + 1;
constexpr uint16_t kTrack = LB_RING_TRACK;

// What the program sees of a slot.
struct Seen {
  uint16_t old;
  bool tracked;
  uint16_t next;  // equal to `old` where the slot is not tracked

  bool operator==(const Seen&) const = default;
};
Seen Stable(uint16_t owner) { return {owner, false, owner}; }
Seen Changing(uint16_t old, uint16_t next) { return {old, true, next}; }
Seen Settling(uint16_t owner) { return {owner, true, owner}; }

void PrintTo(const Seen& seen, std::ostream* out) {
  *out << seen.old << (seen.tracked ? " tracked, next " : " stable, next ") << seen.next;
}

class SlotsTest : public testing::Test {
 protected:
  static constexpr size_t kSlots = 4;

  Seen At(size_t slot) const {
    const bool tracked = (memory_.ring[slot] & kTrack) != 0;
    const uint16_t old = memory_.ring[slot] & LB_RING_REAL_MASK;
    return {old, tracked, tracked ? memory_.next[slot] : old};
  }
  void Set(const Target& target, uint32_t now, const SlotPolicy& policy = kAuto) {
    slots_->SetTarget(target, policy, now);
  }
  // Slot `entries.first` has so many entries that name another real.
  void Advance(uint32_t now, const std::map<size_t, uint32_t>& entries = {},
               const SlotPolicy& policy = kAuto, std::optional<uint16_t> down = {}) {
    std::vector<uint32_t> counts(slots_->size());
    for (const auto& [slot, count] : entries) counts[slot] = count;
    slots_->Advance({.entries = counts, .is_down = [&](uint16_t real) { return real == down; }},
                    policy, now);
  }
  void Refuse(size_t slot) { memory_.refused[slot] = 1; }

  SlotMemory memory_{kSlots};
  std::optional<Slots> slots_{std::in_place, memory_.words(), 0};
};

TEST_F(SlotsTest, FirstOwnersAreStableAtOnce) {
  Set({1, 2, 3, 1}, 10);
  EXPECT_EQ(At(0), Stable(1));
  EXPECT_EQ(At(3), Stable(1));
  EXPECT_TRUE(slots_->stable());
  EXPECT_EQ(slots_->counts(), Slots::Counts{});
}

TEST_F(SlotsTest, OnlySlotsThatMoveChange) {
  Set({1, 1, 2, 2}, 10);
  Set({1, 3, 2, 2}, 20);
  EXPECT_EQ(At(0), Stable(1));
  EXPECT_EQ(At(1), Changing(1, 3));
  EXPECT_EQ(At(2), Stable(2));
  EXPECT_EQ(slots_->counts(), (Slots::Counts{.changing = 1, .settling = 0}));
  EXPECT_FALSE(slots_->stable());
}

TEST_F(SlotsTest, DefaultFlipsWhenTheWindowIsOverAndNotBefore) {
  Set({1, 1, 1, 1}, 10);
  Set({2, 1, 1, 1}, 100);
  Advance(100 + kWindow - 1);
  EXPECT_EQ(At(0), Changing(1, 2));
  Advance(100 + kWindow);
  EXPECT_EQ(At(0), Settling(2));
  EXPECT_EQ(slots_->counts(), (Slots::Counts{.changing = 0, .settling = 1}));
}

TEST_F(SlotsTest, EntriesDoNotDelayTheFlip) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 1, 1, 1}, 0);
  Advance(kWindow, {{0, 1000}});
  EXPECT_EQ(At(0), Settling(2));
}

TEST_F(SlotsTest, RefusedFlowDelaysTheFlipOfItsSlotByAWindow) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 2, 1, 1}, 0);
  Refuse(0);
  Advance(500);
  EXPECT_EQ(memory_.refused[0], 0);
  Advance(kWindow);
  EXPECT_EQ(At(0), Changing(1, 2));
  EXPECT_EQ(At(1), Settling(2));  // refusals are a slot's own
  Advance(500 + kWindow - 1);
  EXPECT_EQ(At(0), Changing(1, 2));
  Advance(500 + kWindow);
  EXPECT_EQ(At(0), Settling(2));
}

TEST_F(SlotsTest, RefusalFoundAtTheEndOfTheWindowDelaysTheFlip) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 1, 1, 1}, 0);
  Refuse(0);
  Advance(kWindow + 3);
  EXPECT_EQ(At(0), Changing(1, 2));
  Advance(2 * kWindow + 3);
  EXPECT_EQ(At(0), Settling(2));
}

TEST_F(SlotsTest, RefusalsForEverDelayForEver) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 1, 1, 1}, 0);
  for (uint32_t now = 5; now < 20 * kWindow; now += 5) {
    Refuse(0);
    Advance(now);
    ASSERT_EQ(At(0), Changing(1, 2)) << now;
  }
}

TEST_F(SlotsTest, DownOwnerDoesNotWaitUnderRefusals) {
  Set({1, 2, 1, 1}, 0);
  Set({3, 3, 3, 1}, 0);
  Refuse(0);
  Refuse(1);
  Advance(5, {}, kAuto, 1);
  EXPECT_EQ(At(0), Settling(3));
  EXPECT_EQ(At(1), Changing(2, 3));  // its owner is not down
  EXPECT_EQ(At(2), Changing(1, 3));  // not refused
}

// Else one refusal of long ago would break the connections of a real that only fails its check.
TEST_F(SlotsTest, RefusalBeforeTheChangeDoesNotHurryADownOwner) {
  Set({1, 1, 1, 1}, 0);
  Refuse(0);
  Set({2, 1, 1, 1}, 100);
  Advance(105, {}, kAuto, 1);
  EXPECT_EQ(At(0), Changing(1, 2));
}

TEST_F(SlotsTest, SettlesWhileEntriesNameAnotherAndTwoSweepsMore) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 2, 1, 1}, 0);
  Advance(kWindow);
  for (uint32_t now = kWindow + 5; now < kWindow + 100; now += 5) Advance(now, {{0, 1}});
  EXPECT_EQ(At(0), Settling(2));
  EXPECT_EQ(At(1), Stable(2));
  Advance(kWindow + 100);
  EXPECT_EQ(At(0), Settling(2));
  Advance(kWindow + 105);
  EXPECT_EQ(At(0), Stable(2));
  EXPECT_TRUE(slots_->stable());
}

TEST_F(SlotsTest, TheTwoEmptySweepsFollowEachOther) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 1, 1, 1}, 0);
  Advance(kWindow);
  Advance(kWindow + 5);
  Advance(kWindow + 10, {{0, 1}});
  Advance(kWindow + 15);
  EXPECT_EQ(At(0), Settling(2));
  Advance(kWindow + 20);
  EXPECT_EQ(At(0), Stable(2));
}

TEST_F(SlotsTest, SweepThatFlipsASlotDoesNotCountAsEmpty) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 1, 1, 1}, 0);
  Advance(kWindow);
  Advance(kWindow + 5);
  EXPECT_EQ(At(0), Settling(2));
}

TEST_F(SlotsTest, TargetThatComesBackNeverFlips) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 1, 1, 1}, 0);
  Set({1, 1, 1, 1}, 300);
  EXPECT_EQ(At(0), Settling(1));
  Advance(305, {{0, 2}});  // new connections of these 300 seconds
  Advance(310);
  EXPECT_EQ(At(0), Settling(1));
  Advance(315);
  EXPECT_EQ(At(0), Stable(1));
}

TEST_F(SlotsTest, ChangeDuringAChangeKeepsTheOldOwnerAndStartsTheWindowAnew) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 1, 1, 1}, 0);
  Set({3, 1, 1, 1}, 600);
  EXPECT_EQ(At(0), Changing(1, 3));
  Advance(kWindow);
  EXPECT_EQ(At(0), Changing(1, 3));
  Advance(600 + kWindow, {{0, 5}});
  EXPECT_EQ(At(0), Settling(3));
}

TEST_F(SlotsTest, ChangeWhileSettlingIsAChange) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 1, 1, 1}, 0);
  Advance(kWindow);
  Set({3, 1, 1, 1}, kWindow + 1);
  EXPECT_EQ(At(0), Changing(2, 3));
  Advance(2 * kWindow);
  EXPECT_EQ(At(0), Changing(2, 3));
  Advance(2 * kWindow + 1);
  EXPECT_EQ(At(0), Settling(3));
}

TEST_F(SlotsTest, ChangeOfOneSlotDoesNotTouchTheClockOfAnother) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 1, 1, 1}, 0);
  Set({2, 2, 1, 1}, 600);
  Advance(kWindow);
  EXPECT_EQ(At(0), Settling(2));
  EXPECT_EQ(At(1), Changing(1, 2));
}

TEST_F(SlotsTest, SlotWithoutAnOwnerTakesOneAtOnce) {
  Set({1, 0, 1, 0}, 0);
  Set({1, 2, 1, 0}, 10);
  EXPECT_EQ(At(1), Stable(2));
  EXPECT_EQ(At(3), Stable(0));
  EXPECT_TRUE(slots_->stable());
}

TEST_F(SlotsTest, SlotLosesItsLastOwnerByAWindow) {
  Set({1, 1, 1, 1}, 0);
  Set({0, 1, 1, 1}, 10);
  EXPECT_EQ(At(0), Changing(1, 0));  // connections go on, new ones find nobody
  Advance(10 + kWindow);
  EXPECT_EQ(At(0), Settling(0));
}

TEST_F(SlotsTest, SlotWithoutAnOwnerWhoseFlowsAreKnownSettles) {
  Set({1, 1, 1, 1}, 0);
  Set({0, 0, 1, 1}, 0);
  Advance(kWindow, {{0, 1}});
  Set({2, 0, 1, 1}, kWindow + 1);
  EXPECT_EQ(At(0), Settling(2));
  Advance(kWindow + 5, {{0, 1}});
  EXPECT_EQ(At(0), Settling(2));
  Advance(kWindow + 10);
  Advance(kWindow + 15);
  EXPECT_EQ(At(0), Stable(2));
}

TEST_F(SlotsTest, AlwaysTracksEverySlotAndIsStable) {
  Set({1, 2, 0, 1}, 0, kAlways);
  EXPECT_EQ(At(0), Settling(1));
  EXPECT_EQ(At(2), Settling(0));
  Advance(5, {}, kAlways);
  Advance(10, {}, kAlways);
  EXPECT_EQ(At(0), Settling(1));
  EXPECT_TRUE(slots_->stable());
}

TEST_F(SlotsTest, AlwaysChangesByAWindowToo) {
  Set({1, 2, 1, 1}, 0, kAlways);
  Set({3, 2, 1, 1}, 10, kAlways);
  EXPECT_EQ(At(0), Changing(1, 3));
  EXPECT_FALSE(slots_->stable());
  Advance(9 + kWindow, {}, kAlways);
  EXPECT_EQ(At(0), Changing(1, 3));
  Advance(10 + kWindow, {}, kAlways);
  EXPECT_EQ(At(0), Settling(3));
  for (uint32_t now : {15, 20, 25}) Advance(now + kWindow, {}, kAlways);
  EXPECT_TRUE(slots_->stable());
  EXPECT_EQ(At(1), Settling(2));
}

TEST_F(SlotsTest, FromAutoToAlwaysTracksWhatIsStableAndKeepsWhatChanges) {
  Set({1, 2, 1, 1}, 0);
  Set({3, 2, 1, 1}, 10);
  Set({3, 2, 1, 1}, 500, kAlways);
  EXPECT_EQ(At(0), Changing(1, 3));
  EXPECT_EQ(At(1), Settling(2));
  Advance(10 + kWindow, {}, kAlways);  // its clock went on
  EXPECT_EQ(At(0), Settling(3));
}

TEST_F(SlotsTest, FromAlwaysToAutoTracksUntilNoEntryNamesAnother) {
  Set({1, 2, 1, 1}, 0, kAlways);
  Set({1, 2, 1, 1}, 10);
  EXPECT_FALSE(slots_->stable());
  Advance(15, {{1, 1}});
  Advance(20, {{1, 1}});
  EXPECT_EQ(At(0), Stable(1));
  EXPECT_EQ(At(1), Settling(2));
  Advance(25);
  Advance(30);
  EXPECT_EQ(At(1), Stable(2));
  EXPECT_TRUE(slots_->stable());
}

TEST_F(SlotsTest, NoneChangesAtOnce) {
  Set({1, 2, 1, 1}, 0, kNone);
  Set({3, 2, 1, 1}, 10, kNone);
  EXPECT_EQ(At(0), Stable(3));
  EXPECT_TRUE(slots_->stable());
}

TEST_F(SlotsTest, FromAutoToNoneEndsAllWindows) {
  Set({1, 2, 1, 1}, 0);
  Set({3, 2, 1, 1}, 10);
  Set({3, 4, 1, 1}, 20, kNone);
  EXPECT_EQ(At(0), Stable(3));
  EXPECT_EQ(At(1), Stable(4));
  Advance(25, {}, kNone);
  EXPECT_TRUE(slots_->stable());
}

TEST_F(SlotsTest, FromNoneToAutoTheNextChangeHasAWindow) {
  Set({1, 2, 1, 1}, 0, kNone);
  Set({1, 2, 1, 1}, 10);
  EXPECT_EQ(At(0), Stable(1));
  Set({3, 2, 1, 1}, 20);
  EXPECT_EQ(At(0), Changing(1, 3));
}

TEST_F(SlotsTest, AbandonEndsTheWindowsOfTheseOwnersOnly) {
  Set({1, 2, 1, 2}, 0);
  Set({3, 3, 3, 2}, 0);
  slots_->Abandon([](uint16_t owner) { return owner == 1; });
  EXPECT_EQ(At(0), Settling(3));
  EXPECT_EQ(At(1), Changing(2, 3));
  EXPECT_EQ(At(2), Settling(3));
  EXPECT_EQ(At(3), Stable(2));
  Advance(5);
  EXPECT_EQ(At(0), Settling(3));
  Advance(10);
  EXPECT_EQ(At(0), Stable(3));
}

TEST_F(SlotsTest, AbandonedSlotSettlesAnewAfterSweepsThatWereEmptyBefore) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 1, 1, 1}, 0);
  Set({1, 1, 1, 1}, 1);
  Advance(5);
  slots_->Abandon([](uint16_t owner) { return owner == 1; });
  Advance(10);
  EXPECT_EQ(At(0), Settling(1));
}

TEST_F(SlotsTest, NeedsWindowOnlyWhereAnOwnerHasToGiveWay) {
  Set({1, 2, 0, 1}, 0);
  EXPECT_FALSE(slots_->NeedsWindow(Target{1, 2, 0, 1}, kAuto));
  EXPECT_FALSE(slots_->NeedsWindow(Target{1, 2, 3, 1}, kAuto));  // nobody's slot
  EXPECT_TRUE(slots_->NeedsWindow(Target{1, 3, 0, 1}, kAuto));
  EXPECT_TRUE(slots_->NeedsWindow(Target{1, 0, 0, 1}, kAuto));
  EXPECT_TRUE(slots_->NeedsWindow(Target{1, 3, 0, 1}, kAlways));
  EXPECT_FALSE(slots_->NeedsWindow(Target{1, 3, 0, 1}, kNone));
  EXPECT_TRUE(slots_->NeedsWindow(Target{1, 2}, kAuto));  // each stands for two
  Set({3, 2, 0, 1}, 10);
  EXPECT_FALSE(slots_->NeedsWindow(Target{3, 2, 0, 1}, kAuto));  // it has one
}

TEST_F(SlotsTest, SmallerTargetStandsForSlotsInARow) {
  Set({1, 2}, 0);
  EXPECT_EQ(memory_.ring, (Target{1, 1, 2, 2}));
  Set({3, 2}, 10);
  EXPECT_EQ(At(0), Changing(1, 3));
  EXPECT_EQ(At(1), Changing(1, 3));
  EXPECT_EQ(At(2), Stable(2));
}

TEST_F(SlotsTest, ReadsItsStateBackFromTheWordsAndStartsOpenWindowsAnew) {
  Set({1, 2, 1, 1}, 0);
  Set({3, 4, 1, 1}, 0);
  Set({1, 4, 1, 1}, 0);
  slots_.emplace(memory_.words(), 800);  // the next process
  EXPECT_EQ(slots_->counts(), (Slots::Counts{.changing = 1, .settling = 1}));
  EXPECT_FALSE(slots_->stable());
  Set({1, 4, 1, 1}, 850);  // the target that was in force
  Advance(800 + kWindow - 1);
  EXPECT_EQ(At(1), Changing(2, 4));
  Advance(800 + kWindow);
  EXPECT_EQ(At(1), Settling(4));
  EXPECT_EQ(At(2), Stable(1));
}

TEST_F(SlotsTest, CopyGoesOnWhereTheOriginalStood) {
  Set({1, 2, 1, 1}, 0);
  Set({3, 4, 1, 1}, 100);
  Set({3, 2, 1, 1}, 200);
  Advance(205);  // one empty sweep of slot 1
  for (const size_t size : {4, 16}) {
    SlotMemory other(size);
    std::ranges::fill(other.next, 77);
    Slots copy = slots_->CopyTo(other.words());
    ASSERT_EQ(copy.size(), size);
    const size_t share = size / 4;
    EXPECT_EQ(copy.counts(), (Slots::Counts{.changing = static_cast<uint32_t>(share),
                                            .settling = static_cast<uint32_t>(share)}));
    for (size_t slot = 0; slot < size; ++slot) {
      EXPECT_EQ(copy.old_owner(slot), slots_->old_owner(slot / share)) << slot;
      EXPECT_EQ(copy.next_owner(slot), slots_->next_owner(slot / share)) << slot;
      EXPECT_EQ(copy.tracked(slot), slots_->tracked(slot / share)) << slot;
    }
    const std::vector<uint32_t> none(size);
    copy.Advance({.entries = none, .is_down = {}}, kAuto, 210);
    EXPECT_FALSE(copy.tracked(share));  // the second
    copy.Advance({.entries = none, .is_down = {}}, kAuto, 100 + kWindow - 1);
    EXPECT_EQ(copy.old_owner(0), 1);
    copy.Advance({.entries = none, .is_down = {}}, kAuto, 100 + kWindow);
    EXPECT_EQ(copy.old_owner(0), 3);
    EXPECT_EQ(copy.old_owner(share - 1), 3);
  }
}

TEST_F(SlotsTest, CopyKnowsWhatWasRefused) {
  Set({1, 1, 1, 1}, 0);
  Set({2, 2, 1, 1}, 0);
  Refuse(0);
  SlotMemory other(8);
  Slots copy = slots_->CopyTo(other.words());
  const std::vector<uint32_t> none(8);
  copy.Advance({.entries = none, .is_down = {}}, kAuto, kWindow);
  for (const size_t slot : {0, 1}) EXPECT_EQ(copy.old_owner(slot), 1) << slot;
  for (const size_t slot : {2, 3}) EXPECT_EQ(copy.old_owner(slot), 2) << slot;
}

TEST_F(SlotsTest, ShrinksOnlyWhenStableAndWhereSlotsAgree) {
  Set({1, 1, 2, 2}, 0);
  EXPECT_TRUE(slots_->CanShrinkTo(2));
  EXPECT_TRUE(slots_->CanShrinkTo(4));
  EXPECT_FALSE(slots_->CanShrinkTo(1));
  Set({1, 1, 3, 3}, 10);
  EXPECT_FALSE(slots_->CanShrinkTo(2));
  Advance(10 + kWindow);
  EXPECT_FALSE(slots_->CanShrinkTo(2));
  Advance(15 + kWindow);
  Advance(20 + kWindow);
  ASSERT_TRUE(slots_->CanShrinkTo(2));
  SlotMemory small(2);
  const Slots copy = slots_->CopyTo(small.words());
  EXPECT_EQ(small.ring, (Target{1, 3}));
  EXPECT_TRUE(copy.stable());
  EXPECT_EQ(copy.bits(), 1);
}

TEST_F(SlotsTest, AlwaysShrinksToo) {
  Set({1, 1, 2, 2}, 0, kAlways);
  ASSERT_TRUE(slots_->CanShrinkTo(2));
  SlotMemory small(2);
  slots_->CopyTo(small.words());
  EXPECT_EQ(small.ring, (Target{1 | kTrack, 2 | kTrack}));
  EXPECT_EQ(small.next, (Target{1, 2}));
}

// The next owner that a program reads is never left over from an earlier change: programs on CPUs
// that see stores late find what was true before.
TEST_F(SlotsTest, NextOwnerOfAStableSlotIsItsOwner) {
  std::mt19937 random(1);
  uint32_t now = 0;
  for (int step = 0; step < 2000; ++step) {
    now += 5;
    const SlotPolicy policy = random() % 20 == 0 ? kNone : kAuto;
    if (random() % 8 == 0) {
      Target target;
      for (size_t slot = 0; slot < kSlots; ++slot) target.push_back(random() % 4);
      Set(target, now, policy);
    }
    if (random() % 8 == 0) slots_->Abandon([&](uint16_t owner) { return owner == now % 4; });
    if (random() % 16 == 0) now += kWindow;
    Advance(now, {{random() % kSlots, random() % 2}});
    for (size_t slot = 0; slot < kSlots; ++slot) {
      if ((memory_.ring[slot] & kTrack) == 0) {
        ASSERT_EQ(memory_.ring[slot], memory_.next[slot]) << step;
      }
    }
  }
}

}  // namespace
}  // namespace lb::model
