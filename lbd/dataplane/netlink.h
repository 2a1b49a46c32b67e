// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "lbd/base/ip_address.h"
#include "lbd/base/status.h"

namespace lb::dataplane {

// A route netlink socket. Move-only; thread-compatible.
class NetlinkSocket {
 public:
  using Handler = std::function<void(const nlmsghdr*)>;

  // With `groups` (RTNLGRP_*) the socket gets their events and cannot make requests.
  static StatusOr<NetlinkSocket> Open(std::initializer_list<int> groups = {});

  int fd() const { return mnl_socket_get_fd(socket_.get()); }

  // Sends `request`, whose flags this completes, and calls `handler` for every answer. `what` goes
  // into errors, behind which comes the kernel's own explanation where it gives one.
  Status Request(nlmsghdr* request, std::string_view what, const Handler& handler = nullptr);

  // Reads the events that are waiting, without blocking. False: the kernel dropped some.
  bool ReadEvents(const Handler& handler);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };

  std::unique_ptr<mnl_socket, Close> socket_;
  uint32_t sequence_ = 0;
};

// Attributes of one message by type; unknown and malformed ones are left out.
class NetlinkAttributes {
 public:
  static constexpr int kMax = 80;

  // `header_bytes`: the family header between nlmsghdr and attributes.
  NetlinkAttributes(const nlmsghdr* message, size_t header_bytes);
  // The attributes nested in `parent`.
  explicit NetlinkAttributes(const nlattr* parent);

  const nlattr* Get(int type) const { return table_[type]; }
  // 0 where the attribute is missing or too short.
  uint32_t GetU32(int type) const;
  // Empty where the attribute is missing or no address.
  std::optional<IpAddress> GetAddress(int type) const;

 private:
  static int Collect(const nlattr* attribute, void* self);

  const nlattr* table_[kMax + 1] = {};
};

}  // namespace lb::dataplane
