#include "loadgen/traffic/traffic.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "contract/names.h"
#include "loadgen/target.h"

namespace dice::loadgen {
namespace {

/// Minimum pause after a request without a response: the service may be restarting.
constexpr Seconds kRetryPause{0.2};
constexpr double kRateTolerance = 0.01;

Seconds since(TimePoint start, TimePoint now) { return now - start; }

}  // namespace

Traffic::Traffic(Options options, Tracing& tracing, Metrics& metrics, Clock& clock)
    : options_(std::move(options)),
      tracing_(tracing),
      clock_(clock),
      client_([this] {
        auto client = target_options(options_.url);
        client.idle_connections = static_cast<std::size_t>(std::max(options_.workers, options_.users));
        return client;
      }()),
      schedule_(options_.rate, options_.ramp),
      metrics_(metrics, {.part = options_.part, .seed = options_.seed, .rate = options_.rate}),
      tally_(options_.expected_failures) {}

int Traffic::request(std::optional<RollRequest> wanted, std::uint64_t number, TimePoint due) {
  if (wanted && options_.roll_seed) wanted->seed = nth_roll_seed(*options_.roll_seed, number);
  const std::string route = wanted ? wanted->route() : route::kDice;
  const auto path = wanted ? wanted->path() : route;
  const auto id = "user-" + std::to_string(number % static_cast<std::uint64_t>(options_.users));
  auto span = tracing_.start("traffic " + route, SpanKind::internal, {}, {{"user.id", id}});
  auto parent = span.context();
  parent.baggage = "user.id=" + id;
  metrics_.started();
  const auto sent = clock_.now();
  const auto answer = parse_answer(
      client_.get({.path = path, .route = route, .timeout = options_.timeout, .parent = &parent}, &tracing_));
  const auto latency = since(due, clock_.now());
  metrics_.finished(route, answer, latency, parent);
  if (!answer.succeeded()) span.fail(answer.error_code.value_or(std::to_string(answer.status)));
  span.end();
  const Lock lock(mutex_);
  tally_.add(route, answer, latency.count(), to_hex(parent.trace_id));
  last_sent_ = std::max(last_sent_, sent);
  return answer.status;
}

void Traffic::user(std::uint64_t number, TimePoint start, const std::stop_token& stop) {
  Plan plan(options_.mix, options_.seed, number);
  const bool endless = options_.duration > Seconds(0);
  const auto end = start + to_steady(options_.duration);
  if (!clock_.sleep(options_.ramp * (static_cast<double>(number) / options_.users), stop)) return;
  const auto users = static_cast<std::uint64_t>(options_.users);
  auto next = number;
  for (int left = plan.rolls(options_.rolls); endless ? clock_.now() < end : left > 0; --left, next += users) {
    const bool answered = request(plan.next(), next, clock_.now()) != 0;
    auto pause = plan.think(options_.think_min, options_.think_max);
    if (!answered) pause = std::max(pause, kRetryPause);
    if (!clock_.sleep(endless ? std::min(pause, since(clock_.now(), end)) : pause, stop)) return;
  }
}

void Traffic::worker(TimePoint start, std::uint64_t count, const std::stop_token& stop) {
  for (auto index = options_.part.nth(next_++); index < count; index = options_.part.nth(next_++)) {
    const auto due = start + to_steady(schedule_.due(index));
    if (const auto now = clock_.now(); now < due && !clock_.sleep(due - now, stop)) return;
    if (stop.stop_requested()) return;
    request(Plan(options_.mix, options_.seed, index).next(), index, due);
  }
}

std::string Traffic::progress_line(TimePoint start) {
  const Lock lock(mutex_);
  const auto seconds = since(start, clock_.now()).count();
  const auto count = static_cast<double>(tally_.count());
  return fixed(seconds, 0) + " s: " + std::to_string(tally_.count()) + " requests, " + fixed(count / seconds, 1) +
         " per second, " + std::to_string(metrics_.in_flight()) + " in flight, p99 " +
         show_seconds(tally_.latency().percentile(0.99)) + ", " + std::to_string(tally_.unexpected()) +
         " unexpected failures";
}

TrafficSummary Traffic::run(const std::stop_token& stop, const std::function<void(const std::string&)>& progress) {
  const bool open = options_.rate > 0;
  const auto count = options_.duration > Seconds(0)
                         ? schedule_.count(options_.duration)
                         : static_cast<std::uint64_t>(options_.users) * static_cast<std::uint64_t>(options_.rolls);
  const auto start = clock_.now();
  {
    const auto& part = options_.part;
    const auto all =
        open ? static_cast<std::uint64_t>(options_.workers) : part.count(static_cast<std::uint64_t>(options_.users));
    std::stop_source done;
    std::vector<std::jthread> threads;
    threads.reserve(all);
    running_ = all;
    for (std::uint64_t i = 0; i < all; ++i) {
      threads.emplace_back([this, user_number = part.nth(i), open, start, count, &stop, &done] {
        open ? worker(start, count, stop) : user(user_number, start, stop);
        if (--running_ == 0) done.request_stop();
      });
    }
    while (clock_.sleep(Seconds(1), done.get_token())) progress(progress_line(start));
  }
  return summary(start);
}

TrafficSummary Traffic::summary(TimePoint start) {
  const auto& part = options_.part;
  const Lock lock(mutex_);
  const auto count = tally_.count();
  TrafficSummary summary{.target = options_.url,
                         .parts = part.parts,
                         .missing = {},
                         .seed = options_.seed,
                         .seconds = since(start, clock_.now()).count(),
                         .rate = options_.rate / static_cast<double>(part.parts),
                         .tally = tally_};
  summary.sent_rate = static_cast<double>(count) / summary.seconds;
  if (options_.rate > 0 && count > 0) {
    // From the moment at which the first request was due to the one at which the next one would have been.
    const auto first = schedule_.due(part.nth(0));
    const auto slot = 1 / summary.rate;
    const auto planned = (schedule_.due(part.nth(count - 1)) - first).count() + slot;
    const auto taken = (since(start, last_sent_) - first).count() + slot;
    summary.sent_rate = static_cast<double>(count) / taken;
    summary.rate_reached = taken <= planned * (1 + kRateTolerance) + 0.01;
  }
  return summary;
}

}  // namespace dice::loadgen
