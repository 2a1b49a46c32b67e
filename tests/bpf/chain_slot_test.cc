// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/chain_slot.h"

#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>

namespace lb::dataplane {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kPositions = 4;

UniqueFd LoadPass() {
  const bpf_insn insns[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
                            {.code = BPF_JMP | BPF_EXIT}};
  return UniqueFd(bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", insns, 2, nullptr));
}

uint32_t IdOf(const UniqueFd& program) {
  bpf_prog_info info{};
  uint32_t length = sizeof(info);
  return bpf_obj_get_info_by_fd(program.get(), &info, &length) == 0 ? info.id : 0;
}

// The program array of a root program, pinned; on lo, which is everywhere.
class ChainSlotTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/lbd-bpffs-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    mount_ = path;
    ASSERT_EQ(mount("bpf", path, "bpf", 0, nullptr), 0) << strerror(errno);
    directory_ = mount_ + "/lbd";
    array_.reset(bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "root", 4, 4, kPositions, nullptr));
    ASSERT_TRUE(array_.valid());
    auto pins = PinDirectory::Open(directory_);
    ASSERT_TRUE(pins.ok()) << Message(pins.status());
    pins_.emplace(*std::move(pins));
    chain_ = {.map = directory_ + "/root_{interface}", .position = 2};
    ASSERT_EQ(bpf_obj_pin(array_.get(), (directory_ + "/root_lo").c_str()), 0);
  }
  void TearDown() override {
    umount2(mount_.c_str(), MNT_DETACH);
    rmdir(mount_.c_str());
  }

  uint32_t IdAt(uint32_t position) const {
    uint32_t id = 0;
    return bpf_map_lookup_elem(array_.get(), &position, &id) == 0 ? id : 0;
  }
  void Put(uint32_t position, const UniqueFd& program) {
    const int fd = program.get();
    ASSERT_EQ(bpf_map_update_elem(array_.get(), &position, &fd, BPF_ANY), 0);
  }
  std::string Refused(const model::Chain& chain) {
    const auto slot = ChainSlot::Attach("lo", chain, first_.get(), *pins_);
    return slot.ok() ? "it was attached" : Message(slot.status());
  }
  bool PinsAreLeft() const {
    return std::filesystem::exists(pins_->ChainPath("lo")) ||
           std::filesystem::exists(pins_->ChainedProgramPath("lo"));
  }

  std::string mount_;      // a bpffs of the test's own
  std::string directory_;  // on it
  UniqueFd array_;
  std::optional<PinDirectory> pins_;
  model::Chain chain_;
  const UniqueFd first_ = LoadPass();
  const UniqueFd second_ = LoadPass();
};

TEST_F(ChainSlotTest, ProgramsComeAndGoInTheirPosition) {
  auto slot = ChainSlot::Attach("lo", chain_, first_.get(), *pins_);
  ASSERT_TRUE(slot.ok()) << Message(slot.status());
  EXPECT_EQ(IdAt(2), IdOf(first_));
  EXPECT_EQ((*slot)->program_id(), IdOf(first_));
  EXPECT_TRUE((*slot)->Replace(second_.get(), first_.get()).ok());
  EXPECT_EQ(IdAt(2), IdOf(second_));
  EXPECT_FALSE((*slot)->Replace(second_.get(), first_.get()).ok());
  EXPECT_TRUE((*slot)->Detach().ok());
  EXPECT_EQ(IdAt(2), 0u);
  EXPECT_FALSE(PinsAreLeft());
  EXPECT_TRUE((*slot)->Reattach(first_.get()).ok());
  EXPECT_EQ(IdAt(2), IdOf(first_));
}

TEST_F(ChainSlotTest, NextProcessFindsTheSlot) {
  ASSERT_TRUE(ChainSlot::Attach("lo", chain_, first_.get(), *pins_).ok());
  auto slot = ChainSlot::Open("lo", *pins_);
  ASSERT_TRUE(slot.ok()) << Message(slot.status());
  EXPECT_EQ((*slot)->program_id(), IdOf(first_));
  model::Settings settings;
  settings.attach = model::AttachMode::kChained;
  settings.chain = chain_;
  const InterfaceInfo lo{.name = "lo", .index = 1};
  EXPECT_TRUE((*slot)->Fits(settings, lo));
  settings.chain.position = 1;
  EXPECT_FALSE((*slot)->Fits(settings, lo));
  EXPECT_FALSE((*slot)->Fits(model::Settings(), lo));
  EXPECT_EQ(pins_->PinnedInterfaces(), std::vector<std::string>{"lo"});
}

// Killed between the change of the slot and that of the pin.
TEST_F(ChainSlotTest, NextProcessFindsASlotThatWasBeingChanged) {
  ASSERT_TRUE(ChainSlot::Attach("lo", chain_, first_.get(), *pins_).ok());
  ASSERT_EQ(bpf_obj_pin(second_.get(), (pins_->ChainedProgramPath("lo") + "_new").c_str()), 0);
  for (const UniqueFd* program : {&first_, &second_}) {
    Put(2, *program);
    auto slot = ChainSlot::Open("lo", *pins_);
    ASSERT_TRUE(slot.ok()) << Message(slot.status());
    EXPECT_EQ((*slot)->program_id(), IdOf(*program));
  }
  EXPECT_TRUE((*ChainSlot::Open("lo", *pins_))->Detach().ok());
  EXPECT_EQ(IdAt(2), 0u);
  EXPECT_FALSE(PinsAreLeft());
}

TEST_F(ChainSlotTest, AnothersProgramIsNamedAndStays) {
  Put(2, second_);
  EXPECT_THAT(Refused(chain_),
              HasSubstr("holds another program (id " + std::to_string(IdOf(second_))));
  EXPECT_EQ(IdAt(2), IdOf(second_));
  chain_.position = 1;
  auto slot = ChainSlot::Attach("lo", chain_, first_.get(), *pins_);
  ASSERT_TRUE(slot.ok()) << Message(slot.status());
  Put(1, second_);  // someone takes the position
  EXPECT_EQ((*slot)->program_id(), 0u);
  EXPECT_THAT((*slot)->Problem(), HasSubstr("no longer holds"));
  EXPECT_TRUE((*slot)->Detach().ok());
  EXPECT_EQ(IdAt(1), IdOf(second_));
}

TEST_F(ChainSlotTest, WhatCannotBeUsedIsNamed) {
  EXPECT_THAT(Refused({.map = directory_ + "/none", .position = 0}),
              HasSubstr("chain.map: open the program array " + directory_ + "/none of lo's root"));
  EXPECT_THAT(Refused({.map = chain_.map, .position = 4}), HasSubstr("positions 0..3, got 4"));
  const UniqueFd array(bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 4, 1, nullptr));
  ASSERT_EQ(bpf_obj_pin(array.get(), (directory_ + "/other").c_str()), 0);
  EXPECT_THAT(Refused({.map = directory_ + "/other", .position = 0}),
              HasSubstr("is no program array"));
  EXPECT_FALSE(PinsAreLeft());
}

TEST_F(ChainSlotTest, AMissingRootProgramIsSaid) {
  auto slot = ChainSlot::Attach("lo", chain_, first_.get(), *pins_);
  ASSERT_TRUE(slot.ok()) << Message(slot.status());
  EXPECT_THAT((*slot)->Problem(), HasSubstr("no root program calls lbd"));
}

}  // namespace
}  // namespace lb::dataplane
