// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/state_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/unit/model/config_testing.h"

namespace lb::config {
namespace {

namespace fs = std::filesystem;
using model::Key;
using model::VipOf;

class StateStoreTest : public ::testing::Test {
 protected:
  StateStoreTest() : path_(fmt::format("{}lbd_state_{}", ::testing::TempDir(), getpid())) {
    fs::remove_all(path_);
    Open();
  }
  ~StateStoreTest() override { fs::remove_all(path_); }

  void Open() {
    store_.reset();
    store_ = StateStore::Open(path_).value();
  }
  static control::Revision RevisionOf(uint64_t generation, model::Config config) {
    return {.info = {.generation = generation,
                     .time = control::WallTime(std::chrono::microseconds(1000 + generation)),
                     .author = "alice",
                     .comment = "why",
                     .changes = {"+ x"},
                     .requests = {{"id", generation}}},
            .config = std::move(config)};
  }
  void Keep(const control::Revision& revision,
            const std::optional<std::set<model::VipKey>>& touched = std::nullopt) {
    ASSERT_TRUE(store_->Prepare(revision, touched).ok());
    ASSERT_TRUE(store_->Commit().ok());
  }
  std::string File(uint64_t generation) const {
    return fmt::format("{}/revision-{:020}", path_, generation);
  }
  // `count` VIPs of two reals.
  static model::Config Many(int count) {
    model::Config config;
    config.settings.limits.ring_slots = 1 << 22;
    for (int i = 0; i < count; ++i) {
      config.vips.push_back(
          VipOf(fmt::format("192.0.2.{}:80/tcp", i + 1), {"10.0.0.1", "10.0.0.2"}));
    }
    return config;
  }

