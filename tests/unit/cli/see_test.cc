// SPDX-License-Identifier: Apache-2.0
// lbctl's commands that show what goes on.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/commands/local_doctor.h"
#include "cli/examples.h"
#include "tests/unit/cli/lbctl_fixture.h"

namespace lb::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class SeeTest : public LbctlFixture {};

TEST_F(SeeTest, ExplainSendsThePacketAndShowsTheSteps) {
  lbd_.explained = Read<v1::ExplainFlowResponse>(
      "{decision: {verdict: no_real, action: drop}, generation: 3, cause: All are down.,"
      " next_step: Look., steps: [{name: vip, text: it is}, {name: verdict, text: dropped}]}");
  EXPECT_EQ(
      Lbctl({"flow", "explain", "198.51.100.7:40000", "203.0.113.10:53/udp", "--length", "99"}),
      kDone);
  EXPECT_EQ(lbd_.explain_flow.source(), "198.51.100.7:40000");
  EXPECT_EQ(lbd_.explain_flow.destination(), "203.0.113.10:53");
  EXPECT_EQ(lbd_.explain_flow.protocol(), "udp");
  EXPECT_EQ(lbd_.explain_flow.ip_length(), 99);
  EXPECT_THAT(out_, HasSubstr("vip      it is\n"));
  EXPECT_THAT(out_, HasSubstr("why      All are down.\ndo       Look.\n"));
  EXPECT_THAT(out_, HasSubstr("generation 3"));
  EXPECT_EQ(Lbctl({"flow", "explain", "198.51.100.7:1", "203.0.113.10:80", "--flags", "syn,ack"}),
            kDone);
  EXPECT_THAT(lbd_.explain_flow.tcp_flags(), ElementsAre("syn", "ack"));
  EXPECT_EQ(Lbctl({"flow", "explain", "--frame", "00 11:22"}), kDone);
  EXPECT_EQ(lbd_.explain_flow.frame(), std::string("\x00\x11\x22", 3));
  EXPECT_EQ(Lbctl({"flow", "explain", "--frame", "0"}), kRefused);
  EXPECT_EQ(Lbctl({"flow", "explain"}), kRefused);
}

TEST_F(SeeTest, ExplainTakesAPendingDocument) {
  const std::string file =
      (std::filesystem::path(testing::TempDir()) / ("pending" + std::to_string(getpid()))).string();
  std::ofstream(file) << "interfaces: [eth7]\n";
  EXPECT_EQ(Lbctl({"flow", "explain", "1.2.3.4:5", "6.7.8.9:10", "--pending", file.c_str()}),
            kDone);
  EXPECT_THAT(lbd_.explain_flow.pending().interfaces(), ElementsAre("eth7"));
  EXPECT_THAT(out_, HasSubstr("not applied"));
  std::filesystem::remove(file);
}

TEST_F(SeeTest, ExplainLiveTakesAFlowOfTcpOrUdpAndNothingElse) {
  EXPECT_EQ(Lbctl({"flow", "explain", "1.2.3.4:5", "6.7.8.9:53/udp", "--live"}), kDone);
  EXPECT_EQ(lbd_.capture.destination(), "6.7.8.9:53");
  EXPECT_EQ(lbd_.capture.protocol(), "udp");
  EXPECT_EQ(Lbctl({"flow", "explain", "1.2.3.4", "6.7.8.9/icmp", "--live"}), kRefused);
  EXPECT_THAT(err_, HasSubstr("--live: want a flow of tcp or udp, got \"icmp\""));
  lbd_.capture.Clear();
  for (const char* made_up : {"--flags=ack", "--length=99", "--pending=x"}) {
    EXPECT_EQ(Lbctl({"flow", "explain", "1.2.3.4:5", "6.7.8.9:53", "--live", made_up}), kRefused);
    EXPECT_THAT(err_, HasSubstr(std::string("--live shows packets as they come and not with ") +
                                std::string(made_up).substr(0, std::string(made_up).find('='))));
  }
  EXPECT_EQ(Lbctl({"flow", "explain", "--frame=00", "--live"}), kRefused);
  EXPECT_THAT(err_, HasSubstr("not with --frame"));
  EXPECT_EQ(lbd_.capture.destination(), "") << "lbd is not asked";
}

