// SPDX-License-Identifier: Apache-2.0
#include "cli/objects.h"

#include <gtest/gtest.h>

namespace lb::cli {
namespace {

TEST(ObjectsTest, AVipIsReadAndWrittenTheSame) {
  for (const char* text :
       {"203.0.113.10:80/tcp", "[2001:db8::1]:443/udp", "203.0.113.10:any/tcp",
        "203.0.113.10:8000-8100/tcp_udp", "203.0.113.0/24:443/tcp", "[2001:db8::/64]:any/udp"}) {
    const auto vip = ParseVip(text);
    ASSERT_TRUE(vip.ok()) << vip.status();
    EXPECT_EQ(ToText(*vip), text);
  }
}

TEST(ObjectsTest, AVipWithoutProtocolIsTcp) {
  EXPECT_EQ(ToText(*ParseVip("192.0.2.1:80")), "192.0.2.1:80/tcp");
}

TEST(ObjectsTest, AllPortsAreNotPortZero) {
  const auto vip = ParseVip("192.0.2.1:any/udp");
  ASSERT_TRUE(vip.ok());
  EXPECT_TRUE(vip->any_port());
  EXPECT_FALSE(vip->has_port());
  EXPECT_FALSE(ParseVip("192.0.2.1:0/udp").ok());
}

TEST(ObjectsTest, TheSameAddressCanBeSpelledTwoWays) {
  v1::VipKey spelled = *ParseVip("[2001:db8::1]:80/tcp");
  spelled.set_address("2001:0DB8:0:0::1");
  EXPECT_TRUE(SameVip(spelled, *ParseVip("[2001:db8::1]:80/tcp")));
  EXPECT_FALSE(SameVip(spelled, *ParseVip("[2001:db8::1]:80/udp")));
}

TEST(ObjectsTest, ARealTakesItsOptionsBehindCommas) {
  const auto plain = ParseReal("10.0.0.1");
  ASSERT_TRUE(plain.ok());
  EXPECT_FALSE(plain->has_weight());
  EXPECT_EQ(WeightOf(*plain), 100);
  EXPECT_EQ(StateOf(*plain), v1::REAL_STATE_ACTIVE);
  const auto full = ParseReal("2001:db8::2,weight=0,state=down");
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(full->address(), "2001:db8::2");
  EXPECT_TRUE(full->has_weight());
  EXPECT_EQ(WeightOf(*full), 0);
  EXPECT_EQ(StateOf(*full), v1::REAL_STATE_DOWN);
  EXPECT_EQ(ParseReal("10.0.0.1,state=standby")->state(), v1::REAL_STATE_STANDBY);
  EXPECT_EQ(ParseReal("10.0.0.1,encap=gue")->encap(), v1::ENCAPSULATION_GUE);
  EXPECT_FALSE(ParseReal("10.0.0.1,encap=vxlan").ok());
}

TEST(ObjectsTest, ARateMayHaveABurst) {
  EXPECT_EQ(ParseRate("100")->per_second(), 100);
  EXPECT_EQ(ParseRate("100")->burst(), 0);
  EXPECT_EQ(ParseRate("100/500")->burst(), 500);
  EXPECT_EQ(ParseRate("0")->per_second(), 0);
  for (const char* text : {"", "x", "1/", "1/0", "1/x", "-1", "1/2/3"}) {
    EXPECT_FALSE(ParseRate(text).ok()) << text;
  }
}

TEST(ObjectsTest, WhatAMessageLeavesOpenHasItsDefault) {
  EXPECT_EQ(ToText(v1::REAL_STATE_UNSPECIFIED), "active");
  EXPECT_EQ(ToText(v1::REAL_STATE_DRAINING), "draining");
  EXPECT_EQ(ToText(v1::TRACKING_UNSPECIFIED), "auto");
  EXPECT_EQ(ToText(v1::TRACKING_NONE), "none");
}

TEST(ObjectsTest, AStateOfANewerLbdIsANumber) {
  EXPECT_EQ(ToText(static_cast<v1::RealState>(9)), "9");
}

TEST(ObjectsTest, ABadRealIsExplained) {
  EXPECT_EQ(Message(ParseReal("10.0.0.1,wieght=5").status()),
            "\"wieght\": unknown; write a real as ADDRESS[,weight=N][,server_id=N][,state=STATE]"
            "[,encap=ENCAP]");
  EXPECT_EQ(Message(ParseReal("10.0.0.1,weight=1000001").status()),
            "weight: want 0..1000000, got \"1000001\"");
  EXPECT_EQ(Message(ParseReal("10.0.0.1,state=off").status()),
            "state: want one of active, draining, down, standby, got \"off\"");
  EXPECT_FALSE(ParseReal("10.0.0").ok());
}

TEST(ObjectsTest, RoutingByIdIsReadAsALine) {
  const auto quic = ParseRouteById("quic_katran,quic_lb:1:4");
  ASSERT_TRUE(quic.ok());
  EXPECT_TRUE(quic->quic_katran());
  ASSERT_EQ(quic->quic_lb_size(), 1);
  EXPECT_EQ(quic->quic_lb(0).config_id(), 1u);
  EXPECT_EQ(quic->quic_lb(0).server_id_length(), 4u);
  EXPECT_TRUE(ParseRouteById("tcp_option")->tcp_option());
  EXPECT_FALSE(ParseRouteById("off")->tcp_option());
  EXPECT_EQ(Message(ParseRouteById("quic_lb:1").status()),
            "want quic_lb:CONFIG:BYTES, got \"quic_lb:1\"");
  EXPECT_EQ(Message(ParseRouteById("tcp").status()),
            "want off, tcp_option, quic_katran or quic_lb:CONFIG:BYTES, got \"tcp\"");
  EXPECT_EQ(ParseReal("10.0.0.1,server_id=7")->server_id(), 7u);
  EXPECT_FALSE(ParseReal("10.0.0.1,server_id=x").ok());
}

}  // namespace
}  // namespace lb::cli
