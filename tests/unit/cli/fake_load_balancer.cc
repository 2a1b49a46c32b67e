// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cli/fake_load_balancer.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace lb::cli {

FakeLoadBalancer::FakeLoadBalancer() {
  std::string directory = (std::filesystem::temp_directory_path() / "lbctl_test.XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) std::abort();
  directory_ = directory;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

FakeLoadBalancer::~FakeLoadBalancer() {
  server_->Shutdown();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace lb::cli
