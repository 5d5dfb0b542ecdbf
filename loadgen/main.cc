#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iostream>
#include <thread>

#include "common/base/process.h"
#include "common/base/signals.h"
#include "common/base/version.h"
#include "contract/error.h"
#include "contract/names.h"
#include "loadgen/exposition.h"
#include "loadgen/options.h"
#include "loadgen/verify/canary.h"

namespace dice::loadgen {
namespace {

/// Turns SIGINT and SIGTERM, which `prepare_process` has blocked, into a stop request. A second signal ends the
/// process.
class Signals {
 public:
  Signals()
      : thread_([this](const std::stop_token& end) {
          while (!end.stop_requested()) {
            const int signal = wait_for_signal(std::chrono::milliseconds(50));
            if (is_stop_signal(signal) && !stop_.request_stop()) ::_exit(128 + signal);
          }
        }) {}

  std::stop_token token() const { return stop_.get_token(); }

 private:
  std::stop_source stop_;
  std::jthread thread_;
};

int unreachable(const std::string& url, const std::string& why) {
  std::cerr << "loadgen: " << url << " cannot be reached: " << why << "\n";
  return kUnreachable;
}

/// Reads the OTEL_* variables; spans are exported only if an exporter or an endpoint is set.
std::variant<Tracing::Options, int> tracing_options() {
  const auto environment = process_environment();
  Settings settings(environment);
  auto options = Tracing::Options::declare(settings, "loadgen");
  for (const auto& error : settings.errors()) std::cerr << error << "\n";
  if (!settings.errors().empty()) return kUsageError;
  const bool enabled = environment("OTEL_TRACES_EXPORTER") || environment("OTEL_EXPORTER_OTLP_ENDPOINT") ||
                       environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  if (!enabled) options.exporter = "none";
  options.memory.entries = 0;  // loadgen has no endpoint for recent spans
  return options;
}

/// Whether roll requests reach die-service: an unknown die results in 404 die_not_found, without a roll.
bool rolls_get_through(Target& target) {
  return target.request("GET", "/roll?die=_none", random_context()).error_code == name_of(ErrorCode::die_not_found);
}

/// Waits as the command says. Returns the dice that the frontend lists, or an error message.
std::expected<std::vector<std::string>, std::string> wait_for_target(const TrafficCommand& command, Clock& clock,
                                                                     const std::stop_token& stop) {
  Target target(command.traffic.url, command.traffic.timeout);
  const auto deadline = clock.now() + to_steady(command.wait);
  const auto wait = [&] { return clock.now() < deadline && clock.sleep(Seconds(0.2), stop); };
  auto dice = target.list_dice();
  while (!dice && wait()) dice = target.list_dice();
  if (!dice || command.traffic.mix.list_only || command.wait <= Seconds(0)) return dice;
  while (!rolls_get_through(target) && wait()) continue;
  return dice;
}

/// Returns the port, or nothing after writing the error.
std::optional<std::uint16_t> open_port(Exposition& exposition, std::uint16_t wanted) {
  const auto port = exposition.start(wanted);
  if (port) return *port;
  std::cerr << "--metrics-port: " << port.error() << "\n";
  return std::nullopt;
}

int run(TrafficCommand command) {
  prepare_process();  // before the first thread starts
  const auto options = tracing_options();
  if (const auto* code = std::get_if<int>(&options)) return *code;
  const Signals signals;
  LogSink sink(STDERR_FILENO);
  const auto& trace_options = std::get<Tracing::Options>(options);
  Tracing tracing(trace_options, Logger(sink, trace_options.service, LogLevel::warn));
  SteadyClock clock;

  Parts parts(command.parts, clock);
  Exposition exposition(sink, trace_options.service, clock);
  parts.serve(exposition);
  if (command.metrics_port) {
    const auto port = open_port(exposition, *command.metrics_port);
    if (!port) return kUsageError;
    std::cerr << "loadgen: metrics at port " << *port << "\n";
  }

  const auto dice = wait_for_target(command, clock, signals.token());
  if (!dice) return unreachable(command.traffic.url, dice.error());
  if (!command.dice.empty()) command.traffic.mix.dice = command.dice;
  else if (!dice->empty()) command.traffic.mix.dice = *dice;

  const auto seed = parts.start(command.traffic.seed, signals.token());
  if (!seed) {
    std::cerr << "loadgen: " << seed.error() << "\n";
    return kFailed;
  }
  command.traffic.seed = *seed;
  exposition.set_ready(true);

  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  int ticks = 0;
  const auto progress = [&](const std::string& line) {
    constexpr int kPlainInterval = 10;  // seconds
    if (terminal) std::cerr << "\r\033[K" << line << std::flush;
    else if (++ticks % kPlainInterval == 0) std::cerr << line << "\n";
  };
  Traffic traffic(command.traffic, tracing, exposition.metrics(), clock);
  auto own = traffic.run(signals.token(), progress);
  if (terminal) std::cerr << "\r\033[K";
  const auto summary = parts.finish(std::move(own), signals.token());
  if (summary) std::cout << (command.json ? to_json(*summary) + "\n" : to_table(*summary));
  else std::cerr << "loadgen: part 0 prints the summary\n";
  tracing.shutdown(std::chrono::seconds(5));
  return !summary || summary->passed() ? kPassed : kFailed;
}

TraceSource trace_source(const std::string& url, const std::string& tempo_url) {
  return tempo_url.empty() ? TraceSource(kFrontend.name, url) : TraceSource("Tempo", tempo_url);
}

int run(const CompareCommand& command) {
  SteadyClock clock;
  Target target(command.url);
  if (const auto dice = target.list_dice(); !dice) return unreachable(command.url, dice.error());
  auto traces = trace_source(command.url, command.tempo_url);
  const auto comparison = Compare(command.compare, target, traces, clock).run();
  if (!comparison) {
    std::cerr << "loadgen: " << comparison.error() << "\n";
    return kFailed;
  }
  std::cout << (command.json ? to_json(*comparison) + "\n" : to_table(*comparison));
  const auto efficiency = comparison->concurrent.back().efficiency();
  if (efficiency >= command.min_efficiency) return kPassed;
  std::cerr << "loadgen: the efficiency is " << efficiency << ", less than --min-efficiency " << command.min_efficiency
            << "\n";
  return kFailed;
}

std::unique_ptr<LogSource> log_source(const VerifyCommand& command) {
  if (!command.loki_url.empty()) return std::make_unique<Loki>(command.loki_url, command.loki_selector);
  if (command.logs.empty()) return nullptr;
  return std::make_unique<LogFiles>(std::vector<std::filesystem::path>(command.logs.begin(), command.logs.end()));
}

std::unique_ptr<MetricsSource> metrics_source(const VerifyCommand& command) {
  if (!command.prometheus_url.empty())
    return std::make_unique<Prometheus>(command.prometheus_url, command.prometheus_selector);
  if (command.metrics_urls.empty()) return nullptr;
  return std::make_unique<Scrapes>(command.metrics_urls);
}

/// Names the signals that are not checked.
std::vector<std::string> not_checked(const VerifyCommand& command) {
  if (command.answers_only) return {"everything except the answers: --answers-only"};
  std::vector<std::string> lines;
  if (!command.has_logs()) lines.emplace_back("logs: require --logs or --loki");
  if (!command.has_metrics()) {
    lines.emplace_back("metrics and correlation: require --metrics or --prometheus");
  }
  return lines;
}

/// One check. The sources are new each time, so that nothing of earlier checks is kept or asked for again.
std::expected<Report, std::string> check(const VerifyCommand& command, const Verify::Options& options) {
  SteadyClock clock;
  Target target(command.url);
  auto traces = trace_source(command.url, command.tempo_url);
  const auto logs = log_source(command);
  const auto metrics = metrics_source(command);
  Sources sources;
  if (!command.answers_only) sources = {&traces, logs.get(), metrics.get()};
  return Verify(options, target, sources, clock).run();
}

std::vector<std::string> checked_signals(const VerifyCommand& command) {
  if (command.answers_only) return {signal::kAnswers};
  std::vector<std::string> signals = {signal::kAnswers, signal::kTraces};
  if (command.has_logs()) signals.emplace_back(signal::kLogs);
  if (command.has_metrics()) signals.insert(signals.end(), {signal::kMetrics, signal::kCorrelation});
  return signals;
}

/// `--every`: checks until SIGTERM or SIGINT.
int run_canary(const VerifyCommand& command) {
  prepare_process();  // before the first thread starts
  // Each probe has a thread of its own, and each thread would keep memory of its own.
  (void)::mallopt(M_ARENA_MAX, 1);  // NOLINT(concurrency-mt-unsafe): there is one thread
  const auto service = process_environment()("OTEL_SERVICE_NAME").value_or(kCanary);
  SteadyClock clock;
  LogSink sink(STDOUT_FILENO);
  const Logger log(sink, service, LogLevel::info);
  Exposition exposition(sink, service, clock);
  const auto check_once = [&command](const auto& observe, const std::stop_token& stop) {
    auto options = command.verify;
    options.max_windows = 1;  // the next check is the next window
    options.collect.observe = observe;
    options.collect.stop = stop;
    return check(command, options);
  };
  Canary canary({.every = command.every, .late_after = command.late_after, .signals = checked_signals(command)},
                check_once, exposition.metrics(), log, clock);
  const auto port = open_port(exposition, command.metrics_port);
  if (!port) return kUsageError;
  const auto load = load_of(make_probes(command.verify.probes));
  const auto per_minute = 60 / command.every.count();
  const auto each = "each check sends " + std::to_string(load.requests) + " requests, which cause " +
                    std::to_string(load.spans) + " spans and " + std::to_string(load.log_lines) + " log lines";
  log.log(LogLevel::info, "Canary started", nullptr,
          {{"metrics_port", std::int64_t{*port}},
           {"target", std::string_view(command.url)},
           {"every_seconds", command.every.count()},
           {"load", std::string_view(each)},
           {"max_requests_per_minute", per_minute * static_cast<double>(load.requests)},
           {"max_spans_per_minute", per_minute * static_cast<double>(load.spans)},
           {"max_log_lines_per_minute", per_minute * static_cast<double>(load.log_lines)},
           {"version", std::string_view(version)}});
  for (const auto& line : not_checked(command)) {
    log.log(LogLevel::warn, "Not checked", nullptr, {{"signals", std::string_view(line)}});
  }
  std::atomic<bool> ended = false;
  std::jthread thread([&](const std::stop_token& stop) {
    canary.run([&exposition] { exposition.set_ready(true); }, stop);
    ended = true;
  });
  wait_for_stop({}, {});
  log.log(LogLevel::info, "Canary stopped", nullptr);
  thread.request_stop();
  wait_until([&ended] { return ended.load(); }, Seconds(0.3));
  if (ended) return kPassed;
  // A request of the check is still waiting. What it uses must stay alive, so the process ends without destroying
  // anything.
  (void)sink.flush(Seconds(0.3));
  ::_exit(kPassed);
}

int run(const VerifyCommand& command) {
  if (command.every > Seconds(0)) return run_canary(command);
  auto options = command.verify;
  options.progress = [](const std::string& line) { std::cerr << line << "\n"; };
  auto report = check(command, options);
  if (!report) return unreachable(command.url, report.error());
  for (auto& line : not_checked(command)) report->not_checked.push_back(std::move(line));
  std::cout << (command.json ? to_json(*report) + "\n" : to_table(*report));
  if (!command.junit.empty()) {
    std::ofstream file(command.junit);
    file << to_junit(*report);
    if (!file.flush()) {
      std::cerr << "--junit: " << command.junit << " cannot be written\n";
      return kUsageError;
    }
  }
  return report->passed() ? kPassed : kFailed;
}

}  // namespace
}  // namespace dice::loadgen

int main(int argc, char** argv) {
  using namespace dice::loadgen;
  (void)std::signal(SIGPIPE, SIG_IGN);  // broken connections are handled as errors
  const auto parsed = parse_command(argc, argv, std::cout, std::cerr);
  if (const auto* code = std::get_if<int>(&parsed)) return *code;
  return std::visit([](const auto& command) { return run(command); }, std::get<Command>(parsed));
}
