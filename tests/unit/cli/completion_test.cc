// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>

namespace lb::cli {
namespace {

using Words = std::vector<std::string>;

CommandNode Tree() {
  CommandNode add{
      .name = "add",
      .options = {{{"--ring"}, true, {"rendezvous", "maglev"}}, {{"--down"}}, {{"--real"}, true}},
      .positionals = {"VIP", "ADDRESS"}};
  CommandNode vip{.name = "vip", .commands = {add, {.name = "list"}}};
  CommandNode shell{.name = "completion", .positionals = {"bash|zsh"}};
  return {.name = "lbctl",
          .commands = {vip, shell},
          .options = {{{"-o", "--output"}, true, {"table", "json"}}, {{"--server"}, true}}};
}

Words Ask(const Words& words) {
  return Complete(Tree(), words, [](const CompletionRequest& request) {
    std::string text = request.wanted;
    for (const std::string& given : request.given) text += '<' + given;
    if (request.options.contains("--server")) text += '@' + request.options.at("--server");
    return Words{text};
  });
}

TEST(CompletionTest, CommandsAreOffered) {
  EXPECT_EQ(Ask({""}), (Words{"vip", "completion"}));
  EXPECT_EQ(Ask({"v"}), (Words{"vip"}));
  EXPECT_EQ(Ask({"vip", ""}), (Words{"add", "list"}));
  EXPECT_EQ(Ask({"vip", "nonsense", "x"}), (Words{}));
}

TEST(CompletionTest, OptionsOfTheCommandAndOfItsParentsAreOffered) {
  EXPECT_EQ(Ask({"vip", "add", "--"}),
            (Words{"--ring", "--down", "--real", "--output", "--server"}));
  EXPECT_EQ(Ask({"vip", "add", "--ri"}), (Words{"--ring"}));
}

TEST(CompletionTest, ValuesOfOptionsAreOffered) {
  EXPECT_EQ(Ask({"vip", "add", "--ring", ""}), (Words{"rendezvous", "maglev"}));
  EXPECT_EQ(Ask({"-o", "j"}), (Words{"json"}));
  EXPECT_EQ(Ask({"--server", "unix:"}), (Words{}));
}

TEST(CompletionTest, ValuesWithoutChoicesAreAskedForWithWhatIsKnown) {
  EXPECT_EQ(Ask({"--server", "x", "vip", "add", "v", "--real", ""}), (Words{"--real<v@x"}));
  EXPECT_EQ(Ask({"vip", "add", "--real", "--"}), (Words{"--real"}));
}

TEST(CompletionTest, PositionalsAreAskedForWithWhatIsKnown) {
  EXPECT_EQ(Ask({"vip", "add", ""}), (Words{"VIP"}));
  EXPECT_EQ(Ask({"--server", "unix:x", "vip", "add", "--down", "v", "A"}),
            (Words{"ADDRESS<v@unix:x"}));
  EXPECT_EQ(Ask({"--server=unix:y", "vip", "add", "--ring", "maglev", ""}), (Words{"VIP@unix:y"}));
  EXPECT_EQ(Ask({"vip", "add", "v", "a", ""}), (Words{}));
  EXPECT_EQ(Ask({"completion", ""}), (Words{"bash", "zsh"}));
}

// bash itself, with a stand-in for lbctl that answers two VIPs when it is asked for the right
// words.
TEST(CompletionTest, BashCompletesWordsWithColons) {
  const std::string script = std::string(*CompletionScript("bash")) + R"(
lbctl() { [[ "$*" == "__complete vip show [2001:db8::1]:" ]] && printf '%s\n' "$4"80/tcp "$4"443/tcp; }
COMP_LINE='lbctl vip show [2001:db8::1]:'
COMP_POINT=${#COMP_LINE}
_lbctl
printf '%s\n' "${COMPREPLY[@]}"
)";
  const std::string command = "bash -c '" + [&] {
    std::string quoted;
    for (const char c : script) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted;
  }() + "'";
  FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  std::array<char, 256> block;
  for (size_t size; (size = std::fread(block.data(), 1, block.size(), pipe)) > 0;) {
    output.append(block.data(), size);
  }
  EXPECT_EQ(::pclose(pipe), 0);
  EXPECT_EQ(output, "80/tcp\n443/tcp\n");
}

}  // namespace
}  // namespace lb::cli
