// A fake collector that stores the spans it receives.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dice::test {

struct SpanEvent {
  std::string name;
  std::map<std::string, std::string> attributes;
};

struct ReceivedSpan {
  std::string service;
  std::string name;
  /// internal, server or client.
  std::string kind;
  std::string trace_id;
  std::string span_id;
  std::string parent_span_id;
  std::string trace_state;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  bool error = false;
  /// Values as text.
  std::map<std::string, std::string> attributes;
  std::vector<SpanEvent> events;

  std::string attribute(const std::string& key) const {
    const auto found = attributes.find(key);
    return found == attributes.end() ? "" : found->second;
  }
};

/// Thread-safe.
class OtlpReceiver {
 public:
  /// 0 = a free port.
  explicit OtlpReceiver(std::uint16_t port = 0);
  ~OtlpReceiver();

  std::uint16_t port() const;

  /// For OTEL_EXPORTER_OTLP_ENDPOINT.
  std::string url() const;
  /// From now on, every export gets this status, and Retry-After unless it is empty.
  void answer_with(int status, const std::string& retry_after = "");
  /// From now on, this number of spans of each export is reported as rejected.
  void reject(std::int64_t spans);

  /// Number of exports received, regardless of the status returned.
  int requests() const;
  /// A header of the last export; empty if absent.
  std::string header(const std::string& name) const;

  std::vector<ReceivedSpan> spans() const;
  /// Waits until `count` spans of the trace have arrived, then returns all of its spans.
  std::vector<ReceivedSpan> wait_for(const std::string& trace_id, std::size_t count) const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dice::test
