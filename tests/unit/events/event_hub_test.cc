// SPDX-License-Identifier: Apache-2.0
#include "lbd/events/event_hub.h"

#include <gtest/gtest.h>

#include <thread>

namespace lb::events {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr milliseconds kNow{0};

Event Named(const std::string& object) { return {.object = object}; }

TEST(EventHubTest, ReadersGetWhatTheyAskForInOrder) {
  EventHub hub(10);
  for (const char* name : {"a", "b", "c"}) hub.Publish(Named(name));
  const auto batch = hub.Read(11, 10, kNow);
  ASSERT_EQ(batch.events.size(), 2u);
  EXPECT_EQ(batch.events[0].object, "b");
  EXPECT_EQ(batch.events[0].sequence, 11u);
  EXPECT_EQ(batch.events[1].sequence, 12u);
  EXPECT_EQ(batch.missed, 0u);
  EXPECT_FALSE(batch.restarted);
  EXPECT_EQ(hub.Read(10, 1, kNow).events.size(), 1u);
  EXPECT_TRUE(hub.Read(hub.next_sequence(), 10, kNow).events.empty());
}

TEST(EventHubTest, ASlowReaderIsToldWhatItMissed) {
  EventHub hub(1, 4);
  for (int i = 0; i < 10; ++i) hub.Publish(Named("x"));
  const auto batch = hub.Read(3, 10, kNow);
  EXPECT_EQ(batch.missed, 4u);  // 3, 4, 5, 6
  ASSERT_EQ(batch.events.size(), 4u);
  EXPECT_EQ(batch.events[0].sequence, 7u);
}

TEST(EventHubTest, ASequenceOfAnEarlierProcessIsNoticed) {
  EventHub hub(100);
  hub.Publish(Named("x"));
  const auto batch = hub.Read(7, 10, kNow);
  EXPECT_TRUE(batch.restarted);
  EXPECT_EQ(batch.missed, 0u);
  EXPECT_EQ(batch.events.size(), 1u);
}

TEST(EventHubTest, SequencesGrowFromProcessToProcess) {
  EXPECT_GT(EventHub::FirstSequence(), uint64_t{1} << 50);
}

TEST(EventHubTest, AReaderWaitsForTheNextEvent) {
  EventHub hub(1);
  std::thread writer([&] { hub.Publish(Named("late")); });
  const auto batch = hub.Read(1, 10, hours(1));
  writer.join();
  ASSERT_EQ(batch.events.size(), 1u);
  EXPECT_EQ(batch.events[0].object, "late");
}

TEST(EventHubTest, StoppingEndsTheWaiting) {
  EventHub hub(1);
  std::thread stopper([&] { hub.Stop(); });
  EXPECT_TRUE(hub.Read(1, 10, hours(1)).events.empty());
  stopper.join();
}

}  // namespace
}  // namespace lb::events
