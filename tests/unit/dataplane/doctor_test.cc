// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

namespace lb::dataplane {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

HostFacts GoodHost() {
  return {.kernel = "6.1.0-18-amd64", .pin_path = "/sys/fs/bpf/lbd", .cpus = 4};
}

InterfaceFacts GoodInterface() {
  return {.info = {.name = "eth0",
                   .index = 2,
                   .mac = {},
                   .mtu = 1600,
                   .admin_up = true,
                   .running = true,
                   .ethernet = true,
                   .xdp_attached = XdpAttached::kNative,
                   .xdp_program_id = 7},
          .nic = {.driver = "mlx5_core",
                  .features = {{"rx-lro", false}},
                  .rx_queues = 4,
                  .max_queues = 16,
                  .rx_ring = 1024,
                  .max_rx_ring = 8192},
          .own_program = 7,
          .irq_cpus = {0, 1, 2, 3}};
}

model::Settings Wanted() {
  model::Settings settings;
  settings.interfaces = {"eth0"};
  settings.xdp_mode = model::XdpMode::kNative;
  return settings;
}

std::vector<Finding> Bad(std::vector<Finding> findings) {
  std::erase_if(findings, [](const Finding& finding) { return finding.level == Level::kOk; });
  return findings;
}

TEST(DoctorTest, AGoodHostIsFine) {
  EXPECT_THAT(Bad(ExamineHost(GoodHost())), IsEmpty());
  EXPECT_THAT(Bad(ExamineInterface(GoodInterface(), GoodHost(), Wanted())), IsEmpty());
}

struct HostCase {
  const char* check;
  Level level;
  std::function<void(HostFacts&)> harm;
};

TEST(DoctorTest, EachFaultOfAHostIsFoundByItsName) {
  const HostCase cases[] = {
      {"kernel", Level::kFail, [](HostFacts& host) { host.kernel = "5.10.0-28-amd64"; }},
      {"kernel", Level::kWarn, [](HostFacts& host) { host.kernel = "5.15.0"; }},
      {"kernel", Level::kWarn, [](HostFacts& host) { host.kernel = "5.16.1"; }},
      {"jit", Level::kFail, [](HostFacts& host) { host.bpf_jit = 0; }},
      {"privileges", Level::kFail, [](HostFacts& host) { host.capable = false; }},
      {"bpffs", Level::kFail, [](HostFacts& host) { host.bpffs = false; }},
      {"clock", Level::kWarn, [](HostFacts& host) { host.clock_synchronised = false; }},
  };
  for (const HostCase& test : cases) {
    HostFacts host = GoodHost();
    test.harm(host);
    const auto bad = Bad(ExamineHost(host));
    ASSERT_EQ(bad.size(), 1u) << test.check;
    EXPECT_EQ(bad[0].check, test.check);
    EXPECT_EQ(bad[0].level, test.level) << test.check;
  }
  HostFacts old = GoodHost();
  old.kernel = "5.10.0";
  old.memlock_bytes = 64 << 10;
  EXPECT_EQ(Bad(ExamineHost(old)).size(), 2u);
}

TEST(DoctorTest, ADiskThatIsFullIsFoundWhereTheStateIs) {
  EXPECT_EQ(ExamineDisk("/srv/lbd", 64 << 20).level, Level::kOk);
  EXPECT_EQ(ExamineDisk("/srv/lbd", UINT64_MAX).level, Level::kOk);
  const Finding full = ExamineDisk("/srv/lbd", (3 << 20) + 1);
  EXPECT_EQ(full.level, Level::kWarn);
  EXPECT_EQ(full.message, "3 MiB are left for revisions in /srv/lbd");
  EXPECT_EQ(full.fix, "df -h /srv/lbd; make room");
  EXPECT_EQ(FreeBytes("/no/such/directory"), UINT64_MAX);
  EXPECT_EQ(FreeBytes("/proc"), 0u);
}

struct InterfaceCase {
  const char* check;
  Level level;
  const char* fix;
  std::function<void(InterfaceFacts&)> harm;
};

TEST(DoctorTest, EachFaultOfAnInterfaceIsFoundWithItsFix) {
  const InterfaceCase cases[] = {
      {"eth0: link", Level::kFail, "ip link set eth0 up",
       [](InterfaceFacts& eth0) { eth0.info.admin_up = false; }},
      {"eth0: link", Level::kFail, "cable",
       [](InterfaceFacts& eth0) { eth0.info.running = false; }},
      {"eth0: link", Level::kFail, "ip link set eth9 up",
       [](InterfaceFacts& eth0) {
         eth0.info.running = false;
         eth0.peer_name = "eth9";
       }},
      {"eth0: program", Level::kFail, "systemctl restart lbd",
       [](InterfaceFacts& eth0) { eth0.own_program = eth0.info.xdp_program_id = 0; }},
      {"eth0: program", Level::kFail, "ip link set dev eth0 xdpdrv off",
       [](InterfaceFacts& eth0) { eth0.own_program = 0; }},
      {"eth0: program", Level::kFail, "bpftool net show dev eth0",
       [](InterfaceFacts& eth0) { eth0.info.xdp_program_id = 9; }},
      {"eth0: xdp mode", Level::kWarn, "xdp_mode: native",
       [](InterfaceFacts& eth0) { eth0.info.xdp_attached = XdpAttached::kGeneric; }},
      {"eth0: xdp mode", Level::kWarn, "native XDP",
       [](InterfaceFacts& eth0) {
         eth0.nic.driver = "r8169";
         eth0.info.xdp_attached = XdpAttached::kGeneric;
       }},
      {"eth0: offload", Level::kFail, "ethtool -K eth0 lro off",
       [](InterfaceFacts& eth0) { eth0.nic.features["rx-lro"] = true; }},
      {"eth0: offload", Level::kFail, "ethtool -K eth0 rx-gro-hw off",
       [](InterfaceFacts& eth0) { eth0.nic.features["rx-gro-hw"] = true; }},
      {"eth0: offload", Level::kWarn, "ethtool -K eth9 tx off",
       [](InterfaceFacts& eth0) {
         eth0.nic.driver = "veth";
         eth0.peer_name = "eth9";
         eth0.peer.features["tx-checksum-ip-generic"] = true;
       }},
      {"eth0: queues", Level::kWarn, "ethtool -L eth0 combined 4",
       [](InterfaceFacts& eth0) { eth0.nic.rx_queues = 1; }},
      {"eth0: queues", Level::kWarn, "ethtool -L eth0 rx 4",
       [](InterfaceFacts& eth0) {
         eth0.nic.rx_queues = 1;
         eth0.nic.combined = false;
       }},
      {"eth0: queues", Level::kWarn, "ethtool -L eth0 combined 3",
       [](InterfaceFacts& eth0) {
         eth0.nic.driver = "ena";
         eth0.nic.rx_queues = 2;
         eth0.nic.max_queues = 6;
       }},
      {"eth0: interrupts", Level::kWarn, "irqbalance",
       [](InterfaceFacts& eth0) { eth0.irq_cpus = {3}; }},
      {"eth0: ring", Level::kWarn, "ethtool -G eth0 rx 4096",
       [](InterfaceFacts& eth0) { eth0.nic.rx_ring = 256; }},
  };
  for (const InterfaceCase& test : cases) {
    InterfaceFacts interface = GoodInterface();
    test.harm(interface);
    const auto bad = Bad(ExamineInterface(interface, GoodHost(), Wanted()));
    ASSERT_EQ(bad.size(), 1u) << test.check << " " << test.fix;
    EXPECT_EQ(bad[0].check, test.check);
    EXPECT_EQ(bad[0].level, test.level) << test.check;
    EXPECT_THAT(bad[0].fix, HasSubstr(test.fix)) << test.check;
  }
}

TEST(DoctorTest, AGenericProgramSeesMergedPackets) {
  InterfaceFacts interface = GoodInterface();
  interface.nic.features["rx-gro"] = true;
  interface.info.xdp_attached = XdpAttached::kGeneric;
  model::Settings settings = Wanted();
  settings.xdp_mode = model::XdpMode::kGeneric;
  const auto bad = Bad(ExamineInterface(interface, GoodHost(), settings));
  ASSERT_EQ(bad.size(), 2u);
  EXPECT_EQ(bad[0].check, "eth0: xdp mode");
  EXPECT_EQ(bad[0].fix, "set xdp_mode: native");
  EXPECT_EQ(bad[1].check, "eth0: offload");
  EXPECT_EQ(bad[1].fix, "ethtool -K eth0 gro off");
}

TEST(DoctorTest, InterruptsBelongToTheNodeOfTheCard) {
  InterfaceFacts interface = GoodInterface();
  interface.numa_nodes = 2;
  interface.numa_node = 1;
  interface.local_cpus = {2, 3, 6, 7};
  interface.irq_cpus = {0, 2, 3, 5};
  const auto bad = Bad(ExamineInterface(interface, GoodHost(), Wanted()));
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].check, "eth0: numa");
  EXPECT_EQ(bad[0].level, Level::kWarn);
  EXPECT_THAT(bad[0].message, HasSubstr("at node 1, and CPUs of another node (0,5) take"));
  EXPECT_EQ(bad[0].fix,
            "for i in $(ls /sys/class/net/eth0/device/msi_irqs); do echo 2,3,6,7 "
            ">/proc/irq/$i/smp_affinity_list; done");
  const auto is_fine = [&] {
    return Bad(ExamineInterface(interface, GoodHost(), Wanted())).empty();
  };
  interface.irq_cpus = {3, 6};
  EXPECT_TRUE(is_fine());
  interface.irq_cpus = {0, 1};
  interface.local_cpus = {};
  EXPECT_TRUE(is_fine()) << "nothing is known";
  interface.local_cpus = {2, 3, 6, 7};
  interface.numa_node = -1;
  EXPECT_TRUE(is_fine()) << "it is at no node";
  interface.numa_node = 0;
  interface.numa_nodes = 1;
  EXPECT_TRUE(is_fine()) << "there is one node";
}

