// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/interrupts.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace lb::dataplane {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Stands in for /proc and /sys of a host of four CPUs.
class InterruptsTest : public ::testing::Test {
 protected:
  InterruptsTest() : root_(fmt::format("{}interrupts_test_{}", ::testing::TempDir(), getpid())) {
    std::filesystem::create_directories(root_ + "/proc");
    std::filesystem::create_directories(root_ + "/sys/class/net");
  }
  ~InterruptsTest() override { std::filesystem::remove_all(root_); }

  void Lines(const std::string& lines) {
    std::ofstream(root_ + "/proc/interrupts")
        << "            CPU0       CPU1       CPU2       CPU3\n"
        << lines << "NMI:      5000       5000       5000       5000   Non-maskable interrupts\n";
  }
  // A device, below the PCI function that has these interrupts.
  void Device(const std::string& interface, const std::string& below, std::vector<int> numbers) {
    const std::string function = root_ + "/sys/devices/" + interface;
    std::filesystem::create_directories(function + "/msi_irqs");
    std::filesystem::create_directories(function + below);
    std::filesystem::create_directories(root_ + "/sys/class/net/" + interface);
    std::filesystem::create_directory_symlink(function + below,
                                              root_ + "/sys/class/net/" + interface + "/device");
    for (const int number : numbers) {
      std::ofstream(fmt::format("{}/msi_irqs/{}", function, number)) << "msix\n";
    }
  }
  std::set<uint32_t> Cpus(const std::string& interface) { return InterruptCpus(interface, root_); }
  std::set<uint32_t> Local(const std::string& interface, const std::string& list) {
    std::ofstream(root_ + "/sys/class/net/" + interface + "/device/local_cpulist") << list;
    return LocalCpus(interface, root_);
  }

  std::string root_;
};

// mlx5 names them by the PCI function.
TEST_F(InterruptsTest, AreFoundByNumberWhateverTheirName) {
  Lines(
      " 9:        900        900        900        900   IO-APIC   9-fasteoi   acpi\n"
      " 40:      1000          0          0          0   PCI-MSIX-0000:3b:00.0   1-edge   "
      "mlx5_comp0@pci:0000:3b:00.0\n"
      "141:         0       1000          0          0   PCI-MSIX-0000:3b:00.0   2-edge   "
      "mlx5_comp1@pci:0000:3b:00.0\n"
      " 42:         0          0       1000          0   PCI-MSIX-0000:5e:00.0   1-edge   "
      "mlx5_comp0@pci:0000:5e:00.0\n");
  Device("eth0", "", {40, 141});
  Device("eth1", "", {42});
  EXPECT_THAT(Cpus("eth0"), ElementsAre(0, 1));
  EXPECT_THAT(Cpus("eth1"), ElementsAre(2));
}

TEST_F(InterruptsTest, OfVirtioAreThoseOfThePciFunctionAboveIt) {
  Lines(
      " 38:         0       9926          0          0   PCI-MSIX-0000:00:03.0   1-edge   "
      "virtio2-input.0\n"
      " 39:         0       6253          0          0   PCI-MSIX-0000:00:03.0   2-edge   "
      "virtio2-output.0\n"
      " 41:     14331          0          0          0   PCI-MSIX-0000:00:04.0   1-edge   "
      "virtio3-rx\n");
  Device("eth0", "/virtio2", {38, 39});
  EXPECT_THAT(Cpus("eth0"), ElementsAre(1));
}

TEST_F(InterruptsTest, AreFoundByNameWhereThereIsNoNumber) {
  Lines(
      " 40:      1000          0          0          0   ITS-MSI 1-edge   eth1-rx-0\n"
      " 41:         0       1000          0          0   ITS-MSI 2-edge   i40e-eth1-TxRx-1\n"
      " 42:         0          0       1000          0   ITS-MSI 3-edge   eth10-rx-0\n"
      " 43:         0          0          0       1000   ITS-MSI 4-edge   veth1-rx-0\n");
  EXPECT_THAT(Cpus("eth1"), ElementsAre(0, 1));
  EXPECT_THAT(Cpus("eth10"), ElementsAre(2));
  EXPECT_THAT(Cpus("eth2"), IsEmpty());
}

TEST_F(InterruptsTest, AFewOfAMailboxAreNoLoad) {
  Lines(
      " 40:    100000          0          0          0   PCI-MSIX   1-edge   mlx5_comp0\n"
      " 41:         0          7          0          0   PCI-MSIX   0-edge   mlx5_async0\n");
  Device("eth0", "", {40, 41});
  EXPECT_THAT(Cpus("eth0"), ElementsAre(0));
}

TEST_F(InterruptsTest, GoWhereTheyAreBoundToNow) {
  Lines(
      " 40:      1000          0          0          0   PCI-MSIX   1-edge   mlx5_comp0\n"
      " 41:         0       1000          0          0   PCI-MSIX   2-edge   mlx5_comp1\n"
      " 42:         1          0          0          0   PCI-MSIX   0-edge   mlx5_async0\n");
  Device("eth0", "", {40, 41, 42});
  for (const auto& [number, cpus] : {std::pair("40", "2-3\n"), std::pair("42", "0\n")}) {
    const std::string directory = fmt::format("{}/proc/irq/{}", root_, number);
    std::filesystem::create_directories(directory);
    std::ofstream(directory + "/effective_affinity_list") << cpus;
  }
  EXPECT_THAT(Cpus("eth0"), ElementsAre(1, 2, 3));
}

TEST_F(InterruptsTest, OfCpusThatAreOfflineThereIsNoColumn) {
  std::ofstream(root_ + "/proc/interrupts") << "            CPU0       CPU2       CPU11\n"
                                            << " 40:      0       1000       1000   eth0-rx-0\n";
  EXPECT_THAT(Cpus("eth0"), ElementsAre(2, 11));
}

TEST_F(InterruptsTest, LocalCpusAreThoseOfTheNode) {
  Device("eth0", "", {40});
  EXPECT_THAT(Local("eth0", "0-2,8-9,16\n"), ElementsAre(0, 1, 2, 8, 9, 16));
  EXPECT_THAT(Local("eth0", "\n"), IsEmpty());
  EXPECT_THAT(LocalCpus("eth1"), IsEmpty());
}

TEST_F(InterruptsTest, WithoutAnyNothingIsKnown) {
  EXPECT_THAT(Cpus("eth0"), IsEmpty());
  Lines(" 40:         0          0          0          0   PCI-MSIX   1-edge   eth0-rx-0\n");
  EXPECT_THAT(Cpus("eth0"), IsEmpty());
}

}  // namespace
}  // namespace lb::dataplane
