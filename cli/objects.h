// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "lb/v1/load_balancer_service.pb.h"
#include "lbd/base/status.h"

// How people write and read the objects of lb.v1.
namespace lb::cli {

// "192.0.2.1:80/tcp", "[2001:db8::1]:443/udp", "192.0.2.1:any/tcp",
// "192.0.2.0/24:8000-8100/tcp_udp"; without a protocol TCP.
StatusOr<v1::VipKey> ParseVip(std::string_view text);
// "10.0.0.1", "10.0.0.1,weight=50,state=standby,encap=gue"
StatusOr<v1::Real> ParseReal(std::string_view text);
// "100", "100/500": so many per second, and so many at once.
StatusOr<v1::RateLimit> ParseRate(std::string_view text);
StatusOr<v1::RingScheme> ParseRingScheme(std::string_view text);
StatusOr<v1::RealState> ParseRealState(std::string_view text);
StatusOr<v1::Tracking> ParseTracking(std::string_view text);
StatusOr<v1::HashPolicy> ParseHashPolicy(std::string_view text);
StatusOr<v1::Encapsulation> ParseEncap(std::string_view text);

// "off", "tcp_option", or of quic_lb:CONFIG:BYTES and quic_katran some, separated by commas.
StatusOr<v1::RouteById> ParseRouteById(std::string_view text);

// As it counts: by its checks, or by an operator.
bool IsUp(const v1::RealHealth& real);

v1::VipKey KeyOf(const v1::Vip& vip);
bool SameVip(const v1::VipKey& a, const v1::VipKey& b);

std::string ToText(const v1::VipKey& vip);
std::string ToText(const v1::Ring& ring);  // "rendezvous", "maglev 2^16"
std::string ToText(v1::XdpMode mode);
std::string ToText(v1::AttachMode mode);
std::string ToText(v1::RealState state);      // "active"
std::string ToText(v1::Tracking tracking);    // "auto"
std::string ToText(v1::HashPolicy policy);    // "five_tuple"
std::string ToText(v1::Encapsulation encap);  // "ipip"
// "real 10.0.0.1 of 192.0.2.1:80/tcp"
std::string RealName(const v1::VipKey& vip, std::string_view address);

// "2026-01-31 23:59:59.123", in the local time.
std::string LocalTime(const google::protobuf::Timestamp& time);

// What holds where the message leaves it open.
uint32_t WeightOf(const v1::Real& real);
v1::RealState StateOf(const v1::Real& real);

}  // namespace lb::cli
