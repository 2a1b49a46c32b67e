// SPDX-License-Identifier: Apache-2.0
#include "lbd/base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace lb {
namespace {

using absl::StatusCode;

TEST(StatusTest, EachConstructorHasItsCodeAndKeepsTheMessage) {
  const std::pair<Status (*)(std::string_view), StatusCode> kConstructors[] = {
      {InvalidArgument, StatusCode::kInvalidArgument},
      {NotFound, StatusCode::kNotFound},
      {AlreadyExists, StatusCode::kAlreadyExists},
      {FailedPrecondition, StatusCode::kFailedPrecondition},
      {ResourceExhausted, StatusCode::kResourceExhausted},
      {PermissionDenied, StatusCode::kPermissionDenied},
      {Unavailable, StatusCode::kUnavailable},
      {Internal, StatusCode::kInternal},
  };
  for (const auto& [make, code] : kConstructors) {
    EXPECT_EQ(make("what happened").code(), code);
    EXPECT_EQ(Message(make("what happened")), "what happened");
  }
  EXPECT_TRUE(OkStatus().ok());
  EXPECT_EQ(Message(OkStatus()), "");
}

TEST(StatusTest, ErrnoBecomesACodeAndASentence) {
  constexpr std::pair<int, StatusCode> kErrors[] = {
      {EPERM, StatusCode::kPermissionDenied},   {EACCES, StatusCode::kPermissionDenied},
      {ENOENT, StatusCode::kNotFound},          {ENODEV, StatusCode::kNotFound},
      {ENXIO, StatusCode::kNotFound},           {EEXIST, StatusCode::kAlreadyExists},
      {EBUSY, StatusCode::kFailedPrecondition}, {ENOMEM, StatusCode::kResourceExhausted},
      {ENOSPC, StatusCode::kResourceExhausted}, {E2BIG, StatusCode::kResourceExhausted},
      {EMFILE, StatusCode::kResourceExhausted}, {ENFILE, StatusCode::kResourceExhausted},
      {EINVAL, StatusCode::kInvalidArgument},   {EAGAIN, StatusCode::kUnavailable},
      {EINTR, StatusCode::kUnavailable},        {ECONNREFUSED, StatusCode::kUnavailable},
      {ENETDOWN, StatusCode::kUnavailable},     {EIO, StatusCode::kInternal},
  };
  for (const auto& [error, code] : kErrors) {
    EXPECT_EQ(ErrnoStatus(error, "attach").code(), code) << error;
  }
  EXPECT_EQ(Message(ErrnoStatus(EPERM, "attach eth0")), "attach eth0: Operation not permitted");
}

TEST(StatusTest, AnnotatePutsTheContextInFrontAndKeepsTheCode) {
  const Status status = Annotate(Annotate(NotFound("no route"), "10.0.0.1"), "next hop");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "next hop: 10.0.0.1: no route");
}

TEST(StatusTest, AnnotateLeavesSuccessAlone) {
  EXPECT_EQ(Annotate(OkStatus(), "next hop"), OkStatus());
}

Status ReturnIfError(const Status& status, bool& went_on) {
  LB_RETURN_IF_ERROR(status);
  went_on = true;
  return OkStatus();
}

TEST(StatusTest, ReturnIfErrorReturnsErrorsOnly) {
  bool went_on = false;
  EXPECT_EQ(ReturnIfError(NotFound("x"), went_on), NotFound("x"));
  EXPECT_FALSE(went_on);
  EXPECT_EQ(ReturnIfError(OkStatus(), went_on), OkStatus());
  EXPECT_TRUE(went_on);
}

StatusOr<int> Sum(StatusOr<std::unique_ptr<int>> a, StatusOr<std::unique_ptr<int>> b) {
  LB_ASSIGN_OR_RETURN(const std::unique_ptr<int> first, std::move(a));
  std::unique_ptr<int> second;
  LB_ASSIGN_OR_RETURN(second, std::move(b));
  return *first + *second;
}

TEST(StatusTest, AssignOrReturnMovesTheValueOrReturnsTheError) {
  EXPECT_EQ(Sum(std::make_unique<int>(1), std::make_unique<int>(2)).value(), 3);
  EXPECT_EQ(Sum(NotFound("a"), std::make_unique<int>(2)).status(), NotFound("a"));
  EXPECT_EQ(Sum(std::make_unique<int>(1), NotFound("b")).status(), NotFound("b"));
}

}  // namespace
}  // namespace lb
