// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/dataplane/next_hop.h"
#include "lbd/model/config.h"
#include "lbd/model/ring_builder.h"

namespace lb::dataplane {

// A VIP with the ring that it is to be forwarded by.
struct Service {
  model::Vip vip;
  std::shared_ptr<const model::Ring> ring;  // values: index + 1 into vip.reals

  bool operator==(const Service&) const = default;
};

// What the kernel is to forward by.
struct Desired {
  model::Settings settings;
  std::vector<Service> services;
};

struct Attachment {
  std::string interface;
  model::XdpMode mode;  // the mode in force: native or generic
  uint32_t program_id = 0;
  bool link_up = false;
};

struct Counter {
  uint64_t packets = 0;
  uint64_t bytes = 0;

  Counter& operator+=(const Counter& other) {
    packets += other.packets;
    bytes += other.bytes;
    return *this;
  }
  bool operator==(const Counter&) const = default;
};

struct RealCounter {
  IpAddress address;
  Counter counter;
};

struct VipCounters {
  model::VipKey key;
  std::vector<RealCounter> reals;  // in the order of the configuration
};

struct VerdictCounter {
  std::string_view verdict;      // "no_real"
  std::string_view action;       // "tx", "pass" or "drop"
  std::string_view description;  // one sentence
  uint64_t packets = 0;
};

struct Stats {
  std::vector<VipCounters> vips;
  std::vector<VerdictCounter> verdicts;  // every verdict, in the order of the enum
};

// The forwarding plane. Owned by the control thread, not thread-safe.
class Dataplane {
 public:
  virtual ~Dataplane() = default;

  // Makes the kernel forward by `desired`, all or nothing; returns when every CPU does.
  virtual Status Apply(const Desired& desired) = 0;

  // Readable when next hops may have changed; then call OnEvents(). -1: no such thing.
  virtual int event_fd() const = 0;
  virtual void OnEvents() = 0;

  virtual std::vector<Attachment> Attachments() const = 0;
  // One per distinct real of the applied state, sorted by address.
  virtual std::vector<NextHopResult> NextHops() const = 0;
  virtual Stats ReadStats() const = 0;
  // Bytes of kernel memory in BPF maps.
  virtual uint64_t MapBytes() const = 0;
  // What an operator should know, one sentence each.
  virtual std::vector<std::string> Warnings() const = 0;
};

}  // namespace lb::dataplane