TEST_F(SeeTest, TheSupportBundleHasHealthAndRevisions) {
  lbd_.health = Read<v1::GetHealthResponse>("probing: true");
  lbd_.revisions = Read<v1::ListRevisionsResponse>("revisions: [{generation: 41}]");
  const std::string file =
      (std::filesystem::path(testing::TempDir()) / ("bundle" + std::to_string(getpid()))).string();
  EXPECT_EQ(Lbctl({"support-bundle", file.c_str()}), kDone) << err_;
  EXPECT_TRUE(lbd_.get_health.history());
  const auto member = [&](const std::string& name) {
    const std::string command = "tar -xzOf " + file + " lbd-support/" + name;
    std::string text;
    FILE* pipe = ::popen(command.c_str(), "r");
    for (int c; (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
    ::pclose(pipe);
    return text;
  };
  EXPECT_THAT(member("health.yaml"), HasSubstr("probing: true"));
  EXPECT_THAT(member("revisions.yaml"), HasSubstr("generation: 41"));
  EXPECT_EQ(member("metrics.txt"), "lbd has no --metrics_listen\n");
  lbd_.status.set_metrics_listen("127.0.0.1:1");
  EXPECT_EQ(Lbctl({"support-bundle", file.c_str()}), kDone) << err_;
  EXPECT_THAT(member("metrics.txt"), HasSubstr("curl")) << "asked, in vain";
  std::filesystem::remove(file);
}

TEST_F(SeeTest, CaptureShowsOrSavesPacketsWithTheirDecisions) {
  lbd_.captured = Read<v1::CaptureResponse>(
      "{packets: [{time_nanos: 1000000000, generation: 4, frame_length: 60, decision: {verdict: "
      "forward,"
      " action: tx, source: '1.2.3.4:5', destination: '6.7.8.9:80', protocol: tcp, tcp_flags: syn,"
      " real: 10.0.0.1, slot: 7, ring_slots: 256, slot_state: stable, cpu: 1,"
      " vip: {address: 6.7.8.9, port: 80, protocol: tcp}}}], limited: 3}");
  EXPECT_EQ(Lbctl({"capture", "--vip", "6.7.8.9:80", "--verdict", "forward", "--verdict", "no_real",
                   "-c", "5", "--prefix", "1.2.3.0/24", "--every", "10"}),
            kDone);
  EXPECT_THAT(lbd_.capture.verdicts(), ElementsAre("forward", "no_real"));
  EXPECT_EQ(lbd_.capture.count(), 5u);
  EXPECT_EQ(lbd_.capture.every(), 10u);
  EXPECT_EQ(lbd_.capture.prefix(), "1.2.3.0/24");
  const std::string comment =
      "forward vip=6.7.8.9:80/tcp real=10.0.0.1 slot=7/256 stable cpu=1 generation=4";
  EXPECT_THAT(out_, HasSubstr("1.2.3.4:5 -> 6.7.8.9:80 tcp [syn] 60 bytes: " + comment + "\n"));
  EXPECT_EQ(err_, "1 packets captured, 3 kept back by --rate\n");
  EXPECT_EQ(Lbctl({"capture", "-w", "-"}), kDone);
  EXPECT_THAT(out_, StartsWith("\n\r\r\n"));  // pcapng's magic
  EXPECT_THAT(out_, HasSubstr(comment));
}

TEST_F(SeeTest, FramesAreHexForScripts) {
  lbd_.captured.add_packets()->set_frame(std::string("\x02\x00\xff\x81", 4));
  EXPECT_EQ(Lbctl({"capture", "-o", "json"}), kDone);
  EXPECT_THAT(out_, HasSubstr("\"frame\":\"0200ff81\""));
  EXPECT_EQ(Lbctl({"capture", "-o", "yaml"}), kDone);
  EXPECT_THAT(out_, HasSubstr("frame: \"0200ff81\""));
  lbd_.explained.set_frame_out(std::string("\xfe\x01", 2));
  EXPECT_EQ(Lbctl({"flow", "explain", "1.2.3.4:5", "6.7.8.9:10", "-o", "json"}), kDone);
  EXPECT_THAT(out_, HasSubstr("\"frame_out\": \"fe01\""));
}

TEST_F(SeeTest, DropsAreExplained) {
  lbd_.verdicts = Read<v1::ListVerdictsResponse>(
      "verdicts: [{verdict: no_real, action: drop, description: None., cause: Down., next_step: "
      "Up.},"
      " {verdict: too_big, action: drop, description: Long.}, {verdict: not_vip, action: pass}]");
  lbd_.stats = Read<v1::GetStatsResponse>(
      "verdicts: [{verdict: no_real, action: drop, packets: 1234},"
      " {verdict: not_vip, action: pass, packets: 9}]");
  EXPECT_EQ(Lbctl({"stats", "drops"}), kDone);
  EXPECT_EQ(out_, "no_real (drop, 1,234 packets)\n  None.\n  Usually: Down.\n  Do:      Up.\n");
  EXPECT_EQ(Lbctl({"stats", "drops", "--all"}), kDone);
  EXPECT_THAT(out_, HasSubstr("too_big (drop, 0 packets)"));
  EXPECT_THAT(out_, HasSubstr("not_vip (pass, 9 packets)"));
}

TEST_F(SeeTest, DropsAreFoundAtTheirVipsAndReals) {
  lbd_.verdicts =
      Read<v1::ListVerdictsResponse>("verdicts: [{verdict: no_real, action: drop, cause: Down.}]");
  lbd_.stats = Read<v1::GetStatsResponse>(R"(
verdicts: [{verdict: no_real, action: drop, packets: 7}]
vips:
  - vip: {address: 192.0.2.1, port: 80, protocol: tcp}
    total: {dropped: 7}
    reals: [{address: 10.0.0.1, counter: {dropped: 4}}, {address: 10.0.0.2, counter: {packets: 1}}]
  - {vip: {address: 192.0.2.2, port: 80, protocol: tcp}, total: {packets: 1}}
)");
  EXPECT_EQ(Lbctl({"stats", "drops"}), kDone);
  EXPECT_THAT(out_, testing::EndsWith("\n\nVIP               REAL      DROPPED\n"
                                      "192.0.2.1:80/tcp                  3\n"
                                      "192.0.2.1:80/tcp  10.0.0.1        4\n"));
}

TEST_F(SeeTest, TheDoctorFailsWhereSomethingDoes) {
  lbd_.status = Read<v1::GetStatusResponse>("version: " LB_VERSION);
  lbd_.findings = Read<v1::DoctorResponse>(
      "findings: [{check: jit, level: ok, message: fine}, {check: clock, level: warn, message: "
      "off}]");
  EXPECT_EQ(Lbctl({"doctor"}), kDone);
  EXPECT_THAT(out_, HasSubstr("clock"));
  EXPECT_THAT(out_, Not(HasSubstr("jit")));
  EXPECT_THAT(out_, HasSubstr("3 ok, 1 to look at, 0 failed"));
  lbd_.findings = Read<v1::DoctorResponse>(
      "findings: [{check: jit, level: fail, message: off, fix: sysctl x}]");
  EXPECT_EQ(Lbctl({"doctor"}), kRefused);
  EXPECT_THAT(out_, HasSubstr("sysctl x"));
  EXPECT_EQ(err_, "lbctl: 1 check failed\n");
}

TEST_F(SeeTest, TheDoctorSaysHowToExamineAHostWhereNoLbdAnswers) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can examine a host";
  server_ = fmt::format("unix:{}no_lbd_{}", ::testing::TempDir(), getpid());
  EXPECT_EQ(Lbctl({"doctor"}), kRefused);
  EXPECT_THAT(out_, HasSubstr("cannot reach lbd"));
  EXPECT_THAT(out_, HasSubstr("not examined: the flags of that lbd are not known"));
  EXPECT_THAT(out_, HasSubstr(fmt::format("lbctl --server {} doctor -- FLAGS", server_)));
  EXPECT_EQ(err_, "lbctl: 1 check failed\n");
  EXPECT_EQ(Lbctl({"doctor", "lbd.yaml"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("want flags of lbd"));
  server_ = "127.0.0.1:1";
  EXPECT_EQ(Lbctl({"doctor", "--", "--bpffs=/b"}), kRefused);
  EXPECT_THAT(out_, Not(HasSubstr("not examined")));
}

TEST(LocalDoctorTest, FindingsAreThoseOfLbd) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can examine a host";
  const fs::path program = fmt::format("{}lbd_{}", ::testing::TempDir(), getpid());
  const auto examine = [&](const std::string& script) {
    std::ofstream(program) << "#!/bin/sh\n" << script;
    fs::permissions(program, fs::perms::owner_all);
    return ExamineHere(program, "unix:/x", {"--config=/x y", "--bpffs=/b"}).findings(0);
  };
  const v1::Finding found = examine(R"(
echo "lbd: 1 check failed" >&2
echo '{"findings": [{"check": "bpffs", "level": "fail", "message": "'"$*"'", "fix": "mount it"}]}'
exit 1)");
  EXPECT_EQ(found.level(), v1::Finding::LEVEL_FAIL);
  EXPECT_EQ(found.message(), "--doctor --output=json --config=/x y --bpffs=/b");
  EXPECT_EQ(found.fix(), "mount it");
  EXPECT_THAT(examine("echo no such flag; exit 1").message(), HasSubstr("does not work here"));
  fs::remove(program);
  EXPECT_THAT(ExamineHere(program, "unix:/x", {"--bpffs=/b"}).findings(0).message(),
              HasSubstr("does not work here"));
}

TEST(LocalDoctorTest, TheFlagsOfTheUnitAreRead) {
  EXPECT_THAT(FlagsOfUnit("{ path=/usr/sbin/lbd ; argv[]=/usr/sbin/lbd --config=/etc/lbd/lbd.yaml "
                          "--insecure ; ignore_errors=no ; start_time=[n/a] ; pid=0 }\n"),
              ElementsAre("--config=/etc/lbd/lbd.yaml", "--insecure"));
  EXPECT_THAT(FlagsOfUnit("{ path=/usr/sbin/lbd ; argv[]=/usr/sbin/lbd ; }"), IsEmpty());
  EXPECT_THAT(FlagsOfUnit(""), IsEmpty());
}

TEST_F(SeeTest, TheDoctorDoesNotLoseOneFindingAmongManyAlike) {
  lbd_.status = Read<v1::GetStatusResponse>("version: " LB_VERSION);
  for (int i = 0; i < 9; ++i) {
    v1::Finding& finding = *lbd_.findings.add_findings();
    finding.set_check("vip");
    finding.set_level(v1::Finding::LEVEL_FAIL);
    finding.set_message(fmt::format("192.0.2.{} has no usable real", i));
  }
  *lbd_.findings.add_findings() =
      Read<v1::Finding>("{check: jit, level: fail, message: off, fix: sysctl x}");
  EXPECT_EQ(Lbctl({"doctor"}), kRefused);
  EXPECT_THAT(out_, HasSubstr("192.0.2.4 has"));
  EXPECT_THAT(out_, Not(HasSubstr("192.0.2.5 has")));
  EXPECT_THAT(out_, ::testing::ContainsRegex("and 4 more like these +lbctl doctor --all"));
  EXPECT_THAT(out_, HasSubstr("sysctl x"));
  EXPECT_EQ(err_, "lbctl: 10 checks failed\n");
  EXPECT_EQ(Lbctl({"doctor", "--all"}), kRefused);
  EXPECT_THAT(out_, HasSubstr("192.0.2.8 has"));
  EXPECT_THAT(out_, Not(HasSubstr("more like these")));
}

TEST_F(SeeTest, ListsPrintNamesForTheNextCommand) {
  lbd_.vips = Read<v1::ListVipsResponse>(
      "vips: [{address: 192.0.2.1, port: 80, protocol: tcp, tracking: always}]");
  lbd_.reals =
      Read<v1::ListRealsResponse>("reals: [{real: {address: 10.0.0.1}, leaving_slots: 7}]");
  EXPECT_EQ(Lbctl({"vip", "list", "-o", "name"}), kDone);
  EXPECT_EQ(out_, "192.0.2.1:80/tcp\n");
  EXPECT_EQ(Lbctl({"real", "list", "-o", "name"}), kDone);
  EXPECT_EQ(out_, "192.0.2.1:80/tcp 10.0.0.1\n");
  EXPECT_EQ(Lbctl({"vip", "list", "-o", "wide"}), kDone);
  EXPECT_THAT(out_, HasSubstr("TRACKING"));
  EXPECT_THAT(out_, HasSubstr("always"));
  EXPECT_EQ(Lbctl({"real", "list", "-o", "wide"}), kDone);
  EXPECT_THAT(out_, HasSubstr("LEAVING"));
}

TEST_F(SeeTest, TopPrintsAPageForScripts) {
  lbd_.stats = Read<v1::GetStatsResponse>(
      "vips: [{vip: {address: 192.0.2.1, port: 80, protocol: tcp}, total: {packets: 1234567}}]");
  EXPECT_EQ(Lbctl({"top", "--once", "--interval", "0.1"}), kDone);
  EXPECT_THAT(out_, HasSubstr("192.0.2.1:80/tcp"));
  EXPECT_THAT(out_, HasSubstr("1,234,567"));
  EXPECT_THAT(out_, Not(HasSubstr("\033")));
  EXPECT_TRUE(lbd_.get_status.brief() && lbd_.get_health.brief()) << "what a look may cost";
}

// The names of the commands in a help: first words of lines that are indented by two.
std::vector<std::string> CommandsIn(const std::string& help) {
  std::vector<std::string> names;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  ") && !line.starts_with("   ")) {
      names.push_back(line.substr(2, line.find(' ', 2) - 2));
    }
  }
  return names;
}

