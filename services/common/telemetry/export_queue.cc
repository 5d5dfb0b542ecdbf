#include "common/telemetry/export_queue.h"

#include <algorithm>
#include <utility>

namespace dice {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Kind = SpanExporter::Result::Kind;

/// Limit for Retry-After: a longer pause would lose too many spans.
constexpr std::chrono::seconds kMaxRetryAfter{60};
/// Minimum interval between log lines about dropped spans.
constexpr std::chrono::seconds kReportInterval{10};
constexpr const char* kQueueFull = "the queue is full";

/// The text, plus the overhead of the string, its reference counts, the allocator and the pointer.
std::size_t cost(const EncodedSpan& span) { return span->size() + 96; }

std::int64_t shown(std::uint64_t count) { return static_cast<std::int64_t>(count); }

}  // namespace

ExportQueue::ExportQueue(const ExportQueueOptions& options, std::unique_ptr<SpanExporter> exporter,
                         const Logger& logger)
    : options_(options),
      exporter_(std::move(exporter)),
      logger_(logger),
      collect_at_(steady_clock::now() + options.schedule_delay),
      thread_([this] { run(); }) {}

ExportQueue::~ExportQueue() {
  close(steady_clock::now());
  join();
}

void ExportQueue::add(EncodedSpan span) {
  {
    const Lock lock(mutex_);
    if (closed_ || pending_spans_ >= options_.queue_size) return drop(1, kQueueFull);
    if (pending_.empty() || pending_.back().spans.size() >= options_.batch_size) pending_.emplace_back();
    auto& batch = pending_.back();
    batch.bytes += cost(span);
    batch.spans.push_back(std::move(span));
    ++pending_spans_;
    ++counts_.queued;
    if (pending_spans_ < options_.batch_size || std::exchange(woken_, true)) return;
  }
  changed_.notify_one();
  exporter_->wake();
}

ExportQueue::Counts ExportQueue::counts() const {
  const Lock lock(mutex_);
  return counts_;
}

void ExportQueue::close(TimePoint deadline) {
  {
    const Lock lock(mutex_);
    if (std::exchange(closed_, true)) return;
    deadline_ = deadline;
    retry_at_ = TimePoint();  // retry immediately
    failures_ = 0;
  }
  changed_.notify_one();
  exporter_->wake();
}

void ExportQueue::join() {
  if (thread_.joinable()) thread_.join();
}

// --- the thread ------------------------------------------------------------------------------------------------------

void ExportQueue::run() {
  LogSink::never_wait_on_this_thread();
  while (wait_for_work()) {
    report();
    if (auto batch = take(); !batch.spans.empty()) {
      const auto result = exporter_->send(batch.spans, [this] { return keep_sending(); });
      settle(std::move(batch), result);
    }
  }
  std::uint64_t left = 0;
  std::string reason;
  {
    const Lock lock(mutex_);
    reason = drop_reason_;
    report_at_ = TimePoint();
    left = std::exchange(counts_.queued, 0);
    counts_.dropped += left;
    pending_.clear();
    waiting_.clear();
  }
  report();
  if (left > 0) {
    logger_.log(LogMessage::spans_not_flushed, nullptr, {{"spans", shown(left)}, {"reason", std::string_view(reason)}});
  }
}

bool ExportQueue::wait_for_work() {
  const Lock lock(mutex_);
  while (true) {
    const auto now = steady_clock::now();
    collect(now);
    if (closed_ && (now >= deadline_ || retry_at_ >= deadline_ || counts_.queued == 0)) return false;
    if (unreported_ > 0 && now >= report_at_) return true;
    if (!waiting_.empty() && now >= retry_at_) return true;
    changed_.wait_until(mutex_, next_event(now));
  }
}

TimePoint ExportQueue::next_event(TimePoint now) const {
  auto next = std::min(std::max(collect_at_, now + milliseconds(1)), deadline_);
  if (!waiting_.empty() || retry_at_ > now) next = std::min(next, std::max(retry_at_, now));
  if (unreported_ > 0) next = std::min(next, report_at_);
  return next;
}

