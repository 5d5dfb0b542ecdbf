#include "support/otlp_receiver.h"

#include <fcntl.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

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
  received.start = span.start_time_unix_nano();
  received.end = span.end_time_unix_nano();
  received.error = span.status().code() == otlp::trace::v1::Status::STATUS_CODE_ERROR;
  received.attributes = attributes_of(span.attributes());
  for (const auto& event : span.events()) received.events.push_back({event.name(), attributes_of(event.attributes())});
  return received;
}

}  // namespace

struct OtlpReceiver::Implementation {
  LogSink sink{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Telemetry telemetry{sink, LogLevel::error, Tracing::Options{.service = "receiver", .disabled = true}};
  SteadyClock clock;
  ThreadPool workers{{.max_threads = 4}};
  HttpMetrics metrics{telemetry.metrics};
  std::atomic<int> status = 200;
  mutable Mutex mutex;
  std::vector<ReceivedSpan> spans GUARDED_BY(mutex);
  std::uint16_t port = 0;
  Server server{{.listener = {.connection = {.request = {.max_body_bytes = 64UL << 20U}}}},
                {telemetry, metrics, clock, workers, workers, nullptr}};
};

OtlpReceiver::OtlpReceiver() : implementation_(std::make_unique<Implementation>()) {
  auto& self = *implementation_;
  self.server.add({.method = Method::post, .path = "/v1/traces", .handler = [&self](const Request& request) -> Answer {
                     otlp::collector::trace::v1::ExportTraceServiceRequest exported;
                     if (self.status != 200) return Response{.status = self.status};
                     if (!exported.ParseFromString(request.body)) return Response{.status = 400};
                     const Lock lock(self.mutex);
                     for (const auto& resource : exported.resource_spans()) {
                       const auto service = attributes_of(resource.resource().attributes())["service.name"];
                       for (const auto& scope : resource.scope_spans()) {
                         for (const auto& span : scope.spans()) self.spans.push_back(to_span(span, service));
                       }
                     }
                     return Response{.content_type = "application/x-protobuf"};
                   }});
  self.port = self.server.start().value();
}

OtlpReceiver::~OtlpReceiver() { implementation_->server.stop(); }

std::string OtlpReceiver::url() const { return "http://127.0.0.1:" + std::to_string(implementation_->port); }

void OtlpReceiver::answer_with(int status) { implementation_->status = status; }

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
