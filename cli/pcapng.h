// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace lb::cli {

// Writes captured frames as pcapng (draft-ietf-opsawg-pcapng), which Wireshark, tshark and tcpdump
// read. One section, one Ethernet interface, time in nanoseconds.
class PcapngWriter {
 public:
  PcapngWriter(std::ostream& out, std::string_view application, uint32_t snap);

  struct Packet {
    uint64_t time_nanos = 0;  // Unix time
    std::string_view frame;
    uint32_t length = 0;  // of the whole frame
    bool outgoing = false;
    std::string_view comment;
  };
  void Write(const Packet& packet);

 private:
  std::ostream& out_;
};

}  // namespace lb::cli
