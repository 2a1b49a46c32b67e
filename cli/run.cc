// SPDX-License-Identifier: Apache-2.0
#include "cli/run.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "cli/commands/capture.h"
#include "cli/commands/config.h"
#include "cli/commands/doctor.h"
#include "cli/commands/drain.h"
#include "cli/commands/events.h"
#include "cli/commands/explain.h"
#include "cli/commands/flow.h"
#include "cli/commands/health.h"
#include "cli/commands/real.h"
#include "cli/commands/stats.h"
#include "cli/commands/status.h"
#include "cli/commands/support_bundle.h"
#include "cli/commands/top.h"
#include "cli/commands/version.h"
#include "cli/commands/vip.h"
#include "cli/completion.h"
#include "cli/examples.h"
#include "cli/interrupt.h"
#include "cli/man_page.h"
#include "cli/objects.h"
#include "cli/overview.h"
#include "cli/watch.h"
#include "lbd/base/ip_address.h"
#include "lbd/base/ip_prefix.h"
#include "lbd/config/field_names.h"
#include "lbd/config/suggestion.h"
#include "lbd/model/limits.h"

// The command table, and the only place that includes CLI11 (5 s of compile time).
namespace lb::cli {
namespace {

constexpr std::string_view kCompleteCommand = "__complete";
constexpr std::string_view kManCommand = "__man";
constexpr std::string_view kHelpCommand = "help";
constexpr std::chrono::milliseconds kCompletionTimeout{1000};

constexpr const char* kFooter = R"(
A VIP is written 203.0.113.10:80/tcp, [2001:db8::1]:443/udp or, for all ports, 203.0.113.10:any/tcp.

Exit codes:
  0  done
  1  refused: bad input, not found, already there, a limit; the message says what to change
  2  wrong command line
  3  cannot reach lbd
  4  anything else
  130  interrupted

Environment:
  LBCTL_SERVER  as --server; LBCTL_TLS_CA, LBCTL_TLS_CERT, LBCTL_TLS_KEY likewise
  NO_COLOR      when set, no colours)";

constexpr const char* kCommandFooter = R"(
Options of every command, and the exit codes: lbctl help options)";

// A check for CLI11 from one of our parsers: the empty string means good.
template <typename Parse>
CLI::Validator Check(Parse parse) {
  return CLI::Validator(
      [parse](std::string& text) {
        const auto value = parse(text);
        return value.ok() ? std::string() : Message(value.status());
      },
      "");
}

// Of Unix sockets the kernel allows 107 characters, of which gRPC complains at length.
StatusOr<std::string> CheckServer(const std::string& server) {
  const size_t path = server.starts_with("unix:") ? 5 : 0;
  if (server.size() == path) return InvalidArgument("want unix:PATH or HOST:PORT");
  if ((path > 0 || server.starts_with('/')) &&
      server.size() - path >= sizeof(sockaddr_un::sun_path)) {
    return InvalidArgument("the path of the socket is too long");
  }
  return server;
}

// A word that was meant for the command lands here, too: --watch VIP.
StatusOr<double> ParseWatchSeconds(const std::string& text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size() && seconds >= 0.1 &&
      seconds <= 3600) {
    return seconds;
  }
  return InvalidArgument(
      fmt::format("want 0.1..3600 seconds or nothing, got \"{}\"; other words go before it", text));
}

StatusOr<std::string> CheckLbdFlag(const std::string& word) {
  if (word.starts_with("--")) return word;
  return InvalidArgument(
      fmt::format("want flags of lbd, such as: -- --config=/etc/lbd/lbd.yaml; got \"{}\"", word));
}

class CommandLine {
 public:
  CommandLine() : app_("Controls lbd, the XDP load balancer.", "lbctl") {
    app_.footer(kFooter);
    app_.fallthrough();
    app_.require_subcommand(1);
    app_.set_help_flag("-h,--help", "Print this help");
    app_.set_version_flag("--version", std::string("lbctl ") + kVersion,
                          "Print the version of lbctl");
    app_.add_option("--server", server_, "Where lbd listens: unix:PATH, or HOST:PORT")
        ->envname("LBCTL_SERVER")
        ->capture_default_str()
        ->check(Check(CheckServer))
        ->type_name("ADDRESS");
    AddTls("--tls-ca", "LBCTL_TLS_CA", tls_.ca, "PEM file: who signs the certificate of lbd");
    AddTls("--tls-cert", "LBCTL_TLS_CERT", tls_.cert, "PEM file: the certificate to show to lbd");
    AddTls("--tls-key", "LBCTL_TLS_KEY", tls_.key, "PEM file: its key");
    app_.add_option("--timeout", timeout_, "Seconds that lbd may take to answer")
        ->capture_default_str()
        ->check(CLI::Range(0.001, 86400.0).description(""))
        ->type_name("SECONDS");
    app_.add_option("-o,--output", format_,
                    "Print tables (wide: with more columns), JSON or YAML for scripts, or of lists "
                    "only the names")
        ->capture_default_str()
        ->check(CLI::IsMember({"table", "wide", "json", "yaml", "name"}))
        ->type_name("FORMAT");
    AddStatus();
    AddVip();
    AddReal();
    AddFlow();
    AddHealth();
    AddConfig();
    AddImport();
    AddStats();
    AddCapture();
    AddDoctor();
    AddTop();
    AddSupportBundle();
    AddEvents();
    AddVersion();
    AddCompletion();
    AddHelp();
  }

