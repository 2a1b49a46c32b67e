// SPDX-License-Identifier: Apache-2.0
#include "lbd/config/revision_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>

#include "lbd/base/siphash.h"
#include "lbd/base/unique_fd.h"

namespace lb::config {
namespace {

constexpr std::string_view kMagic = "lbd revision 1\n";
// Larger than any: what a damaged length may not make us allocate.
constexpr uint64_t kMaxPart = uint64_t{1} << 30;

uint64_t Checksum(std::string_view bytes) {
  return SipHash24({.k0 = 0x6c62642072657669, .k1 = 0x73696f6e20763031},
                   {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

struct PartHead {
  uint64_t size;
  uint64_t checksum;
};

void AppendPart(std::string& out, const std::string& bytes) {
  const PartHead head{bytes.size(), Checksum(bytes)};
  out.append(reinterpret_cast<const char*>(&head), sizeof(head));
  out += bytes;
}

Status Damaged(const std::string& path, std::string_view how) {
  return FailedPrecondition(fmt::format("{} is damaged: {}", path, how));
}

// Reads a file front to back.
class Reader {
 public:
  static StatusOr<Reader> Open(const std::string& path) {
    Reader reader(path, UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC)));
    if (!reader.fd_.valid()) return ErrnoStatus(errno, "open " + path);
    LB_ASSIGN_OR_RETURN(const std::string magic, reader.Take(kMagic.size()));
    if (magic != kMagic) return Damaged(path, "it does not start as a revision does");
    return reader;
  }

  StatusOr<std::string> TakePart() {
    LB_ASSIGN_OR_RETURN(const std::string bytes, Take(sizeof(PartHead)));
    PartHead head;
    std::memcpy(&head, bytes.data(), sizeof(head));
    if (head.size > kMaxPart) return Damaged(path_, "a length is wrong");
    LB_ASSIGN_OR_RETURN(std::string part, Take(head.size));
    if (Checksum(part) != head.checksum) return Damaged(path_, "a checksum is wrong");
    return part;
  }

 private:
  Reader(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  StatusOr<std::string> Take(size_t size) {
    struct stat info {};
    if (fstat(fd_.get(), &info) != 0) return ErrnoStatus(errno, "read " + path_);
    if (static_cast<uint64_t>(info.st_size) < size) return Damaged(path_, "it is too short");
    std::string bytes(size, '\0');
    size_t have = 0;
    while (have < size) {
      const ssize_t got = read(fd_.get(), bytes.data() + have, size - have);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, "read " + path_);
      if (got == 0) return Damaged(path_, "it is too short");
      have += static_cast<size_t>(got);
    }
    return bytes;
  }

  std::string path_;
  UniqueFd fd_;
};

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus(errno, "write");
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  if (fsync(fd) != 0) return ErrnoStatus(errno, "sync");
  return OkStatus();
}

template <typename Message>
StatusOr<Message> ParsePart(Reader& reader, const std::string& path) {
  LB_ASSIGN_OR_RETURN(const std::string part, reader.TakePart());
  Message message;
  if (!message.ParseFromString(part)) return Damaged(path, "it cannot be parsed");
  return message;
}

}  // namespace

StatusOr<state::RevisionHeader> ReadRevisionHeader(const std::string& path) {
  LB_ASSIGN_OR_RETURN(Reader reader, Reader::Open(path));
  return ParsePart<state::RevisionHeader>(reader, path);
}

StatusOr<RevisionFile> ReadRevisionFile(const std::string& path) {
  LB_ASSIGN_OR_RETURN(Reader reader, Reader::Open(path));
  RevisionFile file;
  LB_ASSIGN_OR_RETURN(file.header, ParsePart<state::RevisionHeader>(reader, path));
  LB_ASSIGN_OR_RETURN(file.body, ParsePart<state::RevisionBody>(reader, path));
  return file;
}

Status WriteRevisionFile(const std::string& path, const RevisionFile& revision) {
  std::string bytes(kMagic);
  AppendPart(bytes, revision.header.SerializeAsString());
  AppendPart(bytes, revision.body.SerializeAsString());
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, "create " + path);
  const Status status = WriteAll(fd.get(), bytes);
  if (!status.ok()) unlink(path.c_str());
  return Annotate(status, path);
}

Status RenameDurably(const std::string& from, const std::string& to) {
  const std::string directory = std::filesystem::path(to).parent_path();
  const UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "open " + directory);
  if (rename(from.c_str(), to.c_str()) != 0) return ErrnoStatus(errno, "rename " + from);
  if (fsync(fd.get()) != 0) return ErrnoStatus(errno, "sync " + directory);
  return OkStatus();
}

}  // namespace lb::config
