// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include "lbd/api/convert.h"

namespace lb::api {
namespace {

v1::EventKind ToProto(events::Kind kind) {
  switch (kind) {
    case events::Kind::kConfig:
      return v1::EVENT_KIND_CONFIG;
    case events::Kind::kHealth:
      return v1::EVENT_KIND_HEALTH;
    case events::Kind::kDrain:
      return v1::EVENT_KIND_DRAIN;
    case events::Kind::kNextHop:
      return v1::EVENT_KIND_NEXT_HOP;
    case events::Kind::kAttach:
      return v1::EVENT_KIND_ATTACH;
    case events::Kind::kWarning:
      return v1::EVENT_KIND_WARNING;
  }
  return v1::EVENT_KIND_UNSPECIFIED;
}

}  // namespace

google::protobuf::Timestamp TimeToProto(std::chrono::system_clock::time_point time) {
  using std::chrono::microseconds;
  const auto since = std::chrono::duration_cast<microseconds>(time.time_since_epoch());
  return google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(since.count());
}

v1::Event ToProto(const events::Event& event) {
  v1::Event proto;
  proto.set_sequence(event.sequence);
  *proto.mutable_time() = TimeToProto(event.time);
  proto.set_kind(ToProto(event.kind));
  proto.set_object(event.object);
  proto.set_message(event.message);
  proto.set_generation(event.generation);
  return proto;
}

}  // namespace lb::api