TEST_F(SeeTest, TheManualHasEveryCommandAndEachHasAnExample) {
  EXPECT_EQ(Lbctl({"__man"}), kDone);
  EXPECT_THAT(out_, StartsWith(".TH LBCTL 1 "));
  size_t commands = 0;
  std::istringstream lines(out_);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(".SS lbctl ")) continue;
    ++commands;
    std::string command = line.substr(10);
    std::erase(command, '\\');
    EXPECT_NE(ExamplesOf(command), "") << command;
  }
  EXPECT_GE(commands, 25u);
}

TEST_F(SeeTest, HelpFitsAScreenAndNamesEveryCommand) {
  EXPECT_EQ(Lbctl({"--help"}), kDone);
  const std::string page = out_;
  EXPECT_EQ(Lbctl({"help"}), kDone);
  EXPECT_EQ(out_, page);
  EXPECT_LE(std::ranges::count(page, '\n'), 24) << page;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_EQ(Lbctl({"__complete", ""}), kDone);
  std::istringstream names(out_);
  for (std::string name; names >> name;) {
    EXPECT_THAT(CommandsIn(page), ::testing::Contains(name)) << page;
  }
  for (const char* essential :
       {"vip add", "--server", "-o table", "help options", "real", "drain"}) {
    EXPECT_THAT(page, HasSubstr(essential));
  }
}

