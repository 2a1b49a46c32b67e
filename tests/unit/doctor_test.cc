// SPDX-License-Identifier: Apache-2.0
#include "lbd/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb {
namespace {

using api::SocketPath;
using dataplane::Finding;
using dataplane::Level;
using ::testing::HasSubstr;

const Process kLbd{.id = 7, .name = "lbd", .since = {}};
const Process kOther{.id = 8, .name = "nc", .since = {}};

TEST(DoctorTest, WhoHasWhatLbdNeedsIsNamed) {
  const struct {
    Occupants occupants;
    const char* check;
    Level level;
    const char* message;
    const char* fix;
  } cases[] = {
      {{}, "process", Level::kWarn, "no lbd runs", "systemctl start lbd"},
      {{.socket = SocketPath::kStale}, "process", Level::kWarn, "no lbd runs", "systemctl start"},
      {{.socket = SocketPath::kServed, .server = kLbd, .state = kLbd, .pins = kLbd},
       "process",
       Level::kOk,
       "lbd runs: process 7 (lbd), since ",
       ""},
      {{.socket = SocketPath::kServed, .server = kLbd, .pins = kLbd},
       "process",
       Level::kOk,
       "lbd runs",
       ""},
      {{.socket = SocketPath::kTaken},
       "socket",
       Level::kFail,
       "/run/lbd.sock is there, and is no socket",
       "rm /run/lbd.sock"},
      {{.socket = SocketPath::kServed, .server = kOther},
       "socket",
       Level::kFail,
       "/run/lbd.sock is served by process 8 (nc), since 1970",
       "kill 8, or give another --listen"},
      {{.state = kLbd},
       "process",
       Level::kFail,
       "process 7 (lbd), since 1970-01-01 00:00:00 UTC has /state, and does not serve",
       "ps -fp 7; where it is no lbd that starts: kill 7"},
      {{.pins = kLbd}, "process", Level::kFail, "has /pins", "kill 7"},
  };
  const Options options{
      .listen = "unix:/run/lbd.sock", .pin_path = "/pins", .state_path = "/state"};
  for (const auto& test : cases) {
    const auto found = ExamineOccupants(options, test.occupants);
    ASSERT_EQ(found.size(), 1u) << test.message;
    EXPECT_EQ(found[0].check, test.check);
    EXPECT_EQ(found[0].level, test.level) << test.message;
    EXPECT_THAT(found[0].message, HasSubstr(test.message));
    EXPECT_THAT(found[0].fix, HasSubstr(test.fix));
  }
  const auto found = ExamineOccupants({.listen = "/run/lbd.sock"}, {});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0].message, HasSubstr("--listen: must be a Unix socket"));
}

}  // namespace
}  // namespace lb
