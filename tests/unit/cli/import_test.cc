// SPDX-License-Identifier: Apache-2.0
#include "cli/import.h"

#include <gtest/gtest.h>

#include "lbd/config/document_writer.h"

namespace lb::cli {
namespace {

TEST(ImportTest, OutputOfIpvsadmBecomesADocument) {
  const auto imported = ImportIpvs(
      "-A -t 192.0.2.1:80 -s wlc\n"
      "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -i -w 3\n"
      "-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 1\n"
      "-A -u [2001:db8::1]:53 -s mh -p 300\n"
      "-a -u [2001:db8::1]:53 -r [fd00::1]:53 -g -w 0\n"
      "-A -f 1 -s rr\n"
      "-a -f 1 -r 10.0.0.9:0 -i -w 1\n");
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(config::FormatYaml(imported->config),
            "vips:\n"
            "  - address: 192.0.2.1\n"
            "    port: 80\n"
            "    protocol: tcp\n"
            "    reals:\n"
            "      - address: 10.0.0.1\n"
            "        weight: 3\n"
            "      - address: 10.0.0.2\n"
            "        weight: 1\n"
            "  - address: \"2001:db8::1\"\n"
            "    port: 53\n"
            "    protocol: udp\n"
            "    ring:\n"
            "      scheme: maglev\n"
            "    reals:\n"
            "      - address: \"fd00::1\"\n"
            "        weight: 0\n");
  ASSERT_EQ(imported->notes.size(), 6u);
  EXPECT_EQ(imported->notes[1], "line 3: lbd keeps ports: 10.0.0.2 must serve port 80, not 8080");
}

TEST(ImportTest, OutputOfKatransClientBecomesADocument) {
  const auto imported = ImportKatran(
      "2024/01/02 03:04:05 vips len 2\n"
      "VIP:           10.200.1.1 Port:     80 Protocol: tcp\n"
      "Vip's flags:  NO_LRU  QUIC_VIP \n"
      " ->10.0.0.1          weight: 10 flags: \n"
      " ->10.0.0.2          weight: 20 flags:  LOCAL_REAL \n"
      "VIP:           fc00:1::1 Port:      0 Protocol: udp\n"
      "Vip's flags: \n"
      "->fc00::2            weight: 1 flags: \n"
      "exiting\n");
  ASSERT_TRUE(imported.ok()) << imported.status();
  ASSERT_EQ(imported->config.vips_size(), 2);
  EXPECT_EQ(imported->config.vips(0).tracking(), v1::TRACKING_NONE);
  EXPECT_EQ(imported->config.vips(0).reals(1).weight(), 20u);
  EXPECT_TRUE(imported->config.vips(1).any_port());
  EXPECT_EQ(imported->config.vips(1).reals(0).address(), "fc00::2");
  EXPECT_EQ(imported->notes, (std::vector<std::string>{"line 3: flag QUIC_VIP is left out",
                                                       "line 5: flag LOCAL_REAL is left out"}));
}

TEST(ImportTest, EveryLineThatIsNotUnderstoodIsNamed) {
  const auto ipvs = ImportIpvs("hello\n-A -t nowhere -s rr\n-a -t 192.0.2.1:80 -r 10.0.0.1:80\n");
  EXPECT_EQ(Message(ipvs.status()),
            "line 1: this is no output of ipvsadm -Sn: \"hello\"\n"
            "line 2: want -t or -u ADDRESS:PORT: \"-A -t nowhere -s rr\"\n"
            "line 3: the service is not there: \"-a -t 192.0.2.1:80 -r 10.0.0.1:80\"");
  EXPECT_FALSE(ImportKatran("->10.0.0.1 weight: 1\n").ok());
  EXPECT_FALSE(ImportKatran("VIP: 10.0.0.1 Port: x Protocol: tcp\n").ok());
}

}  // namespace
}  // namespace lb::cli
