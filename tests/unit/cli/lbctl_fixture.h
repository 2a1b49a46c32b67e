// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/run.h"
#include "lbd/config/document.h"
#include "tests/unit/cli/fake_load_balancer.h"

namespace lb::cli {

template <typename M>
M Read(std::string_view yaml) {
  M message;
  const auto document = config::ParseDocument(yaml, "test", message);
  EXPECT_TRUE(document.ok()) << document.status();
  return message;
}

// Runs lbctl against the fake and keeps what it printed.
class LbctlFixture : public testing::Test {
 protected:
  int Lbctl(std::vector<const char*> words) {
    const std::string server = "--server=" + server_;
    words.insert(words.begin(), "lbctl");
    if (words.size() < 2 || !std::string_view(words[1]).starts_with("__")) {
      words.insert(words.begin() + 1, server.c_str());
    }
    std::istringstream in(in_);
    std::ostringstream out, err;
    const int code = cli::Run(static_cast<int>(words.size()), words.data(), {in, out, err});
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  FakeLoadBalancer lbd_;
  std::string server_ = lbd_.address();
  std::string in_;
  std::string out_;
  std::string err_;
};

}  // namespace lb::cli
