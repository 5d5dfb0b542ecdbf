#include "loadgen/options.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <ostream>
#include <random>

#include "common/base/joined.h"
#include "common/base/utf8.h"
#include "common/base/version.h"
#include "common/config/flags.h"
#include "contract/error.h"
#include "contract/names.h"
#include "loadgen/statistics.h"
#include "loadgen/verify/canary.h"

namespace dice::loadgen {
namespace {

/// The log folder of `make run`.
constexpr const char* kDefaultLogs = "build/run";
constexpr double kDay = 86'400;
constexpr int kMaxThreads = 1000;
constexpr int kMaxParts = 1000;

int number(Settings& settings, const char* flag, int value, int max, const char* help) {
  return static_cast<int>(settings.integer(flag, value, 1, max, help));
}

Seconds seconds(Settings& settings, const char* flag, Seconds value, double max, const std::string& help) {
  return Seconds(settings.number(flag, value.count(), 0, max, help + " Seconds."));
}

bool any_text(std::string& /*text*/) { return true; }

std::optional<int> whole_number(const std::string& text, int min, int max) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < min || value > max) return {};
  return value;
}

std::string error_codes() {
  return joined(errors(), ", ", [](const auto& row) { return row.name; });
}

/// Set by Kubernetes in the pods of an Indexed Job, from 0.
constexpr const char* kJobIndex = "JOB_COMPLETION_INDEX";

void declare_parts(Settings& settings, TrafficCommand& command) {
  auto& traffic = command.traffic;
  const auto parts = number(settings, "--parts", 1, kMaxParts,
                            "Number of processes that share the users, the requests and the rate of this run.");
  int default_index = 0;
  if (const auto text = process_environment()(kJobIndex); text && parts > 1) {
    if (const auto value = whole_number(*text, 0, kMaxParts - 1)) default_index = *value;
    else settings.error(kJobIndex, *text, "a whole number less than --parts");
  }
  const auto index =
      settings.integer("--part", default_index, 0, kMaxParts - 1,
                       "Which of them this process is, from 0; default with several: " + std::string(kJobIndex) +
                           ", which a Job sets, or 0.");
  if (index >= parts) {
    settings.error("--part", std::to_string(index), "less than --parts, which is " + std::to_string(parts));
  }
  if (traffic.rate <= 0 && parts > traffic.users) {
    settings.error("--parts", std::to_string(parts), "in closed loop, at most --users");
  }
  traffic.part = {static_cast<std::uint64_t>(index), static_cast<std::uint64_t>(parts)};
  const auto port = settings.integer("--metrics-port", -1, -1, 65535,
                                     "Port for /metrics and /summary while it runs; 0 = any free one, -1 = none.");
  if (port >= 0) command.metrics_port = static_cast<std::uint16_t>(port);
  auto& [part, peers, deadline] = command.parts;
  part = traffic.part;
  peers = settings.urls("--peers", {},
                        "URLs of the metrics ports of all parts, in order, comma-separated. All parts then start at "
                        "the same time, and part 0 prints one summary of all.");
  const auto given = std::to_string(peers.size()) + (peers.size() == 1 ? " URL" : " URLs");
  if (!peers.empty() && parts == 1) settings.error("--peers", given, "only with --parts");
  else if (!peers.empty() && peers.size() != traffic.part.parts) {
    settings.error("--peers", given, "one URL for each of the --parts, " + std::to_string(parts));
  }
  if (!peers.empty() && !command.metrics_port) settings.error("--peers", given, "only with --metrics-port");
  deadline = seconds(settings, "--peers-deadline", deadline, kDay,
                     "With --peers: maximum wait for the other parts, at the start and again at the end.");
}

