#include "loadgen/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <ostream>
#include <random>
#include <string_view>

#include "common/base/version.h"
#include "common/http/error.h"
#include "loadgen/statistics.h"

namespace dice::loadgen {
namespace {

/// Where `make run` writes them.
constexpr const char* kDefaultLogs = "build/run";
constexpr double kPrometheusDeadline = 90;

template <typename Number>
CLI::Validator range(Number min, Number max) {
  constexpr bool kWhole = std::is_integral_v<Number>;
  const auto shown = [](Number number) {
    if constexpr (kWhole) return std::to_string(number);
    else return number == std::floor(number) ? fixed(number, 0) : CLI::detail::to_string(number);
  };
  const auto allowed =
      std::string(kWhole ? "a whole number" : "a number") + " from " + shown(min) + " to " + shown(max);
  return {[=](std::string& text) -> std::string {
            Number value{};
            const auto* end = text.data() + text.size();
            const auto [rest, error] = std::from_chars(text.data(), end, value);
            if (error == std::errc() && rest == end && value >= min && value <= max) return {};
            return "\"" + text + "\" is not allowed; allowed: " + allowed;
          },
          allowed, "range"};
}

CLI::Validator url() {
  const std::string allowed = "http://HOST[:PORT] or https://HOST[:PORT]";
  return {[=](std::string& text) -> std::string {
            const auto host = text.starts_with("http://") ? 7U : text.starts_with("https://") ? 8U : 0U;
            if (host == 0 || text.size() == host || text.find_first_of(" \t\r\n\"<>") != std::string::npos) {
              return "\"" + text + "\" is not allowed; allowed: " + allowed;
            }
            while (text.ends_with('/')) text.pop_back();
            return {};
          },
          "URL", "url"};
}

/// The help calls them `kind`, or lists them when that is empty.
CLI::Validator one_of(const std::vector<std::string>& words, const std::string& kind = {}) {
  std::string list;
  for (const auto& word : words) list += (list.empty() ? "" : ", ") + word;
  return {[=](std::string& text) -> std::string {
            if (std::ranges::find(words, text) != words.end()) return {};
            return "\"" + text + "\" is not allowed; allowed: " + list;
          },
          kind.empty() ? list : kind, "word"};
}

std::vector<std::string> error_codes() {
  std::vector<std::string> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::downstream_timeout); ++code) {
    names.emplace_back(name_of(static_cast<ErrorCode>(code)));
  }
  return names;
}

/// `LOADGEN_MIN_EFFICIENCY` of `--min-efficiency`; empty for what is no flag of a command. CLI11's own reading of
/// variables is not used: version 2.1 reads them for all commands, and 2.4 passes over one that does not fit.
std::string variable_of(const CLI::Option& option) {
  const auto& names = option.get_lnames();
  if (names.empty() || names.front() == "help" || names.front() == "version") return {};
  std::string variable = "LOADGEN_";
  for (const char c : names.front())
    variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return variable;
}

/// Shows each flag's variable in the help.
class Formatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    const auto variable = variable_of(*option);
    return CLI::Formatter::make_option_opts(option) + (variable.empty() ? "" : " (Env:" + variable + ")");
  }
};

/// Declares flags, each with its default in the help.
class Flags {
 public:
  explicit Flags(CLI::App& app) : app_(app) {}

  CLI::Option* text(const std::string& name, std::string& target, const std::string& help) {
    return app_.add_option("--" + name, target, help)->capture_default_str();
  }
  template <typename Number>
  CLI::Option* number(const std::string& name, Number& target, Number min, Number max, const std::string& help) {
    return app_.add_option("--" + name, target, help)->capture_default_str()->transform(range(min, max));
  }
  CLI::Option* seconds(const std::string& name, Seconds& target, double max, const std::string& help) {
    return app_
        .add_option_function<double>(
            "--" + name, [&target](double value) { target = Seconds(value); }, help + " Seconds.")
        ->default_str(CLI::detail::to_string(target.count()))
        ->transform(range(0.0, max));
  }
  template <typename Element>
  CLI::Option* list(const std::string& name, std::vector<Element>& target, const std::string& help) {
    auto* option = app_.add_option("--" + name, target, help)->delimiter(',');
    if (!target.empty()) option->capture_default_str();
    return option;
  }
  CLI::Option* flag(const std::string& name, bool& target, const std::string& help) {
    return app_.add_flag("--" + name, target, help);
  }

 private:
  CLI::App& app_;
};

constexpr double kDay = 86'400;

