// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/mac_address.h"
#include "lbd/base/status.h"

namespace lb::dataplane {

// A route netlink socket. Move-only; thread-compatible.
class NetlinkSocket {
 public:
  // Gets one message, which is valid only during the call. Must not use the socket.
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

  NetlinkSocket();

  std::unique_ptr<mnl_socket, Close> socket_;
  std::vector<char> buffer_;
  uint32_t sequence_ = 0;
};

// A request under construction: the family header `Header`, zeroed, and room for attributes.
template <typename Header>
class NetlinkRequest {
 public:
  explicit NetlinkRequest(uint16_t type, uint16_t flags = 0)
      : message_(mnl_nlmsg_put_header(buffer_)),
        header_(static_cast<Header*>(mnl_nlmsg_put_extra_header(message_, sizeof(Header)))) {
    message_->nlmsg_type = type;
    message_->nlmsg_flags = flags;
  }
  NetlinkRequest(const NetlinkRequest&) = delete;
  NetlinkRequest& operator=(const NetlinkRequest&) = delete;

  Header* operator->() { return header_; }
  nlmsghdr* message() { return message_; }

 private:
  alignas(nlmsghdr) char buffer_[256];
  nlmsghdr* message_;
  Header* header_;
};

// The family header of `message`; null where the message is too short for it.
template <typename Header>
const Header* NetlinkHeader(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(Header)) return nullptr;
  return static_cast<const Header*>(mnl_nlmsg_get_payload(message));
}

// Attributes of one message by type; unknown and malformed ones are left out.
class NetlinkAttributes {
 public:
  static constexpr int kMax = 80;

  // `header_bytes`: the family header between nlmsghdr and attributes.
  NetlinkAttributes(const nlmsghdr* message, size_t header_bytes);
  // The attributes nested in `parent`.
  explicit NetlinkAttributes(const nlattr* parent);

  const nlattr* Get(int type) const { return table_[type]; }
  // Zero, or empty, where the attribute is missing or has another size.
  uint8_t GetU8(int type) const;
  uint32_t GetU32(int type) const;
  std::string_view GetString(int type) const;
  MacAddress GetMac(int type) const;
  std::optional<IpAddress> GetAddress(int type) const;

 private:
  static int Collect(const nlattr* attribute, void* self);

  const nlattr* table_[kMax + 1] = {};
};

}  // namespace lb::dataplane
