// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lbd/base/status.h"
#include "lbd/config/position.h"

// Messages of lb.v1 as text. YAML 1.2 with anchors, aliases and merge keys is read, and so is JSON,
// its subset. Fields have the names of the .proto files, enum values their short names
// (field_names.h).
namespace lb::config {

inline constexpr size_t kMaxDocumentBytes = size_t{64} << 20;

// One thing that is wrong with a document.
struct DocumentProblem {
  Position position;
  std::string path;  // "vips[3].reals[0].weight"; empty: the whole document
  std::string message;

  bool operator==(const DocumentProblem&) const = default;
};

class YamlTree;

// What ParseDocument found in a text. Thread-compatible.
class ParsedDocument {
 public:
  ParsedDocument(std::string file_name, std::unique_ptr<const YamlTree> tree,
                 std::vector<DocumentProblem> problems);
  ParsedDocument(ParsedDocument&&) noexcept;
  ParsedDocument& operator=(ParsedDocument&&) noexcept;
  ~ParsedDocument();

  bool ok() const { return problems_.empty(); }
  // All of them, in the order of the text.
  const std::vector<DocumentProblem>& problems() const { return problems_; }
  // OK, or INVALID_ARGUMENT with one "FILE:LINE:COLUMN: path: message" a line.
  Status status() const;

  // Where the value at `path` is written, or else the nearest thing around it; nothing when the
  // document does not have the first field of the path either.
  std::optional<Position> Find(std::string_view path) const;

  // What later checks say, "path: message" lines, with "FILE:LINE:COLUMN: " before each path that
  // the document has.
  std::string Annotate(std::string_view messages) const;

 private:
  std::string file_name_;
  std::unique_ptr<const YamlTree> tree_;
  std::vector<DocumentProblem> problems_;
};

// Reads `text` into `out`, which is unspecified when the result has problems. Rejected: unknown and
// duplicate fields, values of the wrong type or range, an empty document ("{}" is the empty
// configuration), more than kMaxDocumentBytes, and aliases that expand to much more than was
// written. A null value leaves its field unset. Top-level keys that begin with "x-" are ignored: a
// place for anchors.
ParsedDocument ParseDocument(std::string_view text, std::string_view file_name,
                             google::protobuf::Message& out);

}  // namespace lb::config
