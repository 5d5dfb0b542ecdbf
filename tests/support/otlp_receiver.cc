#include "support/otlp_receiver.h"

#include <fcntl.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>
#include <zlib.h>

#include <algorithm>

#include "common/http/server.h"
#include "support/wait.h"

namespace dice::test {
namespace {

namespace otlp = opentelemetry::proto;

std::string hex(const std::string& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4U], kDigits[byte & 0xFU]};
  }
  return text;
}

std::string text_of(const otlp::common::v1::AnyValue& value) {
  switch (value.value_case()) {
    case otlp::common::v1::AnyValue::kStringValue: return value.string_value();
    case otlp::common::v1::AnyValue::kIntValue: return std::to_string(value.int_value());
    case otlp::common::v1::AnyValue::kBoolValue: return value.bool_value() ? "true" : "false";
    case otlp::common::v1::AnyValue::kDoubleValue: return std::to_string(value.double_value());
    default: return "?";
  }
}

template <typename List>
std::map<std::string, std::string> attributes_of(const List& list) {
  std::map<std::string, std::string> attributes;
  for (const auto& one : list) attributes[one.key()] = text_of(one.value());
  return attributes;
}

ReceivedSpan to_span(const otlp::trace::v1::Span& span, const std::string& service) {
  ReceivedSpan received;
  received.service = service;
  received.name = span.name();
  received.kind = span.kind() == otlp::trace::v1::Span::SPAN_KIND_SERVER   ? "server"
                  : span.kind() == otlp::trace::v1::Span::SPAN_KIND_CLIENT ? "client"
                                                                           : "internal";
  received.trace_id = hex(span.trace_id());
  received.span_id = hex(span.span_id());
  received.parent_span_id = hex(span.parent_span_id());
  received.trace_state = span.trace_state();
  received.start = span.start_time_unix_nano();
  received.end = span.end_time_unix_nano();
  received.error = span.status().code() == otlp::trace::v1::Status::STATUS_CODE_ERROR;
  received.attributes = attributes_of(span.attributes());
  for (const auto& event : span.events()) received.events.push_back({event.name(), attributes_of(event.attributes())});
  return received;
}

/// Empty if it is not gzip.
std::string unpacked(const std::string& data) {
  constexpr int kGzipWindow = 15 + 16;
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) return "";
  std::string text(64UL << 20U, '\0');
  std::string packed = data;
  stream.next_in = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  const bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END;
  text.resize(whole ? stream.total_out : 0);
  inflateEnd(&stream);
  return text;
}

}  // namespace

struct OtlpReceiver::Implementation {
  explicit Implementation(std::uint16_t wanted)
      : server({.listener = {.port = wanted, .connection = {.request = {.max_body_bytes = 64UL << 20U}}}},
               {telemetry, metrics, clock, workers, workers, nullptr}) {}

  Answer receive(const Request& request) {
    otlp::collector::trace::v1::ExportTraceServiceRequest exported;
    otlp::collector::trace::v1::ExportTraceServiceResponse answer;
    const Lock lock(mutex);
    ++requests;
    headers = request.headers;
    if (status != 200) {
      Response refusal{.status = status};
      if (!retry_after.empty()) refusal.headers.emplace_back("Retry-After", retry_after);
      return refusal;
    }
    const bool packed = request.header("Content-Encoding") == "gzip";
    if (!exported.ParseFromString(packed ? unpacked(request.body) : request.body)) return Response{.status = 400};
    for (const auto& resource : exported.resource_spans()) {
      const auto service = attributes_of(resource.resource().attributes())["service.name"];
      for (const auto& scope : resource.scope_spans()) {
        for (const auto& span : scope.spans()) spans.push_back(to_span(span, service));
      }
    }
    if (rejected > 0) answer.mutable_partial_success()->set_rejected_spans(rejected);
    return Response{.body = answer.SerializeAsString(), .content_type = "application/x-protobuf"};
  }

  LogSink sink{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Telemetry telemetry{sink, LoggingOptions{.level = LogLevel::error},
                      Tracing::Options{.service = "receiver", .disabled = true}};
  SteadyClock clock;
  ThreadPool workers{{.max_threads = 4}};
  HttpMetrics metrics{telemetry.metrics};
  mutable Mutex mutex;
  int status GUARDED_BY(mutex) = 200;
  std::string retry_after GUARDED_BY(mutex);
  std::int64_t rejected GUARDED_BY(mutex) = 0;
  int requests GUARDED_BY(mutex) = 0;
  std::vector<Header> headers GUARDED_BY(mutex);
  std::vector<ReceivedSpan> spans GUARDED_BY(mutex);
  std::uint16_t port = 0;
  Server server;
};

OtlpReceiver::OtlpReceiver(std::uint16_t port) : implementation_(std::make_unique<Implementation>(port)) {
  auto& self = *implementation_;
  self.server.add({.method = Method::post, .path = "/v1/traces", .handler = [&self](const Request& request) {
                     return self.receive(request);
                   }});
  self.port = self.server.start().value();
}

OtlpReceiver::~OtlpReceiver() { implementation_->server.stop(); }

std::uint16_t OtlpReceiver::port() const { return implementation_->port; }

std::string OtlpReceiver::url() const { return "http://127.0.0.1:" + std::to_string(port()); }

void OtlpReceiver::answer_with(int status, const std::string& retry_after) {
  const Lock lock(implementation_->mutex);
  implementation_->status = status;
  implementation_->retry_after = retry_after;
}

void OtlpReceiver::reject(std::int64_t spans) {
  const Lock lock(implementation_->mutex);
  implementation_->rejected = spans;
}

int OtlpReceiver::requests() const {
  const Lock lock(implementation_->mutex);
  return implementation_->requests;
}

std::string OtlpReceiver::header(const std::string& name) const {
  const Lock lock(implementation_->mutex);
  for (const auto& [key, value] : implementation_->headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return "";
}

std::vector<ReceivedSpan> OtlpReceiver::spans() const {
  const Lock lock(implementation_->mutex);
  return implementation_->spans;
}

std::vector<ReceivedSpan> OtlpReceiver::wait_for(const std::string& trace_id, std::size_t count) const {
  std::vector<ReceivedSpan> found;
  (void)eventually([&] {
    found = spans();
    std::erase_if(found, [&](const auto& span) { return span.trace_id != trace_id; });
    return found.size() >= count;
  });
  return found;
}

}  // namespace dice::test
