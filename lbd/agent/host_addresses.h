// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "lbd/base/ip_address.h"
#include "lbd/base/ip_prefix.h"
#include "lbd/base/status.h"

struct mnl_socket;
struct nlmsghdr;

namespace lb::agent {

// An address of this host.
struct HostAddress {
  int ifindex = 0;
  IpAddress address;

  bool operator==(const HostAddress&) const = default;
};

// The IP addresses of this host's interfaces, through rtnetlink. Thread-compatible.
class HostAddresses {
 public:
  static StatusOr<HostAddresses> Create();

  StatusOr<std::vector<HostAddress>> List();
  // Adds `address` as /32 or /128, without duplicate address detection. ALREADY_EXISTS where it is
  // there.
  Status Add(const HostAddress& address);
  // NOT_FOUND where it is not there.
  Status Remove(const HostAddress& address);

  // Makes all addresses of a prefix this host's own, by a local route on lo, and undoes it.
  // ALREADY_EXISTS and NOT_FOUND as above.
  Status AddLocal(const IpPrefix& prefix);
  Status RemoveLocal(const IpPrefix& prefix);

  // Whether this host takes packets to `address` for its own.
  StatusOr<bool> IsLocal(const IpAddress& address);

  // Readable when addresses may have changed; Drain() then takes the news.
  int event_fd() const;
  void Drain();

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  using Socket = std::unique_ptr<mnl_socket, Close>;

  HostAddresses(Socket requests, Socket events)
      : requests_(std::move(requests)), events_(std::move(events)) {}

  static StatusOr<Socket> Open(unsigned groups, int flags);
  Status Change(const HostAddress& address, uint16_t type, uint16_t flags);
  Status ChangeLocal(const IpPrefix& prefix, uint16_t type, uint16_t flags);
  // Sends a request and waits for the acknowledgement; errno says why it failed.
  bool Acknowledged(nlmsghdr* request);

  Socket requests_;
  Socket events_;
  unsigned sequence_ = 0;
};

}  // namespace lb::agent
