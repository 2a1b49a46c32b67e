// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/interrupts.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
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

// The CPUs in a file such as "0-3,8-11"; none where there is no such file.
std::set<uint32_t> ReadCpus(const std::string& path) {
  std::ifstream list(path);
  std::set<uint32_t> cpus;
  for (uint32_t first = 0; list >> first;) {
    uint32_t last = first;
    if (list.peek() == '-') list.ignore() >> last;
    for (uint32_t cpu = first; cpu <= last; ++cpu) cpus.insert(cpu);
    if (list.peek() == ',') list.ignore();
  }
  return cpus;
}

// The numbers in the head of /proc/interrupts, "CPU0 CPU2": those that are offline are not there.
std::vector<uint32_t> CpusOf(const std::string& head) {
  std::istringstream words(head);
  std::vector<uint32_t> cpus;
  for (std::string word; words >> word;) {
    uint32_t cpu = 0;
    std::istringstream(word.substr(std::min<size_t>(word.size(), 3))) >> cpu;
    cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace

std::set<uint32_t> InterruptCpus(const std::string& interface, const std::string& root) {
  struct Interrupt {
    std::string number;
    std::vector<uint64_t> taken;  // by each of `cpus`
  };
  const std::set<std::string> numbers = NumbersOf(interface, root);
  std::ifstream file(root + "/proc/interrupts");
  std::string line;
  std::getline(file, line);
  const std::vector<uint32_t> cpus = CpusOf(line);
  std::vector<Interrupt> interrupts;
  uint64_t all = 0;
  while (std::getline(file, line)) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t start = std::min(line.find_first_not_of(' '), colon);
    const std::string number = line.substr(start, colon - start);
    const bool ours = numbers.empty() ? Names(std::string_view(line).substr(colon), interface)
                                      : numbers.contains(number);
    if (!ours) continue;
    Interrupt& interrupt = interrupts.emplace_back(number, std::vector<uint64_t>(cpus.size()));
    std::istringstream words(line.substr(colon + 1));
    for (uint64_t& count : interrupt.taken) words >> count;
    all = std::accumulate(interrupt.taken.begin(), interrupt.taken.end(), all);
  }
  const auto matters = [all](uint64_t count) { return count > 0 && count >= all / kShare; };
  std::set<uint32_t> result;
  for (const Interrupt& interrupt : interrupts) {
    const auto& taken = interrupt.taken;
    if (!matters(std::accumulate(taken.begin(), taken.end(), uint64_t{0}))) continue;
    const auto now = ReadCpus(root + "/proc/irq/" + interrupt.number + "/effective_affinity_list");
    result.insert(now.begin(), now.end());
    for (size_t i = 0; i < cpus.size() && now.empty(); ++i) {
      if (matters(taken[i])) result.insert(cpus[i]);
    }
  }
  return result;
}

std::set<uint32_t> LocalCpus(const std::string& interface, const std::string& root) {
  return ReadCpus(root + "/sys/class/net/" + interface + "/device/local_cpulist");
}

}  // namespace lb::dataplane
