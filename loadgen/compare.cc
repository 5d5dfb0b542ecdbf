#include "loadgen/compare.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "common/base/json.h"
#include "contract/roll.h"
#include "loadgen/statistics.h"

namespace dice::loadgen {
namespace {

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

template <typename Of>
double total(const std::vector<BatchRun>& runs, const Of& of) {
  double all = 0;
  for (const auto& run : runs) all += of(run);
  return all;
}

double work(const std::vector<BatchRun>& runs) {
  return total(runs, [](const BatchRun& run) { return sum(run.roll_seconds); });
}

std::vector<double> waits(const Concurrent& concurrent) {
  std::vector<double> seconds;
  seconds.reserve(concurrent.runs.size());
  for (const auto& run : concurrent.runs) seconds.push_back(run.seconds);
  return seconds;
}

std::string failure(const RollRequest& request, const Answer& answer, const std::string& trace_id) {
  auto text = request.path() + ": " + answer.outcome();
  if (answer.status != 0 && answer.error_message) text += ": " + *answer.error_message;
  return text + " (trace " + trace_id + ")";
}

constexpr std::size_t kLabel = 36;
constexpr std::size_t kNumber = 11;
constexpr std::size_t kBar = 40;

std::string row(const std::string& label, const Summary& summary, double longest) {
  std::string text = pad(label, kLabel);
  for (const auto value : {summary.mean, summary.standard_deviation, summary.min, summary.max}) {
    text += pad(show_seconds(value), kNumber);
  }
  return text + bar(summary.mean / longest, kBar) + "\n";
}

void write_summary(JsonWriter& writer, const Summary& summary) {
  write_member(writer, "mean_seconds", summary.mean);
  write_member(writer, "standard_deviation_seconds", summary.standard_deviation);
  write_member(writer, "min_seconds", summary.min);
  write_member(writer, "max_seconds", summary.max);
}

}  // namespace

double Concurrent::measured_speedup() const {
  return work(runs) / total(runs, [](const BatchRun& run) { return run.seconds; });
}

double Concurrent::possible_speedup() const {
  return work(runs) / total(runs, [this](const BatchRun& run) { return makespan(run.roll_seconds, threads); });
}

std::string to_table(const Comparison& comparison) {
  const auto rolls = std::to_string(comparison.rolls);
  const auto sequential = summarize(comparison.sequential_seconds);
  double longest = sequential.mean;
  for (const auto& one : comparison.concurrent) longest = std::max(longest, summarize(waits(one)).mean);

  std::string text = "\n" + pad("", kLabel);
  for (const auto* title : {"mean", "std dev", "min", "max"}) text += pad(title, kNumber);
  text += "\n" + row(rolls + " × /roll, sequential", sequential, longest);
  for (const auto& one : comparison.concurrent) {
    text += row("1 × /roll-async, " + rolls + " on " + std::to_string(one.threads) +
                    (one.threads == 1 ? " thread" : " threads"),
                summarize(waits(one)), longest);
  }
  text += "\n" + pad("threads", 10) + pad("requests", 11) + pad("measured", 11) + pad("possible", 11) +
          pad("efficiency", 12) + "speedup: measured █ of possible ░\n";
  double max = 0;
  for (const auto& one : comparison.concurrent) max = std::max(max, one.possible_speedup());
  for (const auto& one : comparison.concurrent) {
    const auto cells = [max](double speedup) { return static_cast<std::size_t>(std::lround(speedup / max * kBar)); };
    const auto measured = cells(one.measured_speedup());
    text += pad(std::to_string(one.threads), 10) +
            pad(fixed(sequential.mean / summarize(waits(one)).mean, 2) + " ×", 11) +
            pad(fixed(one.measured_speedup(), 2) + " ×", 11) + pad(fixed(one.possible_speedup(), 2) + " ×", 11) +
            pad(fixed(one.efficiency(), 3), 12);
    for (std::size_t i = 0; i < cells(one.possible_speedup()); ++i) text += i < measured ? "█" : "░";
    text += "\n";
  }
  return text +
         "\n  requests    time of the sequential requests ÷ time of the batch, as seen by the user (both have the same "
         "delays)\n"
         "  measured    sum of a batch's roll durations ÷ time of that batch\n"
         "  possible    sum of a batch's roll durations ÷ minimum time for them on that many threads, from its trace\n"
         "  efficiency  measured ÷ possible\n";
}

std::string to_json(const Comparison& comparison) {
  return json_object([&](JsonWriter& writer) {
    const auto sequential = summarize(comparison.sequential_seconds);
    write_member(writer, "target", comparison.target);
    write_member(writer, "die", comparison.die);
    write_member(writer, "rolls", comparison.rolls);
    write_member(writer, "iterations", comparison.sequential_seconds.size());
    write_key(writer, "sequential");
    writer.StartObject();
    write_summary(writer, sequential);
    writer.EndObject();
    write_key(writer, "concurrent");
    writer.StartArray();
    for (const auto& one : comparison.concurrent) {
      const auto summary = summarize(waits(one));
      writer.StartObject();
      write_member(writer, "threads", one.threads);
      write_summary(writer, summary);
      write_member(writer, "requests_speedup", sequential.mean / summary.mean);
      write_member(writer, "measured_speedup", one.measured_speedup());
      write_member(writer, "possible_speedup", one.possible_speedup());
      write_member(writer, "efficiency", one.efficiency());
      writer.EndObject();
    }
    writer.EndArray();
  });
}

std::expected<Comparison, std::string> Compare::run() {
  Comparison comparison{.target = target_.url(), .die = options_.die, .rolls = options_.rolls};
  auto threads = options_.threads;
  if (threads.empty()) threads.push_back(options_.rolls);
  for (const int one : threads) comparison.concurrent.push_back({.threads = static_cast<std::size_t>(one)});
  std::random_device random;
  std::uniform_int_distribution<std::int64_t> any_seed(0, kMaxRollSeed);
  for (int i = 0; i < options_.iterations; ++i) {
    const auto seed = any_seed(random);
    const auto seconds = sequential(seed);
    if (!seconds) return std::unexpected(seconds.error());
    comparison.sequential_seconds.push_back(*seconds);
    for (std::size_t j = 0; j < threads.size(); ++j) {
      auto run = batch(seed, threads[j]);
      if (!run) return std::unexpected(std::move(run.error()));
      comparison.concurrent[j].runs.push_back(std::move(*run));
    }
  }
  return comparison;
}

std::expected<double, std::string> Compare::sequential(std::int64_t seed) {
  RollRequest request{.die = options_.die, .seed = seed};
  const auto start = clock_.now();
  for (int i = 0; i < options_.rolls; ++i) {
    request.index = i;
    const auto context = random_context();
    const auto answer = target_.request("GET", request.path(), context);
    if (!answer.roll) {
      return std::unexpected(failure(request, answer, to_hex(context.trace_id)));
    }
  }
  return Seconds(clock_.now() - start).count();
}

std::expected<BatchRun, std::string> Compare::batch(std::int64_t seed, int threads) {
  const bool limited = threads < options_.rolls;
  const RollRequest request{.die = options_.die,
                            .times = options_.rolls,
                            .concurrency = limited ? std::optional(threads) : std::nullopt,
                            .seed = seed};
  const auto context = random_context();
  const auto start = clock_.now();
  const auto answer = target_.request("GET", request.path(), context);
  BatchRun run{.seconds = Seconds(clock_.now() - start).count()};
  const auto id = to_hex(context.trace_id);
  if (!answer.rolls) return std::unexpected(failure(request, answer, id));
  auto seconds = roll_seconds(id);
  if (!seconds) return std::unexpected(std::move(seconds.error()));
  run.roll_seconds = std::move(*seconds);
  return run;
}

std::expected<std::vector<double>, std::string> Compare::roll_seconds(const std::string& trace_id) {
  const auto deadline = clock_.now() + to_steady(options_.deadline);
  std::string found = "nothing";
  for (;;) {
    const auto trace = traces_.find(trace_id);
    if (!trace) {
      found = trace.error();
    } else if (*trace) {
      const auto rolls = (*trace)->rolls();
      std::vector<double> seconds;
      seconds.reserve(rolls.size());
      for (const auto* roll : rolls) seconds.push_back(roll->seconds());
      if (std::cmp_equal(seconds.size(), options_.rolls)) return seconds;
      found = std::to_string(rolls.size()) + " of " + std::to_string(options_.rolls) + " rolls";
    }
    if (clock_.now() >= deadline) {
      return std::unexpected("the trace " + trace_id + " is not complete in " + traces_.name() + ": " + found);
    }
    clock_.sleep(Seconds(0.05), {});
  }
}

}  // namespace dice::loadgen
