#include "common/telemetry/export_queue.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/wait.h"

namespace dice {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using test::eventually;
using Result = SpanExporter::Result;
using Kind = Result::Kind;

constexpr std::size_t kSpanBytes = 904;  // 1000 including the overhead

/// Returns the given results and stores the delivered spans.
class FakeCollector {
 public:
  /// `answer` is called once per attempt, with its number from 0.
  explicit FakeCollector(std::function<Result(int)> answer) : answer_(std::move(answer)) {}

  std::unique_ptr<SpanExporter> exporter() {
    struct Exporter final : SpanExporter {
      explicit Exporter(FakeCollector& owner) : collector(owner) {}
      Result send(std::span<const EncodedSpan> spans, const Proceed& proceed) override {
        while (collector.hangs) {
          if (!proceed()) return {.kind = Kind::retryable, .reason = "stopped"};
          ++collector.asked;
          std::this_thread::yield();
        }
        auto result = collector.answer_(collector.attempts++);
        if (result.kind == Kind::delivered) {
          const Lock lock(collector.mutex_);
          for (const auto& span : spans) ++collector.delivered_[span->substr(0, span->find(' '))];
          collector.sizes_.push_back(spans.size());
        }
        return result;
      }
      FakeCollector& collector;
    };
    return std::make_unique<Exporter>(*this);
  }

  /// How often each span was delivered, by its number.
  std::map<std::string, int> delivered() const {
    const Lock lock(mutex_);
    return delivered_;
  }
  std::vector<std::size_t> sizes() const {
    const Lock lock(mutex_);
    return sizes_;
  }

  std::atomic<int> attempts = 0;
  std::atomic<bool> hangs = false;
  /// How often a hanging attempt has called `proceed`.
  std::atomic<int> asked = 0;

 private:
  const std::function<Result(int)> answer_;
  mutable Mutex mutex_;
  std::map<std::string, int> delivered_ GUARDED_BY(mutex_);
  std::vector<std::size_t> sizes_ GUARDED_BY(mutex_);
};

Result delivered(int /*attempt*/) { return {}; }
Result unreachable(int /*attempt*/) { return {.kind = Kind::retryable, .reason = "no connection"}; }

struct Bench {
  explicit Bench(FakeCollector& collector, ExportQueueOptions options = {})
      : queue(options, collector.exporter(), Logger(sink, "test", LogLevel::error)) {}

  void add(int count) {
    for (int i = 0; i < count; ++i) {
      auto text = std::to_string(next++) + " ";
      text.resize(kSpanBytes, 'x');
      queue.add(std::make_shared<const std::string>(std::move(text)));
    }
  }

  std::uint64_t total() const {
    const auto counts = queue.counts();
    return counts.queued + counts.exported + counts.dropped;
  }

  void stop(milliseconds limit) {
    queue.close(steady_clock::now() + limit);
    queue.join();
  }

