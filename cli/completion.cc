// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <algorithm>

namespace lb::cli {
namespace {

using Option = CommandNode::Option;

// bash breaks words at ':', which VIPs are full of: split the line ourselves, and return only what
// follows the last colon of the word.
constexpr std::string_view kBash =
    R"(# bash completion for lbctl; try: source <(lbctl completion bash)
_lbctl() {
  local line=${COMP_LINE:0:COMP_POINT} word
  local -a words
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  local current=${words[-1]}
  local colons=${current%"${current##*:}"}
  COMPREPLY=()
  while IFS= read -r word; do
    COMPREPLY+=("${word#"$colons"}")
  done < <(lbctl __complete "${words[@]:1}" 2>/dev/null)
}
complete -o default -F _lbctl lbctl
)";

constexpr std::string_view kZsh = R"(#compdef lbctl
# zsh completion for lbctl; try: source <(lbctl completion zsh)
_lbctl() {
  local -a candidates
  candidates=("${(@f)$(lbctl __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n ${candidates[1]} ]]; then
    compadd -- "${candidates[@]}"
  else
    _files
  fi
}
compdef _lbctl lbctl
)";

constexpr std::string_view kFish =
    R"(# fish completion for lbctl; try: lbctl completion fish | source
function __lbctl_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l candidates (lbctl __complete $words[2..] 2>/dev/null)
  if test -n "$candidates"
    string join \n -- $candidates
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c lbctl -f -a '(__lbctl_complete)'
)";

const CommandNode* FindCommand(const CommandNode& node, std::string_view name) {
  const auto it = std::ranges::find(node.commands, name, &CommandNode::name);
  return it == node.commands.end() ? nullptr : &*it;
}

// The option `name` of the innermost command that has it.
const Option* FindOption(const std::vector<const CommandNode*>& path, std::string_view name) {
  for (auto node = path.rbegin(); node != path.rend(); ++node) {
    for (const Option& option : (*node)->options) {
      if (std::ranges::count(option.names, name) > 0) return &option;
    }
  }
  return nullptr;
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string> OptionNames(const std::vector<const CommandNode*>& path) {
  std::vector<std::string> names;
  for (auto node = path.rbegin(); node != path.rend(); ++node) {
    for (const Option& option : (*node)->options) {
      for (const std::string& name : option.names) {
        if (name.starts_with("--") && std::ranges::count(names, name) == 0) names.push_back(name);
      }
    }
  }
  return names;
}

std::vector<std::string> PositionalCandidates(const CommandNode& node, CompletionRequest request,
                                              const CompletionSource& source) {
  if (!node.commands.empty()) {
    std::vector<std::string> names;
    for (const CommandNode& command : node.commands) names.push_back(command.name);
    if (node.positionals.empty()) return names;
    request.wanted = node.positionals.front();
    const std::vector<std::string> values = source(request);
    names.insert(names.end(), values.begin(), values.end());
    return names;
  }
  if (request.given.size() >= node.positionals.size()) return {};
  request.wanted = node.positionals[request.given.size()];
  if (request.wanted.find('|') != std::string::npos) return Split(request.wanted, '|');
  return source(request);
}

}  // namespace

std::vector<std::string> Complete(const CommandNode& root, const std::vector<std::string>& words,
                                  const CompletionSource& source) {
  std::vector<const CommandNode*> path{&root};
  CompletionRequest request;
  const Option* open = nullptr;  // an option that waits for its value
  std::string open_name;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (open != nullptr) {
      request.options[open_name] = word;
      open = nullptr;
    } else if (word.starts_with('-') && word.size() > 1) {
      const size_t equals = word.find('=');
      open_name = word.substr(0, equals);
      open = FindOption(path, open_name);
      if (open != nullptr && equals != std::string::npos) {
        request.options[open_name] = word.substr(equals + 1);
        open = nullptr;
      } else if (open != nullptr && !open->takes_value) {
        open = nullptr;
      }
    } else if (const CommandNode* command = FindCommand(*path.back(), word)) {
      path.push_back(command);
    } else {
      request.given.push_back(word);
    }
  }
  const std::string prefix = words.empty() ? "" : words.back();
  std::vector<std::string> candidates;
  if (open != nullptr) {
    request.wanted = open_name;
    candidates = open->choices.empty() ? source(request) : open->choices;
  } else if (prefix.starts_with('-')) {
    candidates = OptionNames(path);
  } else {
    candidates = PositionalCandidates(*path.back(), request, source);
  }
  std::erase_if(candidates, [&](const std::string& word) { return !word.starts_with(prefix); });
  return candidates;
}

std::optional<std::string_view> CompletionScript(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return std::nullopt;
}

}  // namespace lb::cli
