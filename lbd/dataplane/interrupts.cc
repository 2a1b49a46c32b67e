// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/interrupts.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

namespace lb::dataplane {
namespace {

constexpr uint64_t kShare = 100;

// Numbers of the interface's interrupts, by its PCI function: itself, or, of virtio, the one above.
std::set<std::string> NumbersOf(const std::string& interface, const std::string& root) {
  const std::string device = root + "/sys/class/net/" + interface + "/device";
  std::set<std::string> numbers;
  for (const char* place : {"/msi_irqs", "/../msi_irqs"}) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(device + place, error)) {
      numbers.insert(entry.path().filename());
    }
    if (!numbers.empty()) break;
  }
  return numbers;
}

// Whether the text has the name, and not just as a part of another: not eth1 of "eth10-rx-0".
bool Names(std::string_view text, std::string_view name) {
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || std::isalnum(static_cast<unsigned char>(text[at - 1])) == 0) &&
        (end == text.size() || std::isalnum(static_cast<unsigned char>(text[end])) == 0)) {
      return true;
    }
  }
  return false;
}

}  // namespace

uint32_t CountInterruptCpus(const std::string& interface, const std::string& root) {
  const std::set<std::string> numbers = NumbersOf(interface, root);
  std::ifstream file(root + "/proc/interrupts");
  std::string line;
  std::getline(file, line);  // a column for each CPU
  std::istringstream head(line);
  std::vector<uint64_t> taken(std::distance(std::istream_iterator<std::string>(head),
                                            std::istream_iterator<std::string>()));
  while (std::getline(file, line)) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t start = std::min(line.find_first_not_of(' '), colon);
    const bool ours = numbers.empty() ? Names(std::string_view(line).substr(colon), interface)
                                      : numbers.contains(line.substr(start, colon - start));
    if (!ours) continue;
    std::istringstream words(line.substr(colon + 1));
    uint64_t count = 0;
    for (size_t cpu = 0; cpu < taken.size() && words >> count; ++cpu) taken[cpu] += count;
  }
  const uint64_t all = std::accumulate(taken.begin(), taken.end(), uint64_t{0});
  return std::ranges::count_if(
      taken, [all](uint64_t count) { return count > 0 && count >= all / kShare; });
}

}  // namespace lb::dataplane
