// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "lb/abi.h"
#include "lbd/base/siphash.h"
#include "lbd/base/status.h"
#include "lbd/base/unique_fd.h"
#include "lbd/dataplane/encode.h"
#include "lbd/dataplane/handover.h"
#include "lbd/dataplane/mapped_array.h"

namespace lb::dataplane {

// One VIP as a program forwards it.
struct VipImage {
  model::VipKey key;
  HashKey flow_key;
  uint16_t options = 0;  // LB_HASH_*
  Place place;
  FlowPlace flow_place;
  std::span<uint16_t> ring;
  std::span<uint16_t> ring_next;
  std::span<uint8_t> refused;
  std::map<uint16_t, IpAddress> reals;  // by number: all that ring or flows name
  std::set<uint16_t> owners;            // the numbers that the ring names
  std::set<uint16_t> serving;           // those of them that get new connections
};

// What the maps of a loaded program say: all that the next program has to know to go on as this one
// does. Views into maps that the program still writes to.
class Image {
 public:
  // Opens a map by its id.
  using OpenMap = std::function<UniqueFd(uint32_t id)>;
  // The maps of a program. FAILED_PRECONDITION where they cannot be understood.
  static StatusOr<Image> Open(const UniqueFd& program, const OpenMap& open_map);
  // Of the one with this id; takes CAP_SYS_ADMIN.
  static StatusOr<Image> Open(uint32_t program_id);

  const std::vector<VipImage>& vips() const { return vips_; }
  bool fast_hash() const { return reader_->fast_hash(); }
  // The part of the flow table of one of vips(), as it is now; empty where it has none.
  std::vector<lb_flow_bucket> ReadFlows(const VipImage& vip) const;

  // Keeps the program from recording flows, so that whoever takes over knows all: what nobody knows
  // yet stays with the old owner of its slot meanwhile. Returns when every CPU does.
  void Freeze();
  void Thaw();

 private:
  const MappedArray* Find(const std::string& name) const;
  // Whose entries may be VIPs.
  std::array<std::span<uint8_t>, 2> VipMaps() const;
  Status Read();
  template <typename Change>
  void ChangeFlows(Change change);
  Status ReadVip(const model::VipKey& key, const lb_vip& entry);
  void ReadReals(std::span<const lb_flow_bucket> flows, VipImage& vip) const;

  std::vector<MappedArray> maps_;
  std::vector<VipImage> vips_;
  std::optional<HandoverReader> reader_;
};

}  // namespace lb::dataplane