void declare(CLI::App& app, TrafficCommand& command) {
  Flags flags(app);
  auto& traffic = command.traffic;
  flags.text("url", traffic.url, "URL of the frontend.")->transform(url());
  flags.number("users", traffic.users, 1, 10'000, "Number of concurrent users.");
  flags.number("rolls", traffic.rolls, 1, 1'000'000, "Maximum rolls per user, from 1; not with --duration.");
  flags.seconds("duration", traffic.duration, 365 * kDay, "Duration of the run; 0 = until all users are done.");
  flags.number("rate", traffic.rate, 0.0, 1e5,
               "Open loop: requests per second, regardless of responses; 0 = closed loop.");
  flags.number("workers", traffic.workers, 1, 10'000, "Open loop: maximum number of requests in flight.");
  flags.seconds("ramp", traffic.ramp, kDay, "Ramp-up time, until all users are active or the rate is reached.");
  flags.seconds("think-min", traffic.think_min, kDay,
                "Closed loop: minimum think time between two requests of a user.");
  flags.seconds("think-max", traffic.think_max, kDay, "Closed loop: maximum think time.");
  flags.number("async", traffic.mix.async_probability, 0.0, 1.0, "Fraction of requests that are batches.");
  flags.number("max-batch", traffic.mix.max_batch, 1, 1000, "Maximum rolls per batch, from 1.");
  flags.list("dice", command.dice, "Dice to roll, comma-separated; default: all that the frontend lists.");
  flags.flag("list-only", traffic.mix.list_only, "Send only GET /dice.");
  traffic.seed = std::random_device()();
  flags
      .number("seed", traffic.seed, std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max(),
              "Seed that makes the requests repeatable; default: random.")
      ->default_str("");
  flags.list("expect", command.expected_failures, "Error codes that do not fail the run, comma-separated.")
      ->transform(one_of(error_codes(), "error code"));
  flags.seconds("timeout", traffic.timeout, 3600, "Timeout of a request.");
  flags.seconds("wait", command.wait, kDay,
                "Maximum wait at the start, until the frontend is reachable and rolls succeed.");
  flags.flag("json", command.json, "Print the summary as JSON.");
  app.callback([&command, &traffic] {
    traffic.expected_failures = {command.expected_failures.begin(), command.expected_failures.end()};
    if (traffic.think_max < traffic.think_min)
      throw CLI::ValidationError("--think-max", "allowed: at least --think-min");
  });
}

void declare(CLI::App& app, CompareCommand& command) {
  Flags flags(app);
  auto& compare = command.compare;
  flags.text("url", command.url, "URL of the frontend.")->transform(url());
  flags.text("tempo", command.tempo_url, "URL of Tempo, to read traces from; default: the frontend.")->transform(url());
  flags.text("die", compare.die, "Die to roll; it must never fail.");
  auto* rolls = flags.number("rolls", compare.rolls, 1, 1000, "Number of rolls to compare.");
  flags.number("iterations", compare.iterations, 1, 10'000, "Repetitions.");
  flags
      .list("concurrency", compare.threads, "Thread counts to compare, comma-separated; default: one thread per roll.")
      ->transform(range(1, 1000));
  flags.seconds("deadline", compare.deadline, 3600, "Maximum wait for a batch's trace.");
  flags.number("min-efficiency", command.min_efficiency, 0.0, 1.0,
               "Exit with 1 if the efficiency at the highest thread count is lower.");
  flags.flag("json", command.json, "Print the result as JSON.");
  app.callback([&compare, rolls] {
    if (rolls->empty() && !compare.threads.empty()) {
      compare.rolls = std::max(compare.rolls, *std::ranges::max_element(compare.threads));
    }
  });
}

void declare(CLI::App& app, VerifyCommand& command) {
  Flags flags(app);
  auto& verify = command.verify;
  auto& collect = verify.collect;
  flags.text("url", command.url, "URL of the frontend.")->transform(url());
  flags.text("tempo", command.tempo_url, "URL of Tempo, to read traces from; default: the frontend.")->transform(url());
  const auto default_url = command.url;
  flags.list("logs", command.logs,
             std::string("Files of JSON lines, or folders of *.log, comma-separated; default: ") + kDefaultLogs +
                 ", if it exists and --url is the default.");
  flags.text("loki", command.loki_url, "URL of Loki, to read logs from instead of files.")->transform(url());
  flags.text("loki-selector", command.loki_selector, "LogQL selector of the log streams.");
  flags
      .list("metrics", command.metrics_urls,
            "URLs of the services' metrics ports, comma-separated; default: localhost:9400 to 9402, if --url is the "
            "default.")
      ->transform(url());
  flags.text("prometheus", command.prometheus_url, "URL of Prometheus, to read metrics from instead.")
      ->transform(url());
  flags.flag("shared", collect.shared, "Others use the system, too: counters may increase by more than what was sent.");
  flags.flag("answers-only", command.answers_only, "Check only the answers.");
  flags.text("export", command.exported, "Require that every span is exported; auto: if an exporter is active.")
      ->transform(one_of({"auto", "required", "off"}));
  flags.text("die", verify.probes.die, "Die that never fails.");
  flags.text("risky-die", verify.probes.risky_die, "Die that may fail; skipped if it does not exist.");
  auto* deadline =
      flags.seconds("deadline", collect.deadline, 3600,
                    "Maximum wait for each signal to be complete after the last answer; 90 with --prometheus.");
  flags.seconds("clock-skew", collect.clock_skew, 3600, "Maximum clock difference between two services.");
  flags.flag("json", command.json, "Print the report as JSON.");
  flags.text("junit", command.junit, "Write the report as JUnit XML to this file, too.");
  app.callback([&command, &verify, &collect, deadline, default_url] {
    using Export = Collector::Options::Export;
    collect.exported = command.exported == "required" ? Export::required
                       : command.exported == "off"    ? Export::off
                                                      : Export::automatic;
    if (deadline->empty() && !command.prometheus_url.empty()) collect.deadline = Seconds(kPrometheusDeadline);
    if (command.answers_only) verify.probes.concurrency = false;
    if (!command.logs.empty() && !command.loki_url.empty()) {
      throw CLI::ValidationError("--loki", "allowed: this or --logs, not both");
    }
    if (!command.metrics_urls.empty() && !command.prometheus_url.empty()) {
      throw CLI::ValidationError("--prometheus", "allowed: this or --metrics, not both");
    }
    if (command.url != default_url) return;
    // What `make run` has started.
    std::error_code error;
    if (command.logs.empty() && command.loki_url.empty() && std::filesystem::is_directory(kDefaultLogs, error)) {
      command.logs.emplace_back(kDefaultLogs);
    }
    if (command.metrics_urls.empty() && command.prometheus_url.empty()) {
      command.metrics_urls = {"http://localhost:9400", "http://localhost:9401", "http://localhost:9402"};
    }
  });
}

/// The arguments, and as further ones the variables of the command's flags that are not among them.
std::vector<std::string> with_variables(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> all(argv, argv + argc);
  const auto commands = app.get_subcommands(
      [&](const CLI::App* one) { return argc > 1 && one->get_name() == std::string_view(argv[1]); });
  if (commands.empty()) return all;
  const auto given = [&](const std::string& name) {
    return std::any_of(argv + 2, argv + argc, [&](std::string_view argument) {
      return argument.starts_with(name) && (argument.size() == name.size() || argument[name.size()] == '=');
    });
  };
  for (const auto* flag : commands.front()->get_options()) {
    const auto variable = variable_of(*flag);
    if (variable.empty() || given(flag->get_name())) continue;
    const char* const value = std::getenv(variable.c_str());  // NOLINT(concurrency-mt-unsafe): no threads yet
    if (value != nullptr && *value != '\0') all.push_back(flag->get_name() + "=" + value);
  }
  return all;
}

}  // namespace

std::variant<Command, int> parse_command(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  CLI::App app("Load generator and verifier for the dice services.", "loadgen");
  app.formatter(std::make_shared<Formatter>());
  app.footer("Exit codes: 0 passed, 1 failed, 2 usage error, 3 target unreachable.");
  app.set_version_flag("--version", std::string(version) + " (" + commit + ")");
  app.require_subcommand(0, 1);
  TrafficCommand traffic;
  CompareCommand compare;
  VerifyCommand verify;
  auto* traffic_app =
      app.add_subcommand("traffic", "Generate load from many concurrent users; traced if OTEL_* variables enable it.");
  auto* compare_app = app.add_subcommand("compare", "Compare sequential rolls with concurrent rolls.");
  auto* verify_app =
      app.add_subcommand("verify", "Send known requests and check that their telemetry arrives and is correct.");
  declare(*traffic_app, traffic);
  declare(*compare_app, compare);
  declare(*verify_app, verify);
  try {
    const auto arguments = with_variables(app, argc, argv);
    std::vector<const char*> pointers;
    pointers.reserve(arguments.size());
    for (const auto& one : arguments) pointers.push_back(one.c_str());
    app.parse(static_cast<int>(pointers.size()), pointers.data());
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? kPassed : kUsageError;
  }
  if (traffic_app->parsed()) return Command(traffic);
  if (compare_app->parsed()) return Command(compare);
  if (verify_app->parsed()) return Command(verify);
  err << "a subcommand is required; allowed: traffic, compare, verify\n";
  return kUsageError;
}

}  // namespace dice::loadgen
