// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "lbd/base/ip_address.h"
#include "lbd/base/mac_address.h"
#include "lbd/model/encap.h"

// Frames of probes and of answers to them, as bytes. Pure functions. What arrives is written by
// strangers: nothing in it is trusted before it was checked.
namespace lb::health {

using Bytes = std::span<const uint8_t>;

inline constexpr uint8_t kIcmp = 1;
inline constexpr uint8_t kTcp = 6;
inline constexpr uint8_t kUdp = 17;
inline constexpr uint8_t kIcmp6 = 58;

inline constexpr uint8_t kFin = 0x01;
inline constexpr uint8_t kSyn = 0x02;
inline constexpr uint8_t kRst = 0x04;
inline constexpr uint8_t kPush = 0x08;
inline constexpr uint8_t kAck = 0x10;

// How a frame gets to a real.
struct Route {
  MacAddress source;
  MacAddress destination;
  // The outer headers; of one family. Empty: none.
  struct Tunnel {
    IpAddress source;
    IpAddress destination;
    model::Encap encap = model::Encap::kIpIp;  // not kL2, which has none
    uint16_t source_port = 0;                  // of GUE
    uint16_t destination_port = 0;
  };
  std::optional<Tunnel> tunnel;

  // Bytes in front of the inner IP packet.
  size_t overhead() const;
};

// Who talks to whom; ports are 0 for ICMP. The addresses are of one family.
struct Flow {
  IpAddress source;
  IpAddress destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
};

struct TcpHeader {
  uint32_t seq = 0;
  uint32_t ack = 0;
  uint8_t flags = 0;
  uint16_t window = 0;
  uint16_t mss = 0;  // the option; 0: none
};

// These write a complete frame to `out` and return its size; 0 where it does not fit.
size_t WriteTcp(std::span<uint8_t> out, const Route& route, const Flow& flow,
                const TcpHeader& header, Bytes payload);
size_t WriteUdp(std::span<uint8_t> out, const Route& route, const Flow& flow, Bytes payload);
size_t WriteEchoRequest(std::span<uint8_t> out, const Route& route, const Flow& flow, uint16_t id,
                        uint16_t sequence, Bytes payload);

// The IP packet in a frame, behind up to two VLAN tags. Views into the frame.
struct Packet {
  IpAddress source;
  IpAddress destination;
  uint8_t protocol = 0;
  Bytes payload;         // as long as the IP header says
  bool complete = true;  // false: a quoted packet of which the end is missing
};

// Empty where that is no IP packet, a fragment, or contradicts itself.
std::optional<Packet> ParseFrame(Bytes frame);
// The packet that an ICMP error quotes; its end may be missing.
std::optional<Packet> ParseQuoted(Bytes bytes, bool v4);
// The packet inside a quoted one; empty where that is not of a tunnel: IPIP, GRE, or GUE to that
// port.
std::optional<Packet> ParseInner(const Packet& outer, uint16_t gue_port);

struct TcpSegment {
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  TcpHeader header;
  Bytes payload;
};

struct UdpDatagram {
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  Bytes payload;
};

struct IcmpMessage {
  uint8_t type = 0;
  uint8_t code = 0;
  uint16_t id = 0;  // of echo requests and replies
  uint16_t sequence = 0;
  Bytes payload;  // behind the first 8 bytes
};

// Empty where the packet is of another protocol, too short, or its checksum is wrong.
std::optional<TcpSegment> ParseTcp(const Packet& packet);
std::optional<UdpDatagram> ParseUdp(const Packet& packet);
std::optional<IcmpMessage> ParseIcmp(const Packet& packet);

}  // namespace lb::health
