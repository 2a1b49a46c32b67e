// SPDX-License-Identifier: Apache-2.0
#include "lbd/dataplane/netlink.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace lb::dataplane {
namespace {

// The kernel's dumps come in pieces of up to 32 KiB.
constexpr size_t kBufferBytes = 64 << 10;
// Room for bursts of events, so that few are dropped.
constexpr int kEventBufferBytes = 1 << 20;

// The text that the kernel adds to an error (NETLINK_EXT_ACK), as " (text)".
std::string ExtendedAck(const nlmsghdr* message) {
  const auto* error = NetlinkHeader<nlmsgerr>(message);
  if (message->nlmsg_type != NLMSG_ERROR || error == nullptr) return "";
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return "";
  size_t header = sizeof(*error);
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) header += mnl_nlmsg_get_payload_len(&error->msg);
  const NetlinkAttributes attributes(message, header);
  const std::string_view text = attributes.GetString(NLMSGERR_ATTR_MSG);
  return text.empty() ? "" : fmt::format(" ({})", text);
}

// The error that an NLMSG_ERROR or NLMSG_DONE carries, as a positive errno; 0: none.
int ErrorOf(const nlmsghdr* message) {
  const auto* negative = NetlinkHeader<int>(message);
  return negative == nullptr ? 0 : -*negative;
}

}  // namespace

NetlinkSocket::NetlinkSocket() : buffer_(kBufferBytes) {}

StatusOr<NetlinkSocket> NetlinkSocket::Open(std::initializer_list<int> groups) {
  NetlinkSocket result;
  result.socket_.reset(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (result.socket_ == nullptr) return ErrnoStatus(errno, "open a netlink socket");
  if (mnl_socket_bind(result.socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return ErrnoStatus(errno, "bind a netlink socket");
  }
  int on = 1;
  (void)mnl_socket_setsockopt(result.socket_.get(), NETLINK_EXT_ACK, &on, sizeof(on));
  for (int group : groups) {
    if (mnl_socket_setsockopt(result.socket_.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) <
        0) {
      return ErrnoStatus(errno, "subscribe to netlink events");
    }
  }
  if (groups.size() > 0) {
    (void)setsockopt(result.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &kEventBufferBytes,
                     sizeof(kEventBufferBytes));
  }
  return result;
}

Status NetlinkSocket::Request(nlmsghdr* request, std::string_view what, const Handler& handler) {
  request->nlmsg_flags |= NLM_F_REQUEST;
  // A request that is not a dump is answered by its result and an acknowledgement behind it.
  const bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  if (!dump) request->nlmsg_flags |= NLM_F_ACK;
  request->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) {
    return ErrnoStatus(errno, what);
  }
  while (true) {
    const ssize_t received = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return ErrnoStatus(errno, what);
    int left = static_cast<int>(received);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
         mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence_) continue;  // of a request that failed half-way
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
        const int error = ErrorOf(message);
        if (error == 0) return OkStatus();
        return ErrnoStatus(error, std::string(what) + ExtendedAck(message));
      }
      if (handler) handler(message);
    }
  }
}

bool NetlinkSocket::ReadEvents(const Handler& handler) {
  bool complete = true;
  while (true) {
    const ssize_t received = recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (received < 0) {
      if (errno == EINTR) continue;
      if (errno != ENOBUFS) return complete;
      complete = false;
      continue;
    }
    int left = static_cast<int>(received);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
         mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      handler(message);
    }
  }
}

NetlinkAttributes::NetlinkAttributes(const nlmsghdr* message, size_t header_bytes) {
  (void)mnl_attr_parse(message, header_bytes, Collect, this);
}

NetlinkAttributes::NetlinkAttributes(const nlattr* parent) {
  (void)mnl_attr_parse_nested(parent, Collect, this);
}

int NetlinkAttributes::Collect(const nlattr* attribute, void* self) {
  const int type = mnl_attr_get_type(attribute);
  if (type <= kMax) static_cast<NetlinkAttributes*>(self)->table_[type] = attribute;
  return MNL_CB_OK;
}

uint8_t NetlinkAttributes::GetU8(int type) const {
  const nlattr* attribute = table_[type];
  if (attribute == nullptr || mnl_attr_validate(attribute, MNL_TYPE_U8) < 0) return 0;
  return mnl_attr_get_u8(attribute);
}

uint32_t NetlinkAttributes::GetU32(int type) const {
  const nlattr* attribute = table_[type];
  if (attribute == nullptr || mnl_attr_validate(attribute, MNL_TYPE_U32) < 0) return 0;
  return mnl_attr_get_u32(attribute);
}

std::string_view NetlinkAttributes::GetString(int type) const {
  const nlattr* attribute = table_[type];
  if (attribute == nullptr || mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0) return {};
  return mnl_attr_get_str(attribute);
}

MacAddress NetlinkAttributes::GetMac(int type) const {
  const nlattr* attribute = table_[type];
  MacAddress::Bytes bytes{};
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) != bytes.size()) return {};
  std::copy_n(static_cast<const uint8_t*>(mnl_attr_get_payload(attribute)), bytes.size(),
              bytes.begin());
  return MacAddress(bytes);
}

std::optional<IpAddress> NetlinkAttributes::GetAddress(int type) const {
  const nlattr* attribute = table_[type];
  if (attribute == nullptr) return std::nullopt;
  const auto address =
      IpAddress::FromBytes({static_cast<const uint8_t*>(mnl_attr_get_payload(attribute)),
                            mnl_attr_get_payload_len(attribute)});
  if (!address.ok()) return std::nullopt;
  return *address;
}

}  // namespace lb::dataplane
