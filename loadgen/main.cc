#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <iostream>
#include <thread>

#include "common/base/process.h"
#include "common/base/signals.h"
#include "contract/error.h"
#include "contract/names.h"
#include "loadgen/options.h"

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
    const auto port = exposition.start(*command.metrics_port);
    if (!port) {
      std::cerr << "--metrics-port: " << port.error() << "\n";
      return kUsageError;
    }
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
  if (!command.prometheus_url.empty()) return std::make_unique<Prometheus>(command.prometheus_url);
  if (command.metrics_urls.empty()) return nullptr;
  return std::make_unique<Scrapes>(command.metrics_urls);
}

int run(const VerifyCommand& command) {
  SteadyClock clock;
  Target target(command.url);
  auto traces = trace_source(command.url, command.tempo_url);
  const auto logs = log_source(command);
  const auto metrics = metrics_source(command);
  Sources sources;
  if (!command.answers_only) sources = {&traces, logs.get(), metrics.get()};
  auto options = command.verify;
  options.progress = [](const std::string& line) { std::cerr << line << "\n"; };
  auto report = Verify(options, target, sources, clock).run();
  if (!report) return unreachable(command.url, report.error());
  if (command.answers_only) {
    report->not_checked.emplace_back("everything except the answers: --answers-only");
  } else {
    if (!logs) report->not_checked.emplace_back("logs: require --logs or --loki");
    if (!metrics) report->not_checked.emplace_back("metrics and correlation: require --metrics or --prometheus");
  }
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