TEST(DoctorTest, AProgramThatAnotherCallsIsNotTheOneThatIsAttached) {
  model::Settings settings = Wanted();
  settings.attach = model::AttachMode::kDispatcher;
  InterfaceFacts interface = GoodInterface();
  interface.info.xdp_program_id = 9;
  EXPECT_THAT(Bad(ExamineInterface(interface, GoodHost(), settings)), IsEmpty());
  interface.own_program = 0;
  const auto bad = Bad(ExamineInterface(interface, GoodHost(), settings));
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].message, "program 9 is attached, and does not call lbd's");
  EXPECT_EQ(bad[0].fix, "systemctl restart lbd");
}

TEST(DoctorTest, AStrictReversePathFilterMattersWithSeveralInterfaces) {
  InterfaceFacts interface = GoodInterface();
  interface.rp_filter = 1;
  model::Settings settings = Wanted();
  const auto examine = [&] { return Bad(ExamineInterface(interface, GoodHost(), settings)); };
  EXPECT_THAT(examine(), IsEmpty());
  settings.interfaces.push_back("eth1");
  const auto bad = examine();
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].check, "eth0: rp_filter");
  EXPECT_EQ(bad[0].fix, "sysctl -w net.ipv4.conf.eth0.rp_filter=2");
  interface.rp_filter = 2;
  EXPECT_THAT(examine(), IsEmpty());
}

