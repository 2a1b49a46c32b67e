// SPDX-License-Identifier: Apache-2.0
#include "lbd/api/certificate_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace lb::api {
namespace {

using dataplane::Level;
using std::chrono::hours;
using std::chrono::system_clock;
using ::testing::HasSubstr;

class CertificateCheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / ("lb_cert_" + std::to_string(getpid()));
    std::filesystem::create_directory(directory_);
    file_ = directory_ / "cert.pem";
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "
        "/CN=lb "
        "-keyout " +
        (directory_ / "key.pem").string() + " -out " + file_.string() + " 2>/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  dataplane::Finding At(hours from_now) const {
    return ExamineCertificates({file_.string()}, system_clock::now() + from_now).at(0);
  }

  std::filesystem::path directory_;
  std::filesystem::path file_;
};

TEST_F(CertificateCheckTest, ACertificateIsGoodUntilItIsNearItsEnd) {
  EXPECT_EQ(At(hours(0)).level, Level::kOk);
  EXPECT_EQ(At(hours(24 * 15)).level, Level::kOk);
  EXPECT_EQ(At(hours(24 * 17)).level, Level::kWarn);
  EXPECT_EQ(At(hours(24 * 31)).level, Level::kFail);
  EXPECT_THAT(At(hours(24 * 31)).message, HasSubstr("expired on 20"));
  EXPECT_EQ(At(hours(-24)).level, Level::kFail);
  EXPECT_THAT(At(hours(-24)).message, HasSubstr("not valid before"));
}

TEST_F(CertificateCheckTest, AFileWithoutACertificateFails) {
  std::ofstream(file_) << "nothing";
  EXPECT_EQ(At(hours(0)).level, Level::kFail);
  EXPECT_EQ(ExamineCertificates({"/nonexistent"}, system_clock::now()).at(0).message,
            "cannot be read");
}

}  // namespace
}  // namespace lb::api