TEST_F(SeeTest, TheHelpOfEachCommandHasExamplesOfIt) {
  EXPECT_EQ(Lbctl({"help"}), kDone);
  size_t commands = 0;
  const auto expect_examples = [&](std::vector<const char*> words, const std::string& path) {
    words.insert(words.begin(), "help");
    EXPECT_EQ(Lbctl(words), kDone) << path;
    const std::string help = out_;
    const size_t examples = help.find("\nExamples:\n");
    ASSERT_NE(examples, std::string::npos) << help;
    EXPECT_NE(help.find("lbctl " + path, examples), std::string::npos) << help;
    words.erase(words.begin());
    words.push_back("--help");
    EXPECT_EQ(Lbctl(words), kDone) << path;
    EXPECT_EQ(out_, help);
    ++commands;
  };
  for (const std::string& name : CommandsIn(out_)) {
    expect_examples({name.c_str()}, name);
    const size_t verbs = out_.find("\nSubcommands:\n");
    if (verbs == std::string::npos) continue;
    const std::string list = out_.substr(verbs, out_.find("\n\n", verbs) - verbs);
    for (const std::string& verb : CommandsIn(list)) {
      expect_examples({name.c_str(), verb.c_str()}, name + " " + verb);
    }
  }
  EXPECT_GE(commands, 35u);
}

}  // namespace
}  // namespace lb::cli