  int Run(int argc, const char* const* argv, const Io& io) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) {  // --help, --version
        if (Innermost() == &app_ && error.get_name() == "CallForHelp") {
          io.out << OverviewPage();
        } else {
          app_.exit(error, io.out, io.err);
        }
        return kDone;
      }
      io.err << fmt::format("lbctl: {}\nTry: {} --help\n", Explain(error), CommandPath());
      return kUsage;
    }
    Client client(server_, std::chrono::milliseconds(std::llround(timeout_ * 1000)), tls_);
    const Format format = format_ == "json"   ? Format::kJson
                          : format_ == "yaml" ? Format::kYaml
                                              : Format::kTable;
    const Session session{client, io, format, format_ == "wide", format_ == "name"};
    const Status status = watch_ ? WatchAction(session) : action_(session);
    if (!status.ok()) io.err << "lbctl: " << Message(status) << '\n';
    return ToExitCode(status);
  }

  int PrintManPage(const Io& io) const {
    std::vector<ManSection> commands;
    CollectManSections(app_, "lbctl", commands);
    io.out << cli::ManPage(kVersion, "controls lbd, the XDP load balancer", WholeHelp(), commands);
    return kDone;
  }

  int Complete(std::vector<std::string> words, const Io& io) const {
    // What can follow a command can follow it behind "help", too.
    if (words.size() > 1 && words.front() == kHelpCommand) words.erase(words.begin());
    const auto source = [this](const CompletionRequest& request) {
      return CandidatesFromServer(request);
    };
    for (const std::string& word : cli::Complete(Describe(app_), words, source)) {
      io.out << word << '\n';
    }
    return kDone;
  }

 private:
  // The action again and again until Ctrl-C.
  Status WatchAction(const Session& session) {
    const std::chrono::milliseconds interval(std::llround(*watch_ * 1000));
    Interrupt interrupt;
    return Watch(session, action_, [&] { return interrupt.Sleep(interval); });
  }

  CLI::Option* AddWatch(CLI::App& command) {
    return command.add_option("--watch", watch_, "Show it again every so many seconds; alone: 2")
        ->expected(0, 1)
        ->default_str("2")
        ->check(Check(ParseWatchSeconds))
        ->type_name("[SECONDS]");
  }

  // The commands of `app` by name; option groups have none.
  static std::vector<const CLI::App*> CommandsOf(const CLI::App& app) {
    return app.get_subcommands(
        [](const CLI::App* command) { return !command->get_name().empty(); });
  }

  std::string OverviewPage() const {
    std::vector<CommandSummary> summaries;
    for (const CLI::App* command : CommandsOf(app_)) {
      CommandSummary& summary = summaries.emplace_back(
          CommandSummary{command->get_name(), command->get_description(), {}});
      for (const CLI::App* verb : CommandsOf(*command)) summary.verbs.push_back(verb->get_name());
    }
    return Overview(summaries);
  }

  // Not app_.help(), which prints that of a command that was given.
  std::string WholeHelp() const {
    return app_.get_formatter()->make_help(&app_, "lbctl", CLI::AppFormatMode::Normal);
  }

  // The help that `lbctl help WORDS` asks for.
  std::string HelpOn(const std::vector<std::string>& words) const {
    if (words.empty()) return OverviewPage();
    if (words.size() == 1 && words.front() == "options") return WholeHelp();
    const CLI::App* command = &app_;
    std::string path;
    for (const std::string& word : words) {
      const auto commands = CommandsOf(*command);
      const auto it = std::ranges::find(commands, word, &CLI::App::get_name);
      if (it == commands.end()) throw CLI::ValidationError(Unknown(*command, word));
      path += (path.empty() ? "" : " ") + command->get_name();
      command = *it;
    }
    return command->help(path);
  }

  // "unknown command "vpi"; did you mean "vip"?"
  static std::string Unknown(const CLI::App& parent, const std::string& word) {
    std::vector<std::string> names;
    for (const CLI::App* command : CommandsOf(parent)) names.push_back(command->get_name());
    const auto suggestion = config::Suggest(word, names);
    return fmt::format("unknown command \"{}\"; {}", word,
                       suggestion      ? fmt::format("did you mean \"{}\"?", *suggestion)
                       : names.empty() ? fmt::format("{} has none", parent.get_name())
                                       : fmt::format("known: {}", fmt::join(names, ", ")));
  }

  static void CollectManSections(const CLI::App& app, const std::string& path,
                                 std::vector<ManSection>& sections) {
    for (const CLI::App* child : CommandsOf(app)) {
      const std::string name = path + " " + child->get_name();
      if (CommandsOf(*child).empty() || child->get_require_subcommand_min() == 0) {
        sections.push_back({name, child->get_description(), child->help(path)});
      }
      CollectManSections(*child, name, sections);
    }
  }

  static std::string FooterOf(const CLI::App& parent, const char* name) {
    const std::string path = parent.get_parent() == nullptr ? name : parent.get_name() + " " + name;
    const std::string examples = ExamplesOf(path);
    return (examples.empty() ? "" : "\nExamples:\n" + examples) + kCommandFooter;
  }

  CLI::App& AddCommand(CLI::App& parent, const char* name, const char* description,
                       const Action& action) {
    CLI::App* command = parent.add_subcommand(name, description);
    command->footer(FooterOf(parent, name));
    command->callback([this, action] { action_ = action; });
    return *command;
  }

  static CLI::App& AddNoun(CLI::App& parent, const char* name, const char* description) {
    CLI::App* noun = parent.add_subcommand(name, description);
    noun->footer(FooterOf(parent, name));
    noun->require_subcommand(1);
    return *noun;
  }

  void AddTls(const char* option, const char* variable, std::string& file,
              const char* description) {
    app_.add_option(option, file, description)
        ->envname(variable)
        ->check(CLI::ExistingFile.description(""))
        ->type_name("FILE");
  }

  void AddStatus() {
    AddWatch(
        AddCommand(app_, "status", "Show the state of lbd and what is wrong with it", ShowStatus));
  }

  CLI::Option* AddVipPosition(CLI::App& command, std::string& vip) {
    return command.add_option("VIP", vip, "Such as 203.0.113.10:80/tcp")
        ->required()
        ->check(Check(ParseVip))
        ->type_name("");
  }

  // Of every command that changes the configuration; returns --dry-run.
  CLI::Option* AddChangeOptions(CLI::App& command, ChangeArguments& change) {
    command.add_option("--comment", change.comment, "Why, for the history")->type_name("TEXT");
    command
        .add_option("--etag", change.etag, "Only if the configuration in force is still this one")
        ->type_name("ETAG");
    command
        .add_option("--request-id", change.request_id,
                    "Make it once, also when the same command is sent again with this id")
        ->type_name("ID");
    command
        .add_option("--max-disruption", change.max_disruption,
                    "Refuse when more of the slots of any VIP would move")
        ->check(CLI::Range(0.0, 100.0).description("0..100"))
        ->type_name("PERCENT");
    AddNumber(command, "--max-changes", change.max_changes, 0, 1'000'000, "N",
              "Refuse when there would be more changes");
    return command.add_flag(
        "--dry-run", change.dry_run,
        "Check it and show what would change, and which connections that moves");
  }

  void AddVip() {
    CLI::App& noun = AddNoun(app_, "vip", "Virtual IP addresses");
    VipArguments& vip = vip_;
    CLI::App& add = AddCommand(noun, "add", "Add a VIP",
                               [&vip](const Session& s) { return cli::AddVip(s, vip); });
    AddVipPosition(add, vip.vip);
    AddVipOptions(add, "Its reals");
    AddChangeOptions(add, vip.change);
    CLI::App& update = AddCommand(noun, "update", "Change a VIP; what is not named stays",
                                  [&vip](const Session& s) { return cli::UpdateVip(s, vip); });
    AddVipPosition(update, vip.vip);
    CLI::App& changes = *update.add_option_group("Changes");
    AddVipOptions(changes, "The reals to have from now on");
    changes.require_option(1, 0);
    AddChangeOptions(update, vip.change);
    CLI::App& remove = AddCommand(noun, "delete", "Delete a VIP and its reals",
                                  [&vip](const Session& s) { return cli::DeleteVip(s, vip); });
    AddVipPosition(remove, vip.vip);
    remove.add_flag("--if-exists", vip.if_exists, "Succeed when it does not exist");
    AddChangeOptions(remove, vip.change);
    AddWatch(AddCommand(noun, "list", "List all VIPs", cli::ListVips));
    CLI::App& show = AddCommand(noun, "show", "Show one VIP and its reals",
                                [&vip](const Session& s) { return cli::ShowVip(s, vip); });
    AddVipPosition(show, vip.vip);
    AddWatch(show);
  }

  void AddVipOptions(CLI::App& command, const std::string& about_reals) {
    command.add_option("--name", vip_.name, "A label for people")->type_name("TEXT");
    command.add_option("--ring", vip_.ring, "How flows are spread over the reals")
        ->check(CLI::IsMember({"rendezvous", "maglev"}))
        ->type_name("SCHEME");
    command
        .add_option("--ring-bits", vip_.ring_bits, "2^BITS slots; default by the number of reals")
        ->check(CLI::Range(model::kMinRingBits, model::kMaxRingBits)
                    .description(fmt::format("{}..{}", model::kMinRingBits, model::kMaxRingBits)))
        ->type_name("BITS");
    command.add_option("--hash", vip_.hash, "The fields of a packet that choose its real")
        ->check(
            CLI::IsMember({"five_tuple", "source", "source_destination_port", "destination_port"}))
        ->type_name("FIELDS");
    command
        .add_option("--tracking", vip_.tracking,
                    "The flows to remember, so that changes of the reals do not break them")
        ->check(CLI::IsMember({"auto", "always", "none"}))
        ->type_name("WHICH");
    AddSourceOptions(command);
    AddNumber(command, "--window", vip_.window, 1, model::kMaxWindow, "SECONDS",
              "From a change until it is final; default 900 for TCP, 60 for UDP");
    AddNumber(command, "--idle", vip_.idle, model::kMinIdle, model::kMaxIdle, "SECONDS",
              "Until a silent flow is forgotten; default 3600 for TCP, 120 for UDP");
    AddNumber(command, "--flow-entries", vip_.flow_entries, model::kMinVipFlows, model::kMaxFlows,
              "N", "Flows to have room for; default by limits.flows");
    command
        .add_option("--route-by-id", vip_.route_by_id,
                    "How packets name their real: off, tcp_option, or quic_katran and "
                    "quic_lb:CONFIG:BYTES, separated by commas")
        ->check(Check(ParseRouteById))
        ->type_name("HOW");
    AddNumber(command, "--slow-start", vip_.slow_start, 0, model::kMaxSlowStart, "SECONDS",
              "In which a real that comes back gets its full weight; default 0, at once");
    command
        .add_option("--real", vip_.reals,
                    about_reals +
                        ": ADDRESS[,weight=N][,server_id=N][,state=STATE][,encap=ENCAP]; once for "
                        "each")
        ->take_all()
        ->expected(1)
        ->check(Check(ParseReal))
        ->type_name("REAL");
  }

  void AddSourceOptions(CLI::App& command) {
    const auto add_list = [&](const char* name, std::vector<std::string>& list,
                              const std::string& nothing, const char* about) {
      command.add_option(name, list, about)
          ->take_all()
          ->expected(1)
          ->check(Check([nothing](const std::string& text) -> StatusOr<IpPrefix> {
            return text == nothing ? StatusOr<IpPrefix>(IpPrefix()) : IpPrefix::Parse(text);
          }))
          ->type_name("PREFIX");
    };
    add_list("--allow", vip_.allow, "all", "Serve these clients only; once for each, or \"all\"");
    add_list("--deny", vip_.deny, "none", "Do not serve these clients; once for each, or \"none\"");
    command.add_option("--new-flows", vip_.new_flows, "New TCP connections per second; 0: any")
        ->check(Check(ParseRate))
        ->type_name("N[/BURST]");
    command
        .add_option("--new-flows-per-source", vip_.new_flows_per_source,
                    "Likewise of one client: an IPv4 address or an IPv6 /64")
        ->check(Check(ParseRate))
        ->type_name("N[/BURST]");
  }

  void AddReal() {
    CLI::App& noun = AddNoun(app_, "real", "Real servers of a VIP");
    RealArguments& real = real_;
    CLI::App& add = AddCommand(noun, "add", "Add a real to a VIP",
                               [&real](const Session& s) { return cli::AddReal(s, real); });
    AddRealPositions(add);
    AddWeight(add);
    AddServerId(add);
    AddState(add);
    AddEncap(add);
    AddChangeOptions(add, real.change);
    CLI::App& update = AddCommand(noun, "update", "Change a real; what is not named stays",
                                  [&real](const Session& s) { return cli::UpdateReal(s, real); });
    AddRealPositions(update);
    CLI::App& changes = *update.add_option_group("Changes");
    AddWeight(changes);
    AddServerId(changes);
    AddState(changes);
    AddEncap(changes);
    changes.require_option(1, 0);
    AddChangeOptions(update, real.change);
    AddDrain(noun);
    CLI::App& activate =
        AddCommand(noun, "activate", "Let a real take traffic again",
                   [&real](const Session& s) { return cli::ActivateReal(s, real); });
    AddRealPositions(activate);
    AddChangeOptions(activate, real.change);
    CLI::App& remove = AddCommand(noun, "delete", "Delete a real of a VIP",
                                  [&real](const Session& s) { return cli::DeleteReal(s, real); });
    AddRealPositions(remove);
    remove.add_flag("--if-exists", real.if_exists, "Succeed when it does not exist");
    AddChangeOptions(remove, real.change);
    CLI::App& list = AddCommand(noun, "list", "List the reals of one VIP or of all",
                                [&real](const Session& s) { return cli::ListReals(s, real); });
    AddVipPosition(list, real.vip)->required(false);
    AddWatch(list);
  }

  void AddDrain(CLI::App& noun) {
    DrainArguments& drain = drain_;
    CLI::App& command =
        AddCommand(noun, "drain", "Let a real keep its connections and get no new ones",
                   [&drain](const Session& s) { return cli::DrainReal(s, drain); });
    AddVipPosition(command, drain.vip);
    AddAddressPosition(command, drain.address);
    AddNumber(command, "--deadline", drain.deadline, 1, model::kMaxDrain, "SECONDS",
              "After which the connections that are left are given up; default never");
    CLI::Option* wait = command.add_flag("--wait", drain.wait,
                                         "Return when it has no connection left, with progress; "
                                         "Ctrl-C ends only the waiting");
    command
        .add_option("--wait-timeout", drain.wait_timeout,
                    "Wait no longer than this, then fail with 1; it goes on draining")
        ->needs(wait)
        ->check(CLI::Range(0.001, double{model::kMaxDrain}).description(""))
        ->type_name("SECONDS");
    AddChangeOptions(command, drain.change)->excludes(wait);
  }

  void AddRealPositions(CLI::App& command) {
    AddVipPosition(command, real_.vip);
    AddAddressPosition(command, real_.address);
  }

  void AddAddressPosition(CLI::App& command, std::string& address) {
    command.add_option("ADDRESS", address, "Of the real, such as 10.0.0.1")
        ->required()
        ->check(Check(IpAddress::Parse))
        ->type_name("");
  }

  void AddWeight(CLI::App& command) {
    AddNumber(command, "--weight", real_.weight, 0, model::kMaxWeight, "N",
              "Share of the traffic; default 100, 0 for none");
  }

  void AddServerId(CLI::App& command) {
    command
        .add_option("--server-id", real_.server_id,
                    "By which packets name it where the VIP is routed by id")
        ->type_name("N");
  }

  void AddState(CLI::App& command) {
    command
        .add_option("--state", real_.state,
                    "Take traffic (active), only of its old connections (draining), none (down), "
                    "or some while no active real can (standby)")
        ->check(CLI::IsMember({"active", "draining", "down", "standby"}))
        ->type_name("STATE");
  }

  void AddEncap(CLI::App& command) {
    command.add_option("--encap", real_.encap, "How packets get there; default ipip")
        ->check(CLI::IsMember({"ipip", "gue", "gre", "l2"}))
        ->type_name("ENCAP");
  }

  static CLI::Option* AddNumber(CLI::App& command, const char* name, std::optional<uint32_t>& value,
                                uint32_t min, uint32_t max, const char* unit,
                                const char* description) {
    return command.add_option(name, value, description)
        ->check(CLI::Range(min, max).description(fmt::format("{}..{}", min, max)))
        ->type_name(unit);
  }

  void AddFlow() {
    CLI::App& noun = AddNoun(app_, "flow", "Tracked flows of a VIP");
    FlowArguments& flow = flow_;
    CLI::App& list = AddCommand(noun, "list", "List the tracked flows of a VIP",
                                [&flow](const Session& s) { return cli::ListFlows(s, flow); });
    AddVipPosition(list, flow.vip);
    AddNumber(list, "--limit", flow.limit, 1, 100'000, "N", "At most so many; default 1000");
    AddWatch(list);
    CLI::App& purge = AddCommand(
        noun, "purge", "Forget tracked flows; breaks connections on slots that are changing hands",
        [&flow](const Session& s) { return cli::PurgeFlows(s, flow); });
    AddVipPosition(purge, flow.vip);
    purge.add_option("--real", flow.real, "Only those of this real")
        ->check(Check(IpAddress::Parse))
        ->type_name("ADDRESS");
    AddExplain(noun);
  }

  void AddExplain(CLI::App& noun) {
    ExplainArguments& explain = explain_;
    CLI::App& command = AddCommand(
        noun, "explain", "Show what becomes of a packet, and why; leaves no trace in counters",
        [&explain](const Session& s) { return cli::ExplainFlow(s, explain); });
    command.add_option("SOURCE", explain.source, "Such as 198.51.100.7:40000")->type_name("");
    command
        .add_option("DESTINATION", explain.destination,
                    "Such as 203.0.113.10:443/tcp; also /udp, /icmp")
        ->type_name("");
    command.add_option("--flags", explain.flags, "TCP flags: syn,ack,fin,rst,psh,urg; default syn")
        ->delimiter(',')
        ->take_all()
        ->expected(1)
        ->type_name("FLAGS");
    AddNumber(command, "--length", explain.length, 20, 3000, "BYTES",
              "Of the IP packet; default without payload");
    command
        .add_option("--frame", explain.frame,
                    "A whole Ethernet frame in hex, in place of the addresses")
        ->type_name("HEX");
    command
        .add_option("--pending", explain.pending,
                    "Explain by this configuration document, which is not applied")
        ->type_name("FILE");
    CLI::Option* live = command.add_flag(
        "--live", explain.live,
        "Wait for real TCP or UDP packets of the flow, and show what became of them");
    AddNumber(command, "--count", explain.count, 1, 100'000, "N", "Packets to wait for; default 1")
        ->needs(live);
    AddNumber(command, "--seconds", explain.seconds, 1, 3600, "SECONDS",
              "To wait for them; default 60")
        ->needs(live);
  }

  void AddTop() {
    TopArguments& top = top_;
    CLI::App& command = AddCommand(app_, "top", "Watch VIPs, reals and verdicts, full screen",
                                   [&top](const Session& s) { return cli::Top(s, top); });
    command.add_flag("--once", top.once, "Print one page, for scripts");
    command.add_option("--interval", top.interval, "Seconds between two looks; default 1")
        ->check(CLI::Range(0.1, 3600.0).description(""))
        ->type_name("SECONDS");
  }

  void AddDoctor() {
    DoctorArguments& doctor = doctor_;
    CLI::App& command =
        AddCommand(app_, "doctor", "Find what keeps packets from reals, and say how to fix it",
                   [&doctor](const Session& s) { return cli::Doctor(s, doctor); });
    command.add_flag("--all", doctor.all, "Show every finding, and what is well");
    command
        .add_option(
            "FLAGS", doctor.lbd_flags,
            "Behind --: the flags of lbd, for when it does not answer on this host (default: "
            "those of lbd.service)")
        ->check(Check(CheckLbdFlag))
        ->type_name("");
  }

  void AddCapture() {
    CaptureArguments& capture = capture_;
    CLI::App& command =
        AddCommand(app_, "capture", "Show or save packets with the decisions about them",
                   [&capture](const Session& s) { return cli::Capture(s, capture); });
    command
        .add_option("-w,--write", capture.file,
                    "Save as pcapng for Wireshark and tcpdump; - is the standard output")
        ->type_name("FILE");
    command
        .add_option("--vip", capture.vip,
                    "Only what this VIP decides on, and what is sent to it that no VIP takes")
        ->check(Check(ParseVip))
        ->type_name("VIP");
    command.add_option("--real", capture.real, "Only packets that go to this real")
        ->check(Check(IpAddress::Parse))
        ->type_name("ADDRESS");
    command.add_option("--verdict", capture.verdicts, "Only these verdicts; once for each")
        ->take_all()
        ->expected(1)
        ->type_name("VERDICT");
    command
        .add_option("--prefix", capture.prefix,
                    "Source or destination, as 198.51.100.0/24; ::/0: IPv6")
        ->type_name("PREFIX");
    AddNumber(command, "--port", capture.port, 1, 65535, "PORT", "Source or destination port");
    AddNumber(command, "--every", capture.every, 1, UINT32_MAX, "N",
              "Look at one of N packets; default all");
    AddNumber(command, "--rate", capture.rate, 1, 100'000, "N", "At most N a second; default 1000");
    AddNumber(command, "--snap", capture.snap, 64, 2048, "BYTES",
              "Of each frame at most; default 2048");
    AddNumber(command, "-c,--count", capture.count, 1, UINT32_MAX, "N", "End after N packets");
    AddNumber(command, "--seconds", capture.seconds, 1, 3600, "SECONDS",
              "End after so long; default 60");
  }

  void AddHealth() {
    CLI::App* const show = app_.add_subcommand("health", "Which reals are up, and why not");
    show->footer(FooterOf(app_, "health"));
    HealthArguments& health = health_;
    show->callback([this, show, &health] {
      if (!show->get_subcommands().empty()) return;
      action_ = [&health](const Session& s) { return ShowHealth(s, health); };
    });
    AddVipPosition(*show, health.vip)->required(false);
    CLI::Option* watch = AddWatch(*show);
    CLI::App& history =
        AddCommand(*show, "history", "When a real went up and down, and why",
                   [&health](const Session& s) { return ShowHealthHistory(s, health); });
    AddAddressPosition(history, health.real);
    history.add_option("--vip", health.vip, "Only behind this VIP")
        ->check(Check(ParseVip))
        ->type_name("VIP");
    CLI::App& set =
        AddCommand(*show, "set", "Make a real count as up or down, whatever its checks say",
                   [&health](const Session& s) { return SetHealth(s, health); });
    AddVipPosition(set, health.vip);
    AddAddressPosition(set, health.real);
    set.add_option("STATE", health.state, "up, down, or auto: what the checks say")
        ->required()
        ->check(CLI::IsMember({"up", "down", "auto"}))
        ->type_name("");
    AddNumber(set, "--for", health.seconds, 1, model::kMaxOverride, "SECONDS",
              "Then its checks count again; default: until it is set to auto");
    set.excludes(watch);
  }

  void AddConfig() {
    CLI::App& noun = AddNoun(app_, "config", "The whole configuration");
    ConfigArguments& config = config_;
    CLI::App& apply =
        AddCommand(noun, "apply", "Make a YAML or JSON document the whole configuration",
                   [&config](const Session& s) { return ApplyConfig(s, config); });
    apply.add_option("FILE", config.file, "The document; - is the standard input")
        ->required()
        ->type_name("");
    AddChangeOptions(apply, config.change);
    AddNumber(apply, "--confirm-within", config.confirm_within, 1, 86400, "SECONDS",
              "Go back to what was in force unless it is confirmed in time");
    CLI::App& validate =
        AddCommand(noun, "validate", "Check a document without lbd",
                   [&config](const Session& s) { return ValidateConfig(s, config); });
    validate.add_option("FILE", config.file, "The document; - is the standard input")
        ->required()
        ->type_name("");
    AddCommand(noun, "schema", "Print the JSON Schema of documents, for editors", PrintSchema);
    CLI::App& get =
        AddCommand(noun, "get", "Print the configuration in force, as YAML or with -o json",
                   [&config](const Session& s) { return cli::GetConfig(s, config); });
    get.add_option("--revision", config.revision, "Print that of this revision")->type_name("N");
    CLI::App& confirm =
        AddCommand(noun, "confirm", "Keep a configuration that was applied with --confirm-within",
                   [&config](const Session& s) { return cli::ConfirmConfig(s, config); });
    confirm.add_option("--etag", config.etag, "Only if it is this one")->type_name("ETAG");
    CLI::App& diff = AddCommand(noun, "diff",
                                "Show what is different: between revisions, or what a file changes",
                                [&config](const Session& s) { return cli::DiffConfig(s, config); });
    diff.add_option("WHAT", config.sides,
                    "FILE, or REVISION [REVISION], the second by default the one in force; without "
                    "any: the latest change")
        ->expected(0, 2)
        ->type_name("");
    CLI::App& history = AddCommand(noun, "history", "List the revisions that lbd keeps",
                                   [&config](const Session& s) { return ShowHistory(s, config); });
    AddNumber(history, "--limit", config.limit, 1, 1000, "N", "The latest so many; default all");
    CLI::App& rollback =
        AddCommand(noun, "rollback", "Make an earlier revision the configuration again",
                   [&config](const Session& s) { return cli::RollbackConfig(s, config); });
    rollback.add_option("REVISION", config.revision, "Default: the one before")->type_name("");
    AddChangeOptions(rollback, config.change);
    CLI::App& reload =
        AddCommand(noun, "reload", "Apply the file that lbd was started with",
                   [&config](const Session& s) { return cli::ReloadConfig(s, config); });
    AddChangeOptions(reload, config.change);
  }

  void AddImport() {
    CLI::App& noun = AddNoun(app_, "import", "Make a document of another balancer's configuration");
    ConfigArguments& config = config_;
    for (const auto& [name, about] :
         {std::pair{"ipvs", "From the output of ipvsadm -Sn"},
          std::pair{"katran", "From the output of Katran's client, katran_goclient -l"}}) {
      CLI::App& command = AddCommand(noun, name, about, [&config, name = name](const Session& s) {
        return ImportConfig(s, config, name);
      });
      command.add_option("FILE", config.file, "The output; - is the standard input")
          ->default_str("-")
          ->default_val("-")
          ->type_name("");
    }
  }

  void AddStats() {
    StatsArguments& stats = stats_;
    CLI::App& command = AddCommand(app_, "stats", "Show the counters since lbd was started",
                                   [&stats](const Session& s) {
                                     return stats.drops ? ShowDrops(s, stats) : ShowStats(s, stats);
                                   });
    AddVipPosition(command, stats.vip)->required(false);
    command.add_flag("--all", stats.all, "Also show verdicts that no packet got");
    AddWatch(command);
    CLI::App& drops = *command.add_subcommand(
        "drops",
        "Explain each verdict that dropped packets: its usual cause, what to do, and where it was");
    drops.footer(FooterOf(command, "drops"));
    drops.add_flag("--all", stats.all, "Explain every verdict");
    drops.callback([&stats] { stats.drops = true; });
  }

  void AddEvents() {
    EventsArguments& events = events_;
    CLI::App& command = AddCommand(app_, "events", "Show what happened: changes, drains, warnings",
                                   [&events](const Session& s) { return ShowEvents(s, events); });
    command.add_flag("-f,--follow", events.follow, "Show those to come, until Ctrl-C");
    command
        .add_option("--from", events.from,
                    "The sequence to start with; default: all that lbd has, with -f those to come")
        ->type_name("SEQUENCE");
    command.add_option("--kind", events.kinds, "Only events of this kind; may be repeated")
        ->take_all()
        ->expected(1)
        ->check(CLI::IsMember(config::ShortNames(*v1::EventKind_descriptor())))
        ->type_name("KIND");
  }

  void AddSupportBundle() {
    CLI::App& command =
        AddCommand(app_, "support-bundle", "Write what a developer asks for first, without secrets",
                   [this](const Session& s) { return cli::SupportBundle(s, bundle_); });
    command.add_option("FILE", bundle_, "A tar.gz, such as lbd.tar.gz")->required()->type_name("");
  }

  void AddVersion() {
    AddCommand(app_, "version", "Show the versions of lbctl and lbd", ShowVersion);
  }

  void AddCompletion() {
    CLI::App& command =
        AddCommand(app_, "completion", "Print a script that teaches a shell to complete lbctl",
                   [this](const Session& session) {
                     session.io.out << *CompletionScript(shell_);
                     return OkStatus();
                   });
    command.add_option("SHELL", shell_, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}))
        ->type_name("");
  }

  void AddHelp() {
    const Action show = [this](const Session& session) {
      session.io.out << help_;
      return OkStatus();
    };
    CLI::App& command = AddCommand(app_, kHelpCommand.data(),
                                   "Show how to use a command: lbctl help vip add", show);
    command.add_option("COMMAND", help_words_, "Such as vip add; or: options")->type_name("");
    command.callback([this, show] {
      help_ = HelpOn(help_words_);
      action_ = show;
    });
  }

  // The innermost command that was named.
  const CLI::App* Innermost() const {
    const CLI::App* command = &app_;
    while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
    return command;
  }

  std::string CommandPath() const {
    std::string path;
    for (const CLI::App* command = Innermost(); command != nullptr;
         command = command->get_parent()) {
      path = command->get_name() + (path.empty() ? "" : " ") + path;
    }
    return path;
  }

  std::string Explain(const CLI::ParseError& error) const {
    const CLI::App& command = *Innermost();
    std::vector<std::string> verbs;
    for (const CLI::App* verb : CommandsOf(command)) verbs.push_back(verb->get_name());
    const std::vector<std::string> rest = app_.remaining(/*recurse=*/true);
    const auto word = std::ranges::find_if(rest, [](const auto& w) { return !w.starts_with('-'); });
    const auto option =
        std::ranges::find_if(rest, [](const auto& w) { return w.starts_with("--"); });
    if (option < word) return UnknownOption(*option);
    if (!verbs.empty() && word != rest.end()) return Unknown(command, *word);
    if (option != rest.end()) return UnknownOption(*option);
    return rest.empty() && command.get_require_subcommand_min() > 0 &&
                   error.get_name() == "RequiredError"
               ? fmt::format("a command is missing: {}", fmt::join(verbs, ", "))
               : error.what();
  }

  // "unknown option --wathc; did you mean --watch?"
  std::string UnknownOption(const std::string& word) const {
    const std::string name = word.substr(0, word.find('='));
    std::vector<std::string> known;
    for (const CLI::App* command = Innermost(); command != nullptr;
         command = command->get_parent()) {
      CommandNode node;
      DescribeOptions(*command, node);
      for (const CommandNode::Option& option : node.options) {
        known.insert(known.end(), option.names.begin(), option.names.end());
      }
    }
    const auto suggestion = config::Suggest(name, known);
    return fmt::format("unknown option {}{}", name,
                       suggestion ? fmt::format("; did you mean {}?", *suggestion) : "");
  }

  // The choices that CLI::IsMember adds to a type name: "FORMAT:{table,json,yaml}".
  static std::vector<std::string> Choices(const CLI::Option& option) {
    const std::string type = option.get_type_name();
    const size_t begin = type.find('{');
    if (begin == std::string::npos) return {};
    return CLI::detail::split(type.substr(begin + 1, type.rfind('}') - begin - 1), ',');
  }

  // With those of its option groups.
  static void DescribeOptions(const CLI::App& app, CommandNode& node) {
    for (const CLI::Option* option : app.get_options()) {
      const std::vector<std::string> choices = Choices(*option);
      if (option->get_positional()) {
        node.positionals.push_back(choices.empty() ? option->get_name()
                                                   : fmt::format("{}", fmt::join(choices, "|")));
        continue;
      }
      CommandNode::Option& described = node.options.emplace_back();
      for (const std::string& name : option->get_snames()) described.names.push_back("-" + name);
      for (const std::string& name : option->get_lnames()) described.names.push_back("--" + name);
      described.takes_value = option->get_items_expected_min() > 0;
      described.choices = choices;
    }
    for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
      if (child->get_name().empty()) DescribeOptions(*child, node);
    }
  }

  static CommandNode Describe(const CLI::App& app) {
    CommandNode node;
    node.name = app.get_name();
    DescribeOptions(app, node);
    for (const CLI::App* child : CommandsOf(app)) node.commands.push_back(Describe(*child));
    return node;
  }

  // What an option of all commands is worth in a command line that is not parsed.
  std::string ValueOf(const char* name, const CompletionRequest& request) const {
    const auto given = request.options.find(name);
    if (given != request.options.end()) return given->second;
    const char* environment = std::getenv(app_.get_option(name)->get_envname().c_str());
    return environment != nullptr ? environment : "";
  }

  // Whether a packet can be sent to all that a VIP serves: no prefix, one port, one protocol.
  static bool IsOneEndpoint(const v1::VipKey& key) {
    return key.address().find('/') == std::string::npos && key.has_port() && !key.has_last_port() &&
           key.protocol() != v1::PROTOCOL_TCP_UDP;
  }

  // Those of the VIP that the command line names, else those of all VIPs.
  static std::vector<std::string> RealsFor(Client& client, const CompletionRequest& request) {
    const auto option = request.options.find("--vip");
    const std::string vip = option != request.options.end() ? option->second
                            : request.given.empty()         ? ""
                                                            : request.given.front();
    if (vip.empty()) {
      const auto vips = client.Call(v1::ListVipsRequest());
      if (!vips.ok()) return {};
      std::set<std::string> addresses;
      for (const v1::Vip& one : vips->vips()) {
        for (const v1::Real& real : one.reals()) addresses.insert(real.address());
      }
      return {addresses.begin(), addresses.end()};
    }
    const auto key = ParseVip(vip);
    if (!key.ok()) return {};
    v1::ListRealsRequest list;
    *list.mutable_vip() = *key;
    const auto reals = client.Call(list);
    if (!reals.ok()) return {};
    std::vector<std::string> addresses;
    for (const v1::RealStatus& real : reals->reals()) addresses.push_back(real.real().address());
    return addresses;
  }

  std::vector<std::string> CandidatesFromServer(const CompletionRequest& request) const {
    const std::string server = ValueOf("--server", request);
    Client client(server.empty() ? kDefaultServer : server, kCompletionTimeout,
                  {.ca = ValueOf("--tls-ca", request),
                   .cert = ValueOf("--tls-cert", request),
                   .key = ValueOf("--tls-key", request)});
    std::vector<std::string> words;
    if (request.wanted == "VIP" || request.wanted == "--vip" || request.wanted == "DESTINATION") {
      const auto vips = client.Call(v1::ListVipsRequest());
      if (!vips.ok()) return {};
      for (const v1::Vip& vip : vips->vips()) {
        const v1::VipKey key = KeyOf(vip);
        if (request.wanted != "DESTINATION" || IsOneEndpoint(key)) words.push_back(ToText(key));
      }
    } else if (request.wanted == "--verdict") {
      const auto verdicts = client.Call(v1::ListVerdictsRequest());
      if (!verdicts.ok()) return {};
      for (const v1::VerdictHelp& row : verdicts->verdicts()) words.push_back(row.verdict());
    } else if (request.wanted == "ADDRESS" || request.wanted == "--real") {
      return RealsFor(client, request);
    }
    return words;
  }

  CLI::App app_;
  std::string server_ = kDefaultServer;
  TlsFiles tls_;
  double timeout_ = 30;
  std::string format_ = "table";
  std::string shell_;
  std::vector<std::string> help_words_;
  std::string help_;
  VipArguments vip_;
  RealArguments real_;
  ExplainArguments explain_;
  CaptureArguments capture_;
  DoctorArguments doctor_;
  TopArguments top_;
  std::string bundle_;
  std::optional<double> watch_;
  DrainArguments drain_;
  FlowArguments flow_;
  HealthArguments health_;
  ConfigArguments config_;
  StatsArguments stats_;
  EventsArguments events_;
  Action action_;
};

}  // namespace

ExitCode ToExitCode(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kDone;
    case absl::StatusCode::kCancelled:
      return kInterrupted;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kUnreachable;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
      return kRefused;
    default:  // the enum is not ours and may grow
      return kOther;
  }
}

int Run(int argc, const char* const* argv, const Io& io) {
  CommandLine command_line;
  if (argc > 1 && argv[1] == kCompleteCommand) {
    return command_line.Complete({argv + 2, argv + argc}, io);
  }
  if (argc == 2 && argv[1] == kManCommand) return command_line.PrintManPage(io);
  return command_line.Run(argc, argv, io);
}

}  // namespace lb::cli
