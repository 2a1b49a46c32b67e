// SPDX-License-Identifier: Apache-2.0
#include "lbd/agent/host_addresses.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <span>

namespace lb::agent {
namespace {

constexpr size_t kBufferBytes = 32768;  // as iproute2: fits every dump of the kernel
using Buffer = std::array<char, kBufferBytes>;

// IFA_LOCAL is the host's own address where IFA_ADDRESS names the peer of a point-to-point link.
int KeepLocal(const nlattr* attribute, void* data) {
  auto& found = *static_cast<const nlattr**>(data);
  const uint16_t type = mnl_attr_get_type(attribute);
  if (type == IFA_LOCAL || (type == IFA_ADDRESS && found == nullptr)) found = attribute;
  return MNL_CB_OK;
}

int Collect(const nlmsghdr* message, void* data) {
  auto& addresses = *static_cast<std::vector<HostAddress>*>(data);
  const auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  const nlattr* found = nullptr;
  mnl_attr_parse(message, sizeof(*header), KeepLocal, &found);
  if (found == nullptr) return MNL_CB_OK;
  const std::span bytes(static_cast<const uint8_t*>(mnl_attr_get_payload(found)),
                        mnl_attr_get_payload_len(found));
  if (auto address = IpAddress::FromBytes(bytes); address.ok()) {
    addresses.push_back({static_cast<int>(header->ifa_index), *address});
  }
  return MNL_CB_OK;
}

}  // namespace

void HostAddresses::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

StatusOr<HostAddresses::Socket> HostAddresses::Open(unsigned groups, int flags) {
  Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags));
  if (socket == nullptr || mnl_socket_bind(socket.get(), groups, MNL_SOCKET_AUTOPID) != 0) {
    return ErrnoStatus(errno, "open a netlink socket");
  }
  return socket;
}

StatusOr<HostAddresses> HostAddresses::Create() {
  LB_ASSIGN_OR_RETURN(Socket requests, Open(0, 0));
  LB_ASSIGN_OR_RETURN(Socket events, Open(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, SOCK_NONBLOCK));
  return HostAddresses(std::move(requests), std::move(events));
}

StatusOr<std::vector<HostAddress>> HostAddresses::List() {
  Buffer buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETADDR;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request->nlmsg_seq = ++sequence_;
  mnl_nlmsg_put_extra_header(request, sizeof(ifaddrmsg));
  if (mnl_socket_sendto(requests_.get(), request, request->nlmsg_len) < 0) {
    return ErrnoStatus(errno, "list addresses");
  }
  std::vector<HostAddress> addresses;
  int more = MNL_CB_OK;
  while (more > MNL_CB_STOP) {
    const ssize_t size = mnl_socket_recvfrom(requests_.get(), buffer.data(), buffer.size());
    more = size < 0 ? MNL_CB_ERROR
                    : mnl_cb_run(buffer.data(), static_cast<size_t>(size), sequence_,
                                 mnl_socket_get_portid(requests_.get()), Collect, &addresses);
  }
  if (more == MNL_CB_ERROR) return ErrnoStatus(errno, "list addresses");
  return addresses;
}

Status HostAddresses::Change(const HostAddress& target, uint16_t type, uint16_t flags) {
  const auto bytes = target.address.bytes();
  Buffer buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = type;
  request->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  request->nlmsg_seq = ++sequence_;
  auto* header = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifaddrmsg)));
  header->ifa_family = target.address.is_v4() ? AF_INET : AF_INET6;
  header->ifa_prefixlen = static_cast<uint8_t>(bytes.size() * 8);
  header->ifa_flags = target.address.is_v4() ? 0 : IFA_F_NODAD;
  header->ifa_scope = RT_SCOPE_UNIVERSE;
  header->ifa_index = static_cast<uint32_t>(target.ifindex);
  mnl_attr_put(request, IFA_LOCAL, bytes.size(), bytes.data());
  mnl_attr_put(request, IFA_ADDRESS, bytes.size(), bytes.data());
  if (!Acknowledged(request)) {
    const std::string what =
        fmt::format("{} {} {} interface {}", type == RTM_NEWADDR ? "add" : "remove",
                    target.address.ToString(), type == RTM_NEWADDR ? "to" : "from", target.ifindex);
    return errno == EADDRNOTAVAIL ? NotFound(what + ": not there") : ErrnoStatus(errno, what);
  }
  return OkStatus();
}

