// SPDX-License-Identifier: Apache-2.0
#include "cli/pcapng.h"

#include <algorithm>
#include <cstring>

namespace lb::cli {
namespace {

enum BlockType : uint32_t { kSection = 0x0a0d0d0a, kInterface = 1, kEnhancedPacket = 6 };
enum Option : uint16_t {
  kEnd = 0,
  kComment = 1,
  kFlags = 2,
  kTimeResolution = 9,
  kApplication = 4
};
constexpr uint16_t kEthernet = 1;
constexpr uint8_t kNanoseconds = 9;  // 10^-9 s

// The body of a block, in this machine's byte order; readers tell by the first block.
class Body {
 public:
  template <typename T>
  void Add(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  // Padded to 32 bits.
  void Add(std::string_view bytes) {
    bytes_ += bytes;
    bytes_.append((4 - bytes.size() % 4) % 4, '\0');
  }
  void AddOption(Option code, std::string_view value) {
    value = value.substr(0, UINT16_MAX);
    Add<uint16_t>(code);
    Add<uint16_t>(value.size());
    Add(value);
  }
  void EndOptions() { Add<uint32_t>(kEnd); }

  void WriteTo(std::ostream& out, BlockType type) const {
    const uint32_t head[] = {type, static_cast<uint32_t>(bytes_.size() + 12)};
    out.write(reinterpret_cast<const char*>(head), sizeof(head));
    out.write(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
    out.write(reinterpret_cast<const char*>(&head[1]), sizeof(head[1]));
  }

 private:
  std::string bytes_;
};

std::string_view AsBytes(const uint32_t& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

}  // namespace

PcapngWriter::PcapngWriter(std::ostream& out, std::string_view application, uint32_t snap)
    : out_(out) {
  Body section;
  section.Add<uint32_t>(0x1a2b3c4d);
  section.Add<uint16_t>(1);  // version 1.0
  section.Add<uint16_t>(0);
  section.Add<int64_t>(-1);  // of a length that is not known
  section.AddOption(kApplication, application);
  section.EndOptions();
  section.WriteTo(out_, kSection);
  Body interface;
  interface.Add<uint16_t>(kEthernet);
  interface.Add<uint16_t>(0);
  interface.Add<uint32_t>(snap);
  interface.AddOption(kTimeResolution, {reinterpret_cast<const char*>(&kNanoseconds), 1});
  interface.EndOptions();
  interface.WriteTo(out_, kInterface);
}

void PcapngWriter::Write(const Packet& packet) {
  Body block;
  block.Add<uint32_t>(0);  // the interface
  block.Add<uint32_t>(packet.time_nanos >> 32);
  block.Add<uint32_t>(packet.time_nanos);
  block.Add<uint32_t>(packet.frame.size());
  block.Add<uint32_t>(packet.length);
  block.Add(packet.frame);
  const uint32_t direction = packet.outgoing ? 2 : 1;
  block.AddOption(kFlags, AsBytes(direction));
  if (!packet.comment.empty()) block.AddOption(kComment, packet.comment);
  block.EndOptions();
  block.WriteTo(out_, kEnhancedPacket);
}

}  // namespace lb::cli
