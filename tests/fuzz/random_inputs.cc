// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target on random inputs: for compilers without libFuzzer, and for every test run.
// Usage: TARGET [INPUTS [SEED]]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  const long inputs = argc > 1 ? std::atol(argv[1]) : 2000;
  const long seed = argc > 2 ? std::atol(argv[2]) : 1;
  for (long i = 0; i < inputs; ++i) {
    std::mt19937 random(static_cast<uint32_t>(seed + i));
    std::vector<uint8_t> input(random() % 600);
    for (uint8_t& byte : input) byte = static_cast<uint8_t>(random());
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%ld inputs from seed %ld on\n", inputs, seed);
}
