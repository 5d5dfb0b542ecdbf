// The way of ended spans to one exporter: batches, attempts, what waits for the next attempt, and exact counts.
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
#include "common/telemetry/span_exporter.h"
#include "common/telemetry/span_memory.h"
#include "common/telemetry/tracing_options.h"

namespace dice {

/// Spans are put into batches, which one thread exports one after another. When the exporter is busy, or backs off
/// after a failure that may pass, full batches wait in the retry queue; when that has no room, the oldest batch is
/// dropped. Thread-safe.
class ExportQueue {
 public:
  ExportQueue(const ExportQueueOptions& options, std::unique_ptr<SpanExporter> exporter, const Logger& logger);
  /// Drops what still waits.
  ~ExportQueue();
  ExportQueue(const ExportQueue&) = delete;
  ExportQueue& operator=(const ExportQueue&) = delete;

  /// Never waits. The thread is woken once a batch.
  void add(EncodedSpan span);

  /// Each span that was added is in exactly one of them. `queued`: waiting, or being exported.
  struct Counts {
    std::uint64_t queued = 0;
    std::uint64_t exported = 0;
    std::uint64_t dropped = 0;
  };
  Counts counts() const;

  /// Exports what waits until `deadline`; later spans are dropped. Returns at once.
  void close(TimePoint deadline);
  /// Waits until everything is exported or dropped; after `close`.
  void join();

 private:
  struct Batch {
    std::vector<EncodedSpan> spans;
    std::size_t bytes = 0;
  };

  void run();
  /// Until there is something to do; false when nothing will ever be again.
  bool wait_for_work();
  /// The next batch; without spans when none may be tried now.
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
  /// New spans; the last batch is being filled.
  std::deque<Batch> pending_ GUARDED_BY(mutex_);
  std::size_t pending_spans_ GUARDED_BY(mutex_) = 0;
  TimePoint collect_at_ GUARDED_BY(mutex_);
  /// The thread knows that there is a full batch.
  bool woken_ GUARDED_BY(mutex_) = false;
  /// The retry queue; the oldest first.
  std::deque<Batch> waiting_ GUARDED_BY(mutex_);
  std::size_t waiting_bytes_ GUARDED_BY(mutex_) = 0;
  bool sending_ GUARDED_BY(mutex_) = false;
  TimePoint retry_at_ GUARDED_BY(mutex_);
  unsigned failures_ GUARDED_BY(mutex_) = 0;
  Counts counts_ GUARDED_BY(mutex_);
  /// Dropped, and not logged yet.
  std::uint64_t unreported_ GUARDED_BY(mutex_) = 0;
  /// Of the last spans that were dropped, or of the last failure.
  std::string drop_reason_ GUARDED_BY(mutex_);
  TimePoint report_at_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
  TimePoint deadline_ GUARDED_BY(mutex_) = TimePoint::max();

  /// The thread's alone.
  std::minstd_rand random_{std::random_device{}()};
  std::thread thread_;
};

}  // namespace dice