TEST(DoctorTest, MtuHeadroomIsThatOfTheShortestWay) {
  const auto hop = [](const char* real, uint32_t mtu) {
    return NextHopResult{.real = IpAddress::Parse(real).value(),
                         .hop = {.destination = {},
                                 .source = {},
                                 .ifindex = 2,
                                 .interface = "eth0",
                                 .mtu = mtu,
                                 .via = {}},
                         .problem = {}};
  };
  const std::map<IpAddress, int> overheads = {{IpAddress::Parse("10.0.0.1").value(), 20},
                                              {IpAddress::Parse("10.0.0.2").value(), 0},
                                              {IpAddress::Parse("fd00::1").value(), 40}};
  EXPECT_THAT(Bad(ExamineNextHops({hop("10.0.0.1", 1520), hop("fd00::1", 1540)}, overheads)),
              IsEmpty());
  EXPECT_THAT(Bad(ExamineNextHops({hop("10.0.0.2", 1500)}, overheads)), IsEmpty());
  const auto bad = Bad(ExamineNextHops({hop("10.0.0.1", 1500), hop("fd00::1", 1500)}, overheads));
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].check, "eth0: mtu headroom");
  EXPECT_THAT(bad[0].message, HasSubstr("need 1540"));
  EXPECT_THAT(bad[0].fix, HasSubstr("mtu 1540"));
  EXPECT_THAT(bad[0].fix, HasSubstr("advmss 1420"));
}

TEST(DoctorTest, AnUnresolvedNextHopFails) {
  const auto bad = Bad(ExamineNextHops(
      {{.real = IpAddress::Parse("10.0.0.1").value(), .hop = {}, .problem = "no route"}}, {}));
  ASSERT_EQ(bad.size(), 1u);
  EXPECT_EQ(bad[0].message, "no route");
  EXPECT_THAT(bad[0].fix, HasSubstr("ip route get 10.0.0.1"));
}

TEST(DriverTableTest, DriversAreSortedAndVersionsAreRead) {
  EXPECT_TRUE(std::ranges::is_sorted(KnownDrivers(), {}, &DriverSupport::driver));
  EXPECT_EQ(ParseKernelVersion("6.1.0-18-amd64"), (KernelVersion{6, 1}));
  EXPECT_EQ(ParseKernelVersion("5.15"), (KernelVersion{5, 15}));
  for (const char* bad : {"", "6", "x.y", "6."})
    EXPECT_EQ(ParseKernelVersion(bad), KernelVersion{});
  ASSERT_NE(FindDriver("veth"), nullptr);
  ASSERT_NE(FindDriver("virtio_net"), nullptr);
  EXPECT_EQ(FindDriver("virtio_net")->zero_copy, (KernelVersion{6, 13}));
  EXPECT_EQ(FindDriver("nonesuch"), nullptr);
}

}  // namespace
}  // namespace lb::dataplane
