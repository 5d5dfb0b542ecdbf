// The queue of ended spans for one exporter: batching, retries, bounds, and exact counts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/concurrency/mutex.h"
#include "common/telemetry/logging.h"
#include "common/telemetry/otlp_json.h"
#include "common/telemetry/span_exporter.h"
#include "common/telemetry/tracing_options.h"

namespace dice {

/// Collects spans into batches, which one thread exports in order. While the exporter is busy or backs off after a
/// retryable failure, full batches wait in the retry queue; if that is full, the oldest batch is dropped. Thread-safe.
class ExportQueue {
 public:
  ExportQueue(const ExportQueueOptions& options, std::unique_ptr<SpanExporter> exporter, const Logger& logger);
  /// Drops the spans that are still queued.
  ~ExportQueue();
  ExportQueue(const ExportQueue&) = delete;
  ExportQueue& operator=(const ExportQueue&) = delete;

  /// Never blocks. Wakes the thread once per batch.
  void add(EncodedSpan span);

  /// Each added span counts in exactly one of them. `queued`: waiting or being exported.
  struct Counts {
    std::uint64_t queued = 0;
    std::uint64_t exported = 0;
    std::uint64_t dropped = 0;
  };
  Counts counts() const;

  /// Exports the queued spans until `deadline` and drops later ones. Returns immediately.
  void close(TimePoint deadline);
  /// Waits until every span is exported or dropped. Call after `close`.
  void join();

 private:
  struct Batch {
    std::vector<EncodedSpan> spans;
    std::size_t bytes = 0;
  };

  void run();
  /// Returns when there is something to do; false if there is nothing left to do, or no time.
  bool wait_for_work();
  /// The next batch; without spans if none may be sent now.
  Batch take();
  void settle(Batch batch, const SpanExporter::Result& result);
  void retry(Batch batch, const SpanExporter::Result& result);
  void report();
  bool keep_sending();

  void collect(TimePoint now) REQUIRES(mutex_);
  void drop(std::uint64_t spans, const std::string& reason) REQUIRES(mutex_);
  TimePoint next_event(TimePoint now) const REQUIRES(mutex_);

  const ExportQueueOptions options_;
  const std::unique_ptr<SpanExporter> exporter_;
  const Logger logger_;

  mutable Mutex mutex_;
  Condition changed_;
  /// New spans; the last batch may be incomplete.
  std::deque<Batch> pending_ GUARDED_BY(mutex_);
  std::size_t pending_spans_ GUARDED_BY(mutex_) = 0;
  TimePoint collect_at_ GUARDED_BY(mutex_);
  /// The thread has been woken for a full batch.
  bool woken_ GUARDED_BY(mutex_) = false;
  /// The retry queue, oldest batch first.
  std::deque<Batch> waiting_ GUARDED_BY(mutex_);
  std::size_t waiting_bytes_ GUARDED_BY(mutex_) = 0;
  bool sending_ GUARDED_BY(mutex_) = false;
  TimePoint retry_at_ GUARDED_BY(mutex_);
  unsigned failures_ GUARDED_BY(mutex_) = 0;
  Counts counts_ GUARDED_BY(mutex_);
  /// Number of dropped spans that are not logged yet.
  std::uint64_t unreported_ GUARDED_BY(mutex_) = 0;
  /// Why the last spans were dropped, or the last attempt failed.
  std::string drop_reason_ GUARDED_BY(mutex_);
  TimePoint report_at_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
  TimePoint deadline_ GUARDED_BY(mutex_) = TimePoint::max();

  /// Used only by the thread.
  std::minstd_rand random_{std::random_device{}()};
  std::thread thread_;
};

}  // namespace dice