bool HostAddresses::Acknowledged(nlmsghdr* request) {
  if (mnl_socket_sendto(requests_.get(), request, request->nlmsg_len) < 0) return false;
  Buffer buffer;
  const ssize_t size = mnl_socket_recvfrom(requests_.get(), buffer.data(), buffer.size());
  return size >= 0 && mnl_cb_run(buffer.data(), static_cast<size_t>(size), sequence_,
                                 mnl_socket_get_portid(requests_.get()), nullptr, nullptr) >= 0;
}

Status HostAddresses::ChangeLocal(const IpPrefix& prefix, uint16_t type, uint16_t flags) {
  const auto bytes = prefix.address().bytes();
  Buffer buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = type;
  request->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  request->nlmsg_seq = ++sequence_;
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
  route->rtm_family = prefix.is_v4() ? AF_INET : AF_INET6;
  route->rtm_dst_len = static_cast<uint8_t>(prefix.length());
  route->rtm_table = RT_TABLE_LOCAL;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = RT_SCOPE_HOST;
  route->rtm_type = RTN_LOCAL;
  mnl_attr_put(request, RTA_DST, bytes.size(), bytes.data());
  mnl_attr_put_u32(request, RTA_OIF, if_nametoindex("lo"));
  if (Acknowledged(request)) return OkStatus();
  const std::string what = fmt::format("{} the local route to {}",
                                       type == RTM_NEWROUTE ? "add" : "remove", prefix.ToString());
  return errno == ESRCH ? NotFound(what + ": not there") : ErrnoStatus(errno, what);
}

StatusOr<bool> HostAddresses::IsLocal(const IpAddress& address) {
  const auto bytes = address.bytes();
  Buffer buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETROUTE;
  request->nlmsg_flags = NLM_F_REQUEST;
  request->nlmsg_seq = ++sequence_;
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
  route->rtm_family = address.is_v4() ? AF_INET : AF_INET6;
  route->rtm_dst_len = static_cast<uint8_t>(bytes.size() * 8);
  mnl_attr_put(request, RTA_DST, bytes.size(), bytes.data());
  if (mnl_socket_sendto(requests_.get(), request, request->nlmsg_len) < 0) {
    return ErrnoStatus(errno, "ask for a route");
  }
  const auto look = [](const nlmsghdr* message, void* data) {
    const auto* found = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    *static_cast<bool*>(data) = found->rtm_type == RTN_LOCAL;
    return MNL_CB_OK;
  };
  bool local = false;
  const ssize_t size = mnl_socket_recvfrom(requests_.get(), buffer.data(), buffer.size());
  if (size < 0) return ErrnoStatus(errno, "ask for a route");
  // An error is the answer that there is no route.
  (void)mnl_cb_run(buffer.data(), static_cast<size_t>(size), sequence_,
                   mnl_socket_get_portid(requests_.get()), look, &local);
  return local;
}

Status HostAddresses::AddLocal(const IpPrefix& prefix) {
  return ChangeLocal(prefix, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
}

Status HostAddresses::RemoveLocal(const IpPrefix& prefix) {
  return ChangeLocal(prefix, RTM_DELROUTE, 0);
}

Status HostAddresses::Add(const HostAddress& address) {
  return Change(address, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
}

Status HostAddresses::Remove(const HostAddress& address) { return Change(address, RTM_DELADDR, 0); }

int HostAddresses::event_fd() const { return mnl_socket_get_fd(events_.get()); }

void HostAddresses::Drain() {
  Buffer buffer;
  // What the news is does not matter: the reader lists all addresses again. ENOBUFS: some were
  // lost.
  while (mnl_socket_recvfrom(events_.get(), buffer.data(), buffer.size()) >= 0 ||
         errno == ENOBUFS) {
  }
}

}  // namespace lb::agent