  int next = 0;
  LogSink sink{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  ExportQueue queue;
};

ExportQueueOptions options(std::size_t batch, milliseconds delay, std::size_t retry_bytes = 1UL << 20U) {
  return {.queue_size = 100,
          .batch_size = batch,
          .schedule_delay = delay,
          .retry_bytes = retry_bytes,
          .min_backoff = milliseconds(1),
          .max_backoff = milliseconds(4)};
}

/// Only full batches are exported.
constexpr seconds kNever{600};

TEST_CASE("export queue: full batches immediately, an incomplete one after the delay") {
  FakeCollector collector(delivered);
  Bench bench(collector, options(10, kNever));
  bench.add(25);
  CHECK(eventually([&] { return bench.queue.counts().exported == 20; }));
  CHECK(bench.queue.counts().queued == 5);
  CHECK(collector.sizes() == std::vector<std::size_t>{10, 10});
  FakeCollector other(delivered);
  Bench quick(other, options(10, milliseconds(5)));
  quick.add(3);
  CHECK(eventually([&] { return quick.queue.counts().exported == 3; }));
}

TEST_CASE("export queue: close exports the queued spans, and later ones are dropped") {
  FakeCollector collector(delivered);
  Bench bench(collector, options(10, kNever));
  bench.add(25);
  bench.stop(seconds(10));
  CHECK(bench.queue.counts().exported == 25);
  CHECK(bench.queue.counts().queued == 0);
  bench.add(2);
  CHECK(bench.queue.counts().dropped == 2);
}

TEST_CASE("export queue: after a retryable failure, nothing is lost or duplicated") {
  FakeCollector collector([](int attempt) { return attempt < 5 ? unreachable(attempt) : Result{}; });
  Bench bench(collector, options(10, milliseconds(5)));
  bench.add(95);
  CHECK(eventually([&] { return bench.queue.counts().exported == 95; }));
  CHECK(bench.queue.counts().dropped == 0);
  CHECK(collector.delivered().size() == 95);
  for (const auto& [span, times] : collector.delivered()) CHECK(times == 1);
}

TEST_CASE("export queue: after a permanent failure, the batch is dropped immediately") {
  FakeCollector collector(
      [](int attempt) { return attempt == 0 ? Result{.kind = Kind::failed, .reason = "500"} : Result{}; });
  Bench bench(collector, options(10, kNever));
  bench.add(20);
  CHECK(eventually([&] { return bench.queue.counts().exported == 10; }));
  CHECK(bench.queue.counts().dropped == 10);
  CHECK(collector.attempts == 2);
}

TEST_CASE("export queue: spans that the collector rejects count as dropped") {
  FakeCollector collector([](int) { return Result{.rejected = 3, .reason = "rejected"}; });
  Bench bench(collector, options(10, kNever));
  bench.add(10);
  CHECK(eventually([&] { return bench.queue.counts().exported == 7; }));
  CHECK(bench.queue.counts().dropped == 3);
}

TEST_CASE("export queue: while an export hangs, more full batches wait than the batch queue can hold") {
  FakeCollector collector(delivered);
  collector.hangs = true;
  Bench bench(collector, options(10, kNever));
  for (int i = 0; i < 50; ++i) {
    bench.add(10);
    const int before = collector.asked;
    REQUIRE(eventually([&] { return collector.asked > before + 1; }));  // the spans are in a batch now
  }
  CHECK(bench.queue.counts().queued == 500);
  collector.hangs = false;
  CHECK(eventually([&] { return bench.queue.counts().exported == 500; }));
}

TEST_CASE(
    "export queue: when the retry queue is full the oldest batch is dropped; what is dropped is what is missing") {
  std::atomic<bool> down = true;
  FakeCollector collector([&down](int attempt) { return down ? unreachable(attempt) : Result{}; });
  Bench bench(collector, options(10, milliseconds(5), 50'000));  // five batches
  for (int i = 0; i < 30; ++i) {
    const auto before = bench.queue.counts();
    bench.add(10);
    CHECK(eventually([&] { return bench.queue.counts().dropped > before.dropped || i < 6; }));
    CHECK(bench.total() == static_cast<std::uint64_t>(10 * (i + 1)));
  }
  const auto most = bench.queue.counts().queued;
  CHECK(most <= 60 + 9);  // one batch may be in flight
  down = false;
  CHECK(eventually([&] { return bench.queue.counts().queued == 0; }));
  const auto counts = bench.queue.counts();
  CHECK(counts.exported + counts.dropped == 300);
  CHECK(collector.delivered().size() == counts.exported);
  CHECK_FALSE(collector.delivered().contains("0"));
  CHECK(collector.delivered().contains("299"));
}

TEST_CASE("export queue: with a retry queue of 0 bytes a failed batch is dropped") {
  FakeCollector collector(unreachable);
  Bench bench(collector, options(10, milliseconds(1), 0));
  bench.add(30);
  CHECK(eventually([&] { return bench.queue.counts().dropped == 30; }));
}

TEST_CASE("export queue: if full, it drops and counts new spans") {
  FakeCollector collector(delivered);
  collector.hangs = true;
  Bench bench(collector, options(10, kNever, 0));
  bench.add(300);
  const auto counts = bench.queue.counts();
  CHECK(counts.queued <= 110);
  CHECK(counts.queued + counts.dropped == 300);
  collector.hangs = false;
  bench.stop(seconds(10));
  CHECK(bench.total() == 300);
  CHECK(collector.delivered().size() == bench.queue.counts().exported);
}

TEST_CASE("export queue: a hanging or unreachable collector does not delay the shutdown") {
  for (const bool hangs : {true, false}) {
    FakeCollector collector(unreachable);
    collector.hangs = hangs;
    Bench bench(collector, options(10, kNever));
    bench.add(25);
    const auto start = steady_clock::now();
    bench.stop(milliseconds(50));
    CHECK(steady_clock::now() - start < seconds(2));
    CHECK(bench.queue.counts().dropped == 25);
    CHECK(bench.queue.counts().queued == 0);
  }
}

TEST_CASE("export queue: batches waiting for Retry-After are retried once at shutdown") {
  FakeCollector collector([](int attempt) {
    return attempt == 0 ? Result{.kind = Kind::retryable, .retry_after = seconds(3600), .reason = "503"} : Result{};
  });
  Bench bench(collector, options(10, kNever));
  bench.add(10);
  CHECK(eventually([&] { return collector.attempts == 1; }));
  bench.add(25);
  CHECK(bench.queue.counts().queued == 35);
  bench.stop(seconds(10));
  CHECK(bench.queue.counts().exported == 35);
}

TEST_CASE("export queue: whatever happens, every span is queued, exported or dropped") {
  FakeCollector collector([](int attempt) {
    switch (attempt % 4) {
      case 0: return Result{};
      case 1: return unreachable(attempt);
      case 2: return Result{.kind = Kind::failed, .reason = "400"};
      default: return Result{.rejected = 2, .reason = "rejected"};
    }
  });
  Bench bench(collector, options(10, milliseconds(1), 20'000));
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> added = 0;
  {
    const std::jthread reader([&] {
      while (!done) {
        const auto before = added.load();
        const auto total = bench.total();
        CHECK(total >= before);
      }
    });
    for (int i = 0; i < 2000; ++i) {
      bench.add(1);
      ++added;
    }
    bench.stop(seconds(10));
    done = true;
  }
  CHECK(bench.total() == 2000);
  CHECK(bench.queue.counts().queued == 0);
}

}  // namespace
}  // namespace dice
