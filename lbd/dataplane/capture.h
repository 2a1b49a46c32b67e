// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/dataplane/capture_filter.h"
#include "lbd/dataplane/decision.h"
#include "lbd/dataplane/mapped_array.h"
#include "lbd/dataplane/program.h"
#include "lbd/dataplane/trace_decoder.h"

struct ring_buffer;

namespace lb::dataplane {

// Samples of one program on their way to user space.
class SampleRing {
 public:
  using Visitor = std::function<void(std::span<const uint8_t>)>;

  static StatusOr<SampleRing> Create(int map_fd);
  // Calls `visitor` for each sample that waits.
  Status Drain(const Visitor& visitor);

 private:
  struct Close {
    void operator()(ring_buffer* ring) const;
  };
  // At an address of its own, which libbpf keeps.
  std::unique_ptr<const Visitor*> visitor_;
  std::unique_ptr<ring_buffer, Close> ring_;
};

// The explaining build of the program over given tables, with a filter.
class TracingProgram {
 public:
  static StatusOr<TracingProgram> Load(const lb_config& config,
                                       std::span<const MappedArray* const> tables,
                                       std::span<const PrefixMap* const> prefix_maps,
                                       const CaptureFilter& filter,
                                       std::optional<uint32_t> priority = std::nullopt,
                                       const ProbePath* probes = nullptr, int fragments_fd = -1);

  const Program& program() const { return program_; }
  const MappedArray& state() const { return state_; }
  int samples_fd() const { return program_.map_fd("lb_samples"); }
  Status Drain(const SampleRing::Visitor& visitor) const;

 private:
  MappedArray filter_;
  MappedArray state_;
  Program program_;
};

// The reading end of a capture. Thread-compatible, and may outlive the program.
class CaptureReader {
 public:
  static StatusOr<std::unique_ptr<CaptureReader>> Create(
      const TracingProgram& program, std::span<const MappedArray* const> tables);

  // Calls `visitor` for each packet that waits.
  Status Drain(const std::function<void(const Decision&)>& visitor);
  // Packets that matched, but were kept back by the rate, or found the buffer full.
  uint64_t limited() const;
  uint64_t lost() const;
  // True when the program was replaced: no more samples come.
  bool ended() const { return *ended_; }

  const std::shared_ptr<std::atomic<bool>>& ended_flag() const { return ended_; }

 private:
  CaptureReader(SampleRing ring, TraceDecoder decoder, MappedArray state)
      : ring_(std::move(ring)), decoder_(std::move(decoder)), state_(std::move(state)) {}

  SampleRing ring_;
  TraceDecoder decoder_;
  MappedArray state_;
  std::shared_ptr<std::atomic<bool>> ended_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace lb::dataplane