/// Moves pending batches to the retry queue: full ones if there is room, an incomplete one if it is due and can be
/// exported now.
void ExportQueue::collect(TimePoint now) {
  const bool due = closed_ || now >= collect_at_;
  while (!pending_.empty()) {
    const bool idle = !sending_ && waiting_.empty() && now >= retry_at_;
    auto& batch = pending_.front();
    if (batch.spans.size() < options_.batch_size && !(due && idle)) break;
    if (!idle && batch.bytes > options_.retry_bytes) break;
    while (!waiting_.empty() && waiting_bytes_ + batch.bytes > options_.retry_bytes) {
      const auto oldest = std::move(waiting_.front());
      waiting_.pop_front();
      waiting_bytes_ -= oldest.bytes;
      counts_.queued -= oldest.spans.size();
      drop(oldest.spans.size(), kQueueFull);
    }
    pending_spans_ -= batch.spans.size();
    waiting_bytes_ += batch.bytes;
    waiting_.push_back(std::move(batch));
    pending_.pop_front();
  }
  if (now >= collect_at_) collect_at_ = now + options_.schedule_delay;
  woken_ = pending_spans_ >= options_.batch_size;
}

ExportQueue::Batch ExportQueue::take() {
  const Lock lock(mutex_);
  if (waiting_.empty() || steady_clock::now() < retry_at_) return {};
  auto batch = std::move(waiting_.front());
  waiting_.pop_front();
  waiting_bytes_ -= batch.bytes;
  sending_ = true;
  return batch;
}

bool ExportQueue::keep_sending() {
  const Lock lock(mutex_);
  const auto now = steady_clock::now();
  collect(now);
  return now < deadline_;
}

void ExportQueue::settle(Batch batch, const SpanExporter::Result& result) {
  if (result.kind == Kind::retryable) return retry(std::move(batch), result);
  bool resumed = false;
  {
    const Lock lock(mutex_);
    sending_ = false;
    const auto lost = result.kind == Kind::delivered ? result.rejected : batch.spans.size();
    counts_.queued -= batch.spans.size();
    counts_.exported += batch.spans.size() - lost;
    drop(lost, result.reason);
    resumed = std::exchange(failures_, 0) > 0;
    retry_at_ = TimePoint();
  }
  if (resumed) logger_.log(LogMessage::export_resumed, nullptr);
}

void ExportQueue::retry(Batch batch, const SpanExporter::Result& result) {
  bool first = false;
  {
    const Lock lock(mutex_);
    sending_ = false;
    first = ++failures_ == 1 && !closed_;
    const auto doubled = options_.min_backoff * (1U << std::min(failures_ - 1, 16U));
    const auto backoff =
        std::min<milliseconds>(doubled, options_.max_backoff) * std::uniform_real_distribution<>(0.8, 1.2)(random_);
    const auto wanted = std::min(result.retry_after, kMaxRetryAfter);
    drop_reason_ = result.reason;
    retry_at_ = steady_clock::now() +
                std::max<steady_clock::duration>(std::chrono::duration_cast<steady_clock::duration>(backoff), wanted);
    if (waiting_bytes_ + batch.bytes > options_.retry_bytes) {
      counts_.queued -= batch.spans.size();
      drop(batch.spans.size(), result.reason);
    } else {
      waiting_bytes_ += batch.bytes;
      waiting_.push_front(std::move(batch));
    }
  }
  if (first) {
    logger_.log(LogMessage::export_delayed, nullptr, {{"reason", std::string_view(result.reason)}});
  }
}

void ExportQueue::drop(std::uint64_t spans, const std::string& reason) {
  if (spans == 0) return;
  counts_.dropped += spans;
  unreported_ += spans;
  drop_reason_ = reason;
}

void ExportQueue::report() {
  std::uint64_t spans = 0;
  std::string reason;
  {
    const Lock lock(mutex_);
    const auto now = steady_clock::now();
    if (unreported_ == 0 || now < report_at_) return;
    spans = std::exchange(unreported_, 0);
    reason = drop_reason_;
    report_at_ = now + kReportInterval;
  }
  logger_.log(LogMessage::export_failed, nullptr, {{"spans", shown(spans)}, {"reason", std::string_view(reason)}});
}

}  // namespace dice