  std::string path_;
  std::unique_ptr<StateStore> store_;
};

TEST_F(StateStoreTest, WhoLooksChangesNothing) {
  model::Config config;
  config.vips = {VipOf("192.0.2.1:80/tcp", {"10.0.0.1"})};
  Keep(RevisionOf(1, config));
  Keep(RevisionOf(2, config));
  std::ofstream(File(2)) << "damaged";
  std::ofstream(path_ + "/new") << "being written";
  const auto contents = StateStore::Look(path_);  // while it is open
  ASSERT_TRUE(contents.ok());
  ASSERT_TRUE(contents->latest.has_value());
  EXPECT_EQ(contents->latest->info.generation, 1u);
  EXPECT_EQ(contents->latest->config, config);
  ASSERT_EQ(contents->problems.size(), 1u);
  EXPECT_NE(contents->problems[0].find(File(2)), std::string::npos) << contents->problems[0];
  EXPECT_TRUE(fs::exists(File(2)));
  EXPECT_TRUE(fs::exists(path_ + "/new"));
  const auto nothing = StateStore::Look(path_ + "/none");
  ASSERT_TRUE(nothing.ok());
  EXPECT_FALSE(nothing->latest.has_value());
  EXPECT_FALSE(fs::exists(path_ + "/none"));
}

TEST_F(StateStoreTest, TheLatestRevisionIsFoundAgain) {
  EXPECT_FALSE(store_->Latest());
  control::Revision first = RevisionOf(1, Many(1));
  control::Revision second = RevisionOf(2, Many(3));
  second.config.settings.hash_key = {7, 8};
  second.config.settings.interfaces = {"eth0"};
  second.config.vips[0].reals[0].state = model::RealState::kDraining;
  second.config.vips[0].reals[0].drain = 60;
  second.info.confirm_by = control::WallTime(std::chrono::seconds(5));
  second.info.restores = 1;
  Keep(first);
  Keep(second);
  Open();
  const auto latest = store_->Latest();
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->info, second.info);
  EXPECT_EQ(latest->config, second.config);
  EXPECT_EQ(store_->Load(1)->config, first.config);
  EXPECT_EQ(store_->Load(9).status().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(store_->List(10)->size(), 2u);
  EXPECT_EQ(store_->List(1)->front(), second.info);
  ASSERT_TRUE(store_->Confirm().ok());
  EXPECT_FALSE(store_->Latest()->info.confirm_by);
  EXPECT_EQ(store_->Latest()->config, second.config);
}

TEST_F(StateStoreTest, WhatWasOnlyPreparedIsNotThere) {
  Keep(RevisionOf(1, Many(1)));
  ASSERT_TRUE(store_->Prepare(RevisionOf(2, Many(2)), std::nullopt).ok());
  Open();
  EXPECT_EQ(store_->Latest()->info.generation, 1u);
  ASSERT_TRUE(store_->Prepare(RevisionOf(2, Many(2)), std::nullopt).ok());
  store_->Abandon();
  EXPECT_EQ(store_->Latest()->info.generation, 1u);
}

TEST_F(StateStoreTest, ASmallChangeIsASmallFile) {
  model::Config config = Many(200);
  Keep(RevisionOf(1, config));
  config.vips[5].reals[0].weight = 7;
  Keep(RevisionOf(2, config), {{config.vips[5].key}});
  config.vips.erase(config.vips.begin() + 9);
  Keep(RevisionOf(3, config), {{Key("192.0.2.10:80/tcp")}});
  config.vips.push_back(VipOf("192.0.2.250:80/tcp", {"10.0.0.9"}));
  Keep(RevisionOf(4, config), {{Key("192.0.2.250:80/tcp")}});
  EXPECT_LT(fs::file_size(File(4)) * 10, fs::file_size(File(1)));
  EXPECT_EQ(store_->Load(4)->config, config);
  // One that comes back stands at another place.
  config.vips.push_back(VipOf("192.0.2.10:80/tcp"));
  Keep(RevisionOf(5, config), {{Key("192.0.2.10:80/tcp")}});
  EXPECT_EQ(store_->Load(5)->config, config);
  Open();
  EXPECT_EQ(store_->Latest()->config, config);
}

TEST_F(StateStoreTest, AnySequenceOfChangesIsReadBackAsItWas) {
  std::mt19937 random(7);
  model::Config config = Many(40);
  std::vector<model::Config> kept{config};
  Keep(RevisionOf(1, config));
  for (uint64_t generation = 2; generation < 150; ++generation) {
    std::set<model::VipKey> touched;
    for (int change = 0; change < 3; ++change) {
      const auto key = Key(fmt::format("192.0.2.{}:80/tcp", random() % 60 + 1));
      touched.insert(key);
      if (model::Vip* vip = config.FindVip(key); vip == nullptr) {
        config.vips.push_back({.key = key, .name = "new"});
      } else if (random() % 3 == 0) {
        std::erase_if(config.vips, [&](const model::Vip& v) { return v.key == key; });
      } else {
        vip->name = fmt::format("{}", generation);
      }
    }
    Keep(RevisionOf(generation, config), touched);
    kept.push_back(config);
    if (random() % 10 == 0) Open();
    const uint64_t some = generation - random() % std::min<uint64_t>(generation, 90);
    const auto loaded = store_->Load(some);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    ASSERT_EQ(loaded->config, kept[some - 1]) << some << " of " << generation;
  }
  EXPECT_LE(store_->List(SIZE_MAX)->size(), StateStore::kKept + 3);
  EXPECT_GE(store_->List(SIZE_MAX)->size(), StateStore::kKept);
}

TEST_F(StateStoreTest, ADamagedFileIsPutAsideAndTheOneBeforeIsUsed) {
  Keep(RevisionOf(1, Many(1)));
  for (const bool torn : {true, false}) {
    Keep(RevisionOf(2, Many(30)));
    if (torn) {
      fs::resize_file(File(2), fs::file_size(File(2)) - 1);
    } else {
      std::fstream file(File(2), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<long>(fs::file_size(File(2))) - 20);
      file.put('\x55');
    }
    Open();
    ASSERT_TRUE(store_->Latest());
    EXPECT_EQ(store_->Latest()->info.generation, 1u);
    ASSERT_EQ(store_->problems().size(), 1u);
    EXPECT_NE(store_->problems()[0].find("damaged"), std::string::npos) << store_->problems()[0];
    EXPECT_TRUE(fs::exists(path_ + "/damaged-2"));
  }
}

TEST_F(StateStoreTest, EveryTornLengthAndEveryFlippedByteIsNoticed) {
  Keep(RevisionOf(1, Many(1)));
  Keep(RevisionOf(2, Many(2)));
  std::ifstream in(File(2), std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto write = [&](const std::string& bytes) {
    std::ofstream(File(2), std::ios::binary | std::ios::trunc) << bytes;
  };
  for (size_t i = 0; i < whole.size(); ++i) {
    write(whole.substr(0, i));
    EXPECT_FALSE(store_->Load(2).ok()) << "cut at " << i;
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    write(flipped);
    EXPECT_FALSE(store_->Load(2).ok()) << "flipped at " << i;
  }
}

TEST_F(StateStoreTest, AFullDiskRefusesTheChangeAndKeepsWhatIsThere) {
  Keep(RevisionOf(1, Many(1)));
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  const rlimit tiny{.rlim_cur = 100, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tiny);
  const Status status = store_->Prepare(RevisionOf(2, Many(50)), std::nullopt);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(Message(status).find(path_), std::string::npos);
  EXPECT_EQ(store_->Latest()->info.generation, 1u);
  Keep(RevisionOf(2, Many(2)));
  EXPECT_EQ(store_->Latest()->info.generation, 2u);
}

TEST_F(StateStoreTest, OneProcessAtATime) {
  const auto second = StateStore::Open(path_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(second.status()).find("another lbd"), std::string::npos);
}

TEST_F(StateStoreTest, OnlyTheOwnerCanReadIt) {
  Keep(RevisionOf(1, Many(1)));
  EXPECT_EQ(fs::status(File(1)).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_all);
}

}  // namespace
}  // namespace lb::config