TrafficCommand declare_traffic(Settings& settings) {
  TrafficCommand command;
  auto& traffic = command.traffic;
  traffic.url = settings.url("--url", traffic.url, "URL of the frontend.");
  traffic.users =
      number(settings, "--users", traffic.users, 10'000, "Number of concurrent users, of all parts together.");
  traffic.rolls =
      number(settings, "--rolls", traffic.rolls, 1'000'000, "Maximum rolls per user, from 1; not with --duration.");
  traffic.duration = seconds(settings, "--duration", traffic.duration, 365 * kDay,
                             "Duration of the run; 0 = until all users are done.");
  traffic.rate =
      settings.number("--rate", traffic.rate, 0, 1e5,
                      "Open loop: requests per second of all parts together, regardless of responses; 0 = closed "
                      "loop.");
  traffic.workers = number(settings, "--workers", traffic.workers, 10'000,
                           "Open loop: maximum number of requests in flight, per part.");
  traffic.ramp = seconds(settings, "--ramp", traffic.ramp, kDay,
                         "Ramp-up time, until all users are active or the rate is reached.");
  traffic.think_min = seconds(settings, "--think-min", traffic.think_min, kDay,
                              "Closed loop: minimum think time between two requests of a user.");
  traffic.think_max = seconds(settings, "--think-max", traffic.think_max, kDay, "Closed loop: maximum think time.");
  if (traffic.think_max < traffic.think_min) {
    settings.error("--think-max", std::to_string(traffic.think_max.count()), "at least --think-min");
  }
  traffic.mix.async_probability =
      settings.number("--async", traffic.mix.async_probability, 0, 1, "Fraction of requests that are batches.");
  traffic.mix.max_batch =
      number(settings, "--max-batch", traffic.mix.max_batch, 1000, "Maximum rolls per batch, from 1.");
  command.dice = settings.list("--dice", {}, any_text, "text",
                               "Dice to roll, comma-separated; default: all dice that the frontend lists.");
  traffic.mix.list_only = settings.flag("--list-only", false, "Send only GET /dice.");
  const auto seed = settings.integer("--seed", -1, -1, std::numeric_limits<std::int64_t>::max(),
                                     "Seed that makes the requests repeatable; -1 = random.");
  traffic.seed = seed < 0 ? std::random_device()() : static_cast<std::uint64_t>(seed);
  const auto roll_seed = settings.integer(
      "--roll-seed", -1, -1, kMaxRollSeed,
      "Seed that makes the rolls repeatable, sent with the first request and increased by one for each further one; "
      "-1 = none is sent.");
  if (roll_seed >= 0) traffic.roll_seed = roll_seed;
  const auto expected = settings.list(
      "--expect", {"roll_failed", "batch_failed"}, [](std::string& code) { return parse_error_code(code).has_value(); },
      error_codes(), "Error codes that do not fail the run, comma-separated.");
  traffic.expected_failures = {expected.begin(), expected.end()};
  traffic.timeout = seconds(settings, "--timeout", traffic.timeout, 3600, "Timeout of a request.");
  command.wait = seconds(settings, "--wait", command.wait, kDay,
                         "Maximum wait at the start, until the frontend is reachable and rolls succeed.");
  declare_parts(settings, command);
  command.json = settings.flag("--json", false, "Print the summary as JSON.");
  return command;
}

CompareCommand declare_compare(Settings& settings) {
  CompareCommand command;
  auto& compare = command.compare;
  command.url = settings.url("--url", command.url, "URL of the frontend.");
  command.tempo_url = settings.url("--tempo", "", "URL of Tempo, to read traces from; default: the frontend.");
  compare.die = settings.text("--die", compare.die, "Die to roll; it must never fail.");
  const auto counts = settings.list(
      "--concurrency", {}, [](std::string& text) { return whole_number(text, 1, kMaxThreads).has_value(); },
      "a whole number from 1 to " + std::to_string(kMaxThreads),
      "Thread counts to compare, comma-separated; default: one thread per roll.");
  for (const auto& count : counts) compare.threads.push_back(*whole_number(count, 1, kMaxThreads));
  const auto max_threads = compare.threads.empty() ? 0 : *std::ranges::max_element(compare.threads);
  compare.rolls = number(settings, "--rolls", std::max(compare.rolls, max_threads), 1000,
                         "Number of rolls to compare; default: at least the highest thread count.");
  compare.iterations = number(settings, "--iterations", compare.iterations, 10'000, "Repetitions.");
  compare.deadline = seconds(settings, "--deadline", compare.deadline, 3600, "Maximum wait for a batch's trace.");
  command.min_efficiency = settings.number("--min-efficiency", command.min_efficiency, 0, 1,
                                           "Exit with 1 if the efficiency at the highest thread count is lower.");
  command.json = settings.flag("--json", false, "Print the result as JSON.");
  return command;
}

VerifyCommand declare_verify(Settings& settings) {
  constexpr Seconds kPrometheusDeadline{90};
  // What is missing is named two minutes after it got lost: one check, and the rest of the one before.
  constexpr Seconds kCanaryDeadline{75};
  constexpr Seconds kCanarySettle{35};
  VerifyCommand command;
  auto& probes = command.verify.probes;
  auto& collect = command.verify.collect;
  const auto default_url = command.url;
  command.url = settings.url("--url", default_url, "URL of the frontend.");
  command.tempo_url = settings.url("--tempo", "", "URL of Tempo, to read traces from; default: the frontend.");
  command.logs = settings.list("--logs", {}, any_text, "text",
                               std::string("Files of JSON lines, or folders of *.log, comma-separated; default: ") +
                                   kDefaultLogs + ", if it exists and --url is the default.");
  command.loki_url = settings.url("--loki", "", "URL of Loki, to read logs from instead of files.");
  command.loki_selector = settings.text("--loki-selector", command.loki_selector, "LogQL selector of the log streams.");
  command.metrics_urls =
      settings.urls("--metrics", {},
                    "URLs of the services' metrics ports, comma-separated; a host name stands for all "
                    "its addresses, one for each replica; default: localhost:9400 to 9402, if "
                    "--url is the default.");
  command.prometheus_url = settings.url("--prometheus", "", "URL of Prometheus, to read metrics from instead.");
  command.prometheus_selector = settings.text("--prometheus-selector", command.prometheus_selector,
                                              "Label matchers of the services' targets in Prometheus.");
  const auto& selector = command.prometheus_selector;
  if (!selector.starts_with('{') || !selector.ends_with('}')) {
    settings.error("--prometheus-selector", selector, "label matchers in braces, such as {namespace=\"dice\"}");
  }
  collect.shared = settings.flag(
      "--shared", false, "Other clients use the system, too: counters may increase by more than the requests sent.");
  command.answers_only = settings.flag("--answers-only", false, "Check only the answers.");
  using Export = Collector::Options::Export;
  const auto exported = settings.choice("--export", "auto", {"auto", "required", "off"},
                                        "Require that every span is exported; auto: if an exporter is active.");
  collect.exported = exported == "required" ? Export::required : exported == "off" ? Export::off : Export::automatic;
  const auto load = load_of(make_probes({.quiet = true}));
  command.every = seconds(
      settings, "--every", command.every, kDay,
      "Canary: repeat the check, from one start to the next, until SIGTERM, with the results at /metrics; 0 = check "
      "once. Each check then sends " +
          std::to_string(load.requests) + " requests, which cause " + std::to_string(load.spans) + " spans and " +
          std::to_string(load.log_lines) + " log lines.");
  const bool canary = command.every > Seconds(0);
  probes.quiet = canary;
  command.metrics_port = static_cast<std::uint16_t>(
      settings.integer("--metrics-port", 8404, 0, 65535,
                       "With --every: port of /metrics, /healthz and /readyz; 0 = any free port, which is logged."));
  command.late_after = seconds(settings, "--late-after", command.late_after, 3600,
                               "With --every: a signal that is complete later than this is late.");
  probes.die = settings.text("--die", probes.die, "Die that never fails.");
  probes.risky_die = settings.text("--risky-die", probes.risky_die, "Die that may fail; skipped if it does not exist.");
  probes.concurrency = !command.answers_only;
  if (canary) collect.deadline = kCanaryDeadline;
  else if (!command.prometheus_url.empty()) collect.deadline = kPrometheusDeadline;
  collect.deadline = seconds(settings, "--deadline", collect.deadline, 3600,
                             "Maximum wait for each signal to be complete after the last answer; default with "
                             "--prometheus: 90, with --every: 75.");
  if (canary) collect.settle = kCanarySettle;
  collect.clock_skew =
      seconds(settings, "--clock-skew", collect.clock_skew, 3600, "Maximum clock difference between two services.");
  command.json = settings.flag("--json", false, "Print the report as JSON.");
  command.junit = settings.text("--junit", "", "Write the report as JUnit XML to this file, too.");
  if (canary && !command.junit.empty()) settings.error("--junit", command.junit, "only without --every");
  if (canary && command.json) settings.error("--json", "true", "only without --every");
  if (!command.logs.empty() && !command.loki_url.empty()) {
    settings.error("--loki", command.loki_url, "only one of --logs and --loki");
  }
  if (!command.metrics_urls.empty() && !command.prometheus_url.empty()) {
    settings.error("--prometheus", command.prometheus_url, "only one of --metrics and --prometheus");
  }
  if (command.url != default_url) return command;
  // The defaults for services started by `make run`.
  std::error_code error;
  if (command.logs.empty() && command.loki_url.empty() && std::filesystem::is_directory(kDefaultLogs, error)) {
    command.logs.emplace_back(kDefaultLogs);
  }
  if (command.metrics_urls.empty() && command.prometheus_url.empty()) {
    for (const auto& service : kServices) command.metrics_urls.push_back(service.metrics_url());
  }
  return command;
}

struct Subcommand {
  const char* name;
  const char* about;
  std::function<Command(Settings&)> declare;
};

const std::vector<Subcommand>& subcommands() {
  static const std::vector<Subcommand> all = {
      {"traffic", "Generate load from many concurrent users; traced if OTEL_* variables enable it.", declare_traffic},
      {"compare", "Compare sequential rolls with concurrent rolls.", declare_compare},
      {"verify", "Send known requests and check that their telemetry arrives and is correct.", declare_verify}};
  return all;
}

constexpr const char* kExitCodes = "\nExit codes: 0 passed, 1 failed, 2 usage error, 3 target unreachable.\n";

void write_help(std::ostream& out) {
  out << "Load generator and verifier for the dice services.\n\nUsage: loadgen COMMAND [--FLAG VALUE]…\n\n";
  for (const auto& [name, about, declare] : subcommands()) out << "  " << name << "\n      " << about << "\n";
  out << "\nloadgen COMMAND --help lists a command's flags, loadgen --version shows the version.\n" << kExitCodes;
}

}  // namespace

std::variant<Command, int> parse_command(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const auto is_help = [](const std::string& text) { return text == "--help" || text == "-h"; };
  if (!arguments.empty() && is_help(arguments[0])) {
    write_help(out);
    return kPassed;
  }
  if (!arguments.empty() && arguments[0] == "--version") {
    out << version << " (" << commit << ")\n";
    return kPassed;
  }
  const auto found = std::ranges::find_if(
      subcommands(), [&](const Subcommand& one) { return !arguments.empty() && arguments[0] == one.name; });
  if (found == subcommands().end()) {
    err << (arguments.empty() ? "a command is required" : "unknown command \"" + printable(arguments[0]) + "\"")
        << "; allowed: traffic, compare, verify\n";
    return kUsageError;
  }
  arguments.erase(arguments.begin());
  const auto help = std::erase_if(arguments, is_help) > 0;
  const Flags flags(arguments, "LOADGEN_", process_environment());
  Settings settings(flags.environment());
  auto command = found->declare(settings);
  if (help) {
    out << found->about << "\n\nUsage: loadgen " << found->name << " [--FLAG VALUE]…\n\n"
        << settings.help([&](const std::string& flag) { return flag + ", " + flags.variable_of(flag); }) << kExitCodes;
    return kPassed;
  }
  auto errors = flags.errors(settings.options());
  errors.insert(errors.end(), settings.errors().begin(), settings.errors().end());
  for (const auto& error : errors) err << error << "\n";
  if (!errors.empty()) return kUsageError;
  return command;
}

}  // namespace dice::loadgen
