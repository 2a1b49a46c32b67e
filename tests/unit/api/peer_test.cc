// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/peer.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lb/v1/load_balancer_service.pb.h"
#include "lbd/base/unique_fd.h"

namespace lb::api {
namespace {

const RolePolicy kPolicy{.admin_group = 100,
                         .operator_group = 101,
                         .admin_certificates = {"deploy"},
                         .operator_certificates = {"oncall"}};

Role RoleOf(uid_t uid, gid_t gid, std::vector<gid_t> groups = {}) {
  return PeerOf({.uid = uid, .gid = gid, .groups = std::move(groups)}, kPolicy).role;
}

TEST(PeerTest, GroupsMakeRoles) {
  EXPECT_EQ(RoleOf(0, 0), Role::kAdmin);
  EXPECT_EQ(RoleOf(54321, 100), Role::kAdmin);
  EXPECT_EQ(RoleOf(54321, 7, {8, 101}), Role::kOperator);
  EXPECT_EQ(RoleOf(54321, 7, {101, 100}), Role::kAdmin);
  EXPECT_EQ(RoleOf(54321, 7, {8}), Role::kViewer);
}

TEST(PeerTest, CertificatesMakeRoles) {
  EXPECT_EQ(PeerOf({"deploy", "spiffe://x"}, kPolicy), (Peer{"cert deploy", Role::kAdmin}));
  EXPECT_EQ(PeerOf({"x", "oncall"}, kPolicy), (Peer{"cert x", Role::kOperator}));
  EXPECT_EQ(PeerOf({"x"}, kPolicy).role, Role::kViewer);
  EXPECT_EQ(PeerOf(std::vector<std::string>(), kPolicy).role, Role::kNone);
}

TEST(PeerTest, TheKernelSaysWhoIsAtTheOtherEnd) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const UniqueFd a(fds[0]), b(fds[1]);
  const auto process = CredentialsOf(a.get());
  ASSERT_TRUE(process);
  EXPECT_EQ(process->uid, geteuid());
  EXPECT_EQ(process->pid, getpid());
}

TEST(RoleTest, LookingTakesAViewerAndDrainingAnOperator) {
  v1::UpdateRealRequest update;
  EXPECT_EQ(RoleFor("UpdateReal", update), Role::kAdmin);
  update.mutable_update_mask()->add_paths("state");
  EXPECT_EQ(RoleFor("UpdateReal", update), Role::kOperator);
  update.mutable_update_mask()->add_paths("weight");
  EXPECT_EQ(RoleFor("UpdateReal", update), Role::kAdmin);
  EXPECT_EQ(RoleFor("GetStats", v1::GetStatsRequest()), Role::kViewer);
  EXPECT_EQ(RoleFor("ApplyConfig", v1::ApplyConfigRequest()), Role::kAdmin);
  EXPECT_EQ(RoleFor("WhatIsThis", v1::GetStatsRequest()), Role::kAdmin);
  EXPECT_FALSE(IsMutation("WatchEvents"));
  EXPECT_TRUE(IsMutation("PurgeFlows"));
}

}  // namespace
}  // namespace lb::api
