// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lb::cli {

// What may follow a command on the command line, as far as completion needs to know.
struct CommandNode {
  struct Option {
    std::vector<std::string> names;  // "-o", "--output"
    bool takes_value = false;
    std::vector<std::string> choices;  // of the value, where there are few
  };

  std::string name;
  std::vector<CommandNode> commands;
  std::vector<Option> options;           // those of its parents hold too
  std::vector<std::string> positionals;  // "VIP", "ADDRESS", "FILE", or choices as "bash|zsh|fish"
};

// The words of a command line as they were understood.
struct CompletionRequest {
  std::string wanted;                          // a positional, "VIP", or an option, "--real"
  std::vector<std::string> given;              // the positionals before it
  std::map<std::string, std::string> options;  // with their values: "--server" -> "unix:..."
};

// Candidates that only a running lbd knows.
using CompletionSource = std::function<std::vector<std::string>(const CompletionRequest&)>;

// What can stand for the last of `words` (without "lbctl"), which is empty or incomplete. Nothing:
// the shell's own file names.
std::vector<std::string> Complete(const CommandNode& root, const std::vector<std::string>& words,
                                  const CompletionSource& source);

// The script that teaches `shell`, "bash", "zsh" or "fish", to ask "lbctl __complete WORD...".
std::optional<std::string_view> CompletionScript(std::string_view shell);

}  // namespace lb::cli
