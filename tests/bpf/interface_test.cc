// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/interface.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <optional>

#include "lbd/dataplane/netlink.h"
#include "tests/support/net_ns.h"

namespace lb::dataplane {
namespace {

class InterfaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto ns = testing::NetNs::Create();
    ASSERT_TRUE(ns.ok()) << ns.status();
    ns_.emplace(*std::move(ns));
    inside_.emplace(*ns_);
    ASSERT_TRUE(
        Run("ip link add lb0 address 02:00:00:00:09:01 mtu 1600 type veth peer name r0").ok());
  }

  Status Run(const std::string& command) { return ns_->Run(command); }

  std::optional<testing::NetNs> ns_;
  std::optional<testing::NetNs::Inside> inside_;
};

TEST_F(InterfaceTest, IsDescribedAsItIs) {
  auto info = GetInterface("lb0");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->name, "lb0");
  EXPECT_EQ(info->index, static_cast<int>(if_nametoindex("lb0")));
  EXPECT_EQ(info->mac.ToString(), "02:00:00:00:09:01");
  EXPECT_EQ(info->mtu, 1600u);
  EXPECT_TRUE(info->ethernet);
  EXPECT_FALSE(info->admin_up);
  EXPECT_FALSE(info->running);
  EXPECT_EQ(info->xdp_attached, XdpAttached::kNone);
  EXPECT_EQ(info->xdp_program_id, 0u);
  EXPECT_EQ(GetInterface(info->index).value(), *info);
}

TEST_F(InterfaceTest, AnAddressIsTheHostsWhateverInterfaceHasIt) {
  ASSERT_TRUE(Run("ip addr add 192.0.2.9/24 dev lb0 && ip addr add 192.0.2.10/32 dev lo && "
                  "ip addr add 2001:db8::9/64 dev r0")
                  .ok());
  for (const char* there : {"192.0.2.9", "192.0.2.10", "2001:db8::9"}) {
    EXPECT_TRUE(HasAddress(*IpAddress::Parse(there))) << there;
  }
  for (const char* missing : {"192.0.2.11", "2001:db8::a"}) {
    EXPECT_FALSE(HasAddress(*IpAddress::Parse(missing))) << missing;
  }
}

TEST_F(InterfaceTest, UpIsNotRunning) {
  ASSERT_TRUE(Run("ip link set lb0 up").ok());
  EXPECT_TRUE(GetInterface("lb0")->admin_up);
  EXPECT_FALSE(GetInterface("lb0")->running);
  ASSERT_TRUE(Run("ip link set r0 up").ok());
  EXPECT_TRUE(GetInterface("lb0")->running);
}

TEST_F(InterfaceTest, LoIsNoEthernet) { EXPECT_FALSE(GetInterface("lo")->ethernet); }

TEST_F(InterfaceTest, AnUnknownNameGetsTheNamesThatThereAre) {
  for (const char* name : {"eth9", "", "a-name-too-long-for-linux"}) {
    const auto info = GetInterface(name);
    EXPECT_EQ(info.status().code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(Message(info.status()),
              "interface \"" + std::string(name) + "\" does not exist; there are lo, r0, lb0");
  }
  EXPECT_EQ(GetInterface(999).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(InterfaceTest, TellsTheXdpProgramAndItsMode) {
  const bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
                           {.code = BPF_JMP | BPF_EXIT}};
  const UniqueFd program(
      bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, std::size(pass), nullptr));
  ASSERT_TRUE(program.valid());
  const int index = static_cast<int>(if_nametoindex("lb0"));

  ASSERT_EQ(bpf_xdp_attach(index, program.get(), XDP_FLAGS_SKB_MODE, nullptr), 0);
  EXPECT_EQ(GetInterface("lb0")->xdp_attached, XdpAttached::kGeneric);
  EXPECT_NE(GetInterface("lb0")->xdp_program_id, 0u);
  ASSERT_EQ(bpf_xdp_detach(index, XDP_FLAGS_SKB_MODE, nullptr), 0);

  ASSERT_EQ(bpf_xdp_attach(index, program.get(), XDP_FLAGS_DRV_MODE, nullptr), 0);
  EXPECT_EQ(GetInterface("lb0")->xdp_attached, XdpAttached::kNative);
  EXPECT_NE(GetInterface("lb0")->xdp_program_id, 0u);
  ASSERT_EQ(bpf_xdp_detach(index, XDP_FLAGS_DRV_MODE, nullptr), 0);
  EXPECT_EQ(GetInterface("lb0")->xdp_attached, XdpAttached::kNone);
}

TEST_F(InterfaceTest, ANetlinkErrorHasTheKernelsExplanation) {
  auto socket = NetlinkSocket::Open();
  ASSERT_TRUE(socket.ok()) << socket.status();
  NetlinkRequest<ndmsg> request(RTM_NEWNEIGH, NLM_F_CREATE);
  request->ndm_family = AF_INET;  // and no address
  const Status status = socket->Request(request.message(), "add nobody");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(status), "add nobody (Network address not specified): Invalid argument");
  // The socket stays usable.
  NetlinkRequest<ndmsg> dump(RTM_GETNEIGH, NLM_F_DUMP);
  EXPECT_TRUE(socket->Request(dump.message(), "read the neighbours").ok());
}

}  // namespace
}  // namespace lb::dataplane
