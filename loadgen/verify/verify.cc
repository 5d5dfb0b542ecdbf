#include "loadgen/verify/verify.h"

#include <algorithm>

#include "common/base/joined.h"
#include "loadgen/verify/evidence.h"

namespace dice::loadgen {

std::expected<Report, std::string> Verify::run() {
  constexpr Seconds kMaxPause{10};
  const auto start = clock_.now();
  const auto end = start + to_steady(options_.max_duration);
  int window = 1;
  auto done = run_window();
  if (!done) return std::unexpected(done.error());
  for (auto pause = options_.pause; window < options_.max_windows && clock_.now() + to_steady(pause) < end;
       pause = std::min(2 * pause, kMaxPause)) {
    if (done && collected_.replaced.empty()) break;
    const auto why = done ? joined(collected_.replaced, ", ") + ": its replicas changed during the check"
                          : target_.url() + " cannot be reached: " + done.error();
    if (options_.progress) options_.progress(why + "; checking again (" + std::to_string(window + 1) + ")");
    if (!clock_.sleep(pause, options_.collect.stop)) break;
    done = run_window();
    ++window;
  }
  if (!done) return std::unexpected(done.error());
  auto report = report_of(collected_);
  report.target = target_.url();
  report.windows = window;
  report.seconds = Seconds(clock_.now() - start).count();
  return report;
}

std::expected<void, std::string> Verify::run_window() {
  collected_ = {.sources = sources_, .probes = {}};
  const auto probes = choose_probes();
  if (!probes) return std::unexpected(probes.error());
  Collector collector(options_.collect, collected_, clock_);
  collector.prepare();
  const auto threads = send(*probes);
  collector.run();
  return {};
}

std::expected<std::vector<Probe>, std::string> Verify::choose_probes() {
  const auto answer = target_.request("GET", "/dice", random_context());
  if (answer.status == 0) return std::unexpected(answer.error_message.value_or("no answer"));
  auto options = options_.probes;
  const auto known = answer.identifiers.value_or(std::vector<std::string>{});
  if (answer.identifiers && std::ranges::find(known, options.risky_die) == known.end()) options.risky_die.clear();
  auto probes = make_probes(options);
  for (auto& probe : probes) probe.context = random_context();
  return probes;
}

std::vector<std::jthread> Verify::send(const std::vector<Probe>& probes) {
  collected_.probes = std::vector<ProbeState>(probes.size());
  std::vector<std::jthread> threads;
  threads.reserve(probes.size());
  for (std::size_t i = 0; i < probes.size(); ++i) {
    threads.emplace_back([this, probe = probes[i], &state = collected_.probes[i]] {
      state.sent = {probe, target_.request(probe.method, probe.path, probe.context), clock_.now()};
      state.expected_answer = outcome_of(state.sent) != Outcome::wrong;
      state.answered = true;
    });
  }
  return threads;
}

}  // namespace dice::loadgen
