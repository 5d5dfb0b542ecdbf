#include "common/telemetry/tracing.h"

#include <google/protobuf/util/json_util.h>
#include <opentelemetry/exporters/otlp/otlp_http_client.h>
#include <opentelemetry/exporters/otlp/otlp_http_exporter_options.h>
#include <opentelemetry/exporters/otlp/otlp_recordable.h>
#include <opentelemetry/exporters/otlp/otlp_recordable_utils.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>
#include <opentelemetry/sdk/common/global_log_handler.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/batch_span_processor.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/random_id_generator_factory.h>
#include <opentelemetry/sdk/trace/samplers/always_off_factory.h>
#include <opentelemetry/sdk/trace/samplers/always_on_factory.h>
#include <opentelemetry/sdk/trace/samplers/parent_factory.h>
#include <opentelemetry/sdk/trace/samplers/trace_id_ratio_factory.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/span_startoptions.h>
#include <opentelemetry/trace/trace_state.h>
#include <opentelemetry/trace/tracer.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <utility>
#include <vector>

#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/base/version.h"
#include "common/telemetry/otlp_json.h"

namespace dice {
namespace {

namespace otel = opentelemetry;
namespace sdk = opentelemetry::sdk;
namespace proto = opentelemetry::proto;
using otel::exporter::otlp::OtlpRecordable;
using Batch = otel::nostd::span<std::unique_ptr<sdk::trace::Recordable>>;

constexpr const char* kScope = "dice";

std::string to_json(const proto::trace::v1::TracesData& trace) {
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(trace, &text);
  rapidjson::Document document;
  document.Parse(text.data(), text.size());
  if (document.HasParseError() || !to_otlp_json(document)) return {};
  rapidjson::StringBuffer buffer;
  JsonWriter writer(buffer);
  document.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

/// A document with this process's resource and one, still empty, scope.
proto::trace::v1::ScopeSpans* new_scope(const sdk::resource::Resource& resource, proto::trace::v1::TracesData& trace) {
  OtlpRecordable recordable;
  recordable.SetResource(resource);
  auto* resource_spans = trace.add_resource_spans();
  *resource_spans->mutable_resource() = recordable.ProtoResource();
  auto* scope = resource_spans->add_scope_spans();
  scope->mutable_scope()->set_name(kScope);
  scope->mutable_scope()->set_version(version);
  return scope;
}

struct Counts {
  /// Those whose export is under way included.
  std::atomic<std::uint64_t> queued = 0;
  std::atomic<std::uint64_t> exported = 0;
  std::atomic<std::uint64_t> dropped = 0;
  /// Set by shutdown; after it nothing more is tried. In ticks of the steady clock.
  std::atomic<std::int64_t> deadline = std::chrono::steady_clock::time_point::max().time_since_epoch().count();
};

/// Counts what the exporter behind it does. Called by the batch processor's one thread.
class CountingExporter final : public sdk::trace::SpanExporter {
 public:
  CountingExporter(std::unique_ptr<sdk::trace::SpanExporter> exporter, Counts& counts, const Logger& logger)
      : exporter_(std::move(exporter)), counts_(counts), logger_(logger) {}

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<OtlpRecordable>();
  }

  sdk::common::ExportResult Export(const Batch& spans) noexcept override {
    const auto count = spans.size();
    // The SDK's queue orders what one thread wrote and this one reads. The sanitizer can't see that; this tells it.
    (void)counts_.queued.load(std::memory_order_acquire);
    const bool late = std::chrono::steady_clock::now().time_since_epoch().count() > counts_.deadline;
    const auto result = late ? sdk::common::ExportResult::kFailure : exporter_->Export(spans);
    const bool delivered = result == sdk::common::ExportResult::kSuccess;
    (delivered ? counts_.exported : counts_.dropped).fetch_add(count, std::memory_order_relaxed);
    counts_.queued.fetch_sub(count, std::memory_order_release);  // after, so that a span is always in one of the three
    if (!delivered) {
      logger_.log(LogMessage::export_failed, nullptr, {{"spans", static_cast<std::int64_t>(count)}});
    }
    return result;
  }

  bool ForceFlush(std::chrono::microseconds timeout) noexcept override { return exporter_->ForceFlush(timeout); }
  bool Shutdown(std::chrono::microseconds timeout) noexcept override { return exporter_->Shutdown(timeout); }

 private:
  std::unique_ptr<sdk::trace::SpanExporter> exporter_;
  Counts& counts_;
  const Logger& logger_;
};

/// The SDK's client under the SDK's exporter, which reports success whatever the collector says (1.19).
class OtlpExporter final : public sdk::trace::SpanExporter {
 public:
  explicit OtlpExporter(const Tracing::Options& options) : client_(client_options(options)) {}

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<OtlpRecordable>();
  }

  sdk::common::ExportResult Export(const Batch& spans) noexcept override {
    google::protobuf::Arena arena;
    auto* request =
        google::protobuf::Arena::CreateMessage<proto::collector::trace::v1::ExportTraceServiceRequest>(&arena);
    otel::exporter::otlp::OtlpRecordableUtils::PopulateRequest(spans, request);
    return client_.Export(*request);
  }

  bool ForceFlush(std::chrono::microseconds timeout) noexcept override { return client_.ForceFlush(timeout); }
  bool Shutdown(std::chrono::microseconds timeout) noexcept override { return client_.Shutdown(timeout); }

 private:
  static otel::exporter::otlp::OtlpHttpClientOptions client_options(const Tracing::Options& options) {
    // Reads OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE, _COMPRESSION and so on.
    const otel::exporter::otlp::OtlpHttpExporterOptions read;
    return {options.endpoint,
            read.ssl_insecure_skip_verify,
            read.ssl_ca_cert_path,
            read.ssl_ca_cert_string,
            read.ssl_client_key_path,
            read.ssl_client_key_string,
            read.ssl_client_cert_path,
            read.ssl_client_cert_string,
            read.ssl_min_tls,
            read.ssl_max_tls,
            read.ssl_cipher,
            read.ssl_cipher_suite,
            otel::exporter::otlp::HttpRequestContentType::kBinary,
            read.json_bytes_mapping,
            read.compression,
            read.use_json_name,
            read.console_debug,
            options.export_timeout,
            read.http_headers,
            read.retry_policy_max_attempts,
            read.retry_policy_initial_backoff,
            read.retry_policy_max_backoff,
            read.retry_policy_backoff_multiplier,
            nullptr};
  }

  otel::exporter::otlp::OtlpHttpClient client_;
};

class ConsoleExporter final : public sdk::trace::SpanExporter {
 public:
  explicit ConsoleExporter(const sdk::resource::Resource& resource) : resource_(resource) {}

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<OtlpRecordable>();
  }

  sdk::common::ExportResult Export(const Batch& spans) noexcept override {
    proto::trace::v1::TracesData trace;
    auto* scope = new_scope(resource_, trace);
    for (const auto& span : spans) *scope->add_spans() = static_cast<OtlpRecordable&>(*span).span();
    const auto line = to_json(trace) + "\n";
    const bool written = std::fwrite(line.data(), 1, line.size(), stderr) == line.size();
    return written ? sdk::common::ExportResult::kSuccess : sdk::common::ExportResult::kFailure;
  }

  bool ForceFlush(std::chrono::microseconds /*timeout*/) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds /*timeout*/) noexcept override { return true; }

 private:
  const sdk::resource::Resource& resource_;
};

/// Remembers each span and hands it on to the batch processor, when there is one, unless too many wait already. The
/// SDK's processor drops them without telling; it is given twice the room, so that the count here is exact.
class RememberingProcessor final : public sdk::trace::SpanProcessor {
 public:
  RememberingProcessor(std::unique_ptr<sdk::trace::SpanProcessor> next, SpanMemory& memory, Counts& counts,
                       const Tracing::Options& options)
      : next_(std::move(next)), memory_(memory), counts_(counts), queue_size_(options.queue_size) {}

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<OtlpRecordable>();
  }

  void OnStart(sdk::trace::Recordable& /*span*/, const otel::trace::SpanContext& /*parent*/) noexcept override {}

  void OnEnd(std::unique_ptr<sdk::trace::Recordable>&& span) noexcept override {
    const auto& recorded = static_cast<OtlpRecordable&>(*span).span();
    TraceId id{};
    if (memory_.enabled() && recorded.trace_id().size() == id.size()) {
      std::ranges::copy(recorded.trace_id(), id.begin());
      memory_.add(id, recorded.SerializeAsString());
    }
    if (!next_) return;
    if (counts_.queued.fetch_add(1, std::memory_order_release) >= queue_size_) {
      counts_.queued.fetch_sub(1, std::memory_order_relaxed);
      counts_.dropped.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    next_->OnEnd(std::move(span));
  }

  bool ForceFlush(std::chrono::microseconds timeout) noexcept override { return !next_ || next_->ForceFlush(timeout); }
  bool Shutdown(std::chrono::microseconds timeout) noexcept override { return !next_ || next_->Shutdown(timeout); }

 private:
  std::unique_ptr<sdk::trace::SpanProcessor> next_;
  SpanMemory& memory_;
  Counts& counts_;
  const std::size_t queue_size_;
};

/// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration
std::unique_ptr<sdk::trace::Sampler> make_sampler(const Tracing::Options& options) {
  std::string_view name = options.sampler;
  if (options.disabled) name = "always_off";
  constexpr std::string_view kParentBased = "parentbased_";
  const bool parent_based = name.starts_with(kParentBased);
  if (parent_based) name.remove_prefix(kParentBased.size());
  auto sampler = name == "always_off"     ? sdk::trace::AlwaysOffSamplerFactory::Create()
                 : name == "traceidratio" ? sdk::trace::TraceIdRatioBasedSamplerFactory::Create(options.sampler_ratio)
                                          : sdk::trace::AlwaysOnSamplerFactory::Create();
  return parent_based ? sdk::trace::ParentBasedSamplerFactory::Create(std::move(sampler)) : std::move(sampler);
}

otel::nostd::string_view view(std::string_view text) { return {text.data(), text.size()}; }

otel::common::AttributeValue to_otel(const AttributeValue& value) {
  return std::visit(
      [](const auto& held) -> otel::common::AttributeValue {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::string_view>) return view(held);
        else return held;
      },
      value);
}

otel::trace::SpanContext to_otel(const TraceContext& context) {
  return {otel::trace::TraceId(context.trace_id), otel::trace::SpanId(context.span_id),
          otel::trace::TraceFlags(context.sampled ? otel::trace::TraceFlags::kIsSampled : std::uint8_t{0}), true,
          otel::trace::TraceState::FromHeader(context.state)};
}

/// OTEL_SERVICE_NAME comes before service.name in OTEL_RESOURCE_ATTRIBUTES, and that before the program's own.
std::string service_name_in(const std::string& attributes, const std::string& otherwise) {
  constexpr std::string_view kKey = "service.name=";
  for (std::size_t at = 0; at < attributes.size();) {
    const auto end = std::min(attributes.find(',', at), attributes.size());
    const auto pair = attributes.substr(at, end - at);
    if (pair.starts_with(kKey)) return pair.substr(kKey.size());
    at = end + 1;
  }
  return otherwise;
}

}  // namespace

struct Span::Recording {
  otel::nostd::shared_ptr<otel::trace::Span> span;
};

Span::Span() = default;
Span::Span(Span&&) noexcept = default;
Span::~Span() { end(); }

Span& Span::operator=(Span&& other) noexcept {
  if (this != &other) {
    end();
    recording_ = std::move(other.recording_);
    context_ = std::move(other.context_);
  }
  return *this;
}

void Span::set(std::string_view key, AttributeValue value) {
  if (recording_) recording_->span->SetAttribute(view(key), to_otel(value));
}

void Span::event(std::string_view name, std::initializer_list<Attribute> attributes) {
  if (!recording_) return;
  std::vector<std::pair<otel::nostd::string_view, otel::common::AttributeValue>> list;
  list.reserve(attributes.size());
  for (const auto& attribute : attributes) list.emplace_back(view(attribute.key), to_otel(attribute.value));
  recording_->span->AddEvent(view(name), list);
}

void Span::fail(std::string_view error_type) {
  if (!recording_) return;
  recording_->span->SetAttribute("error.type", view(error_type));
  recording_->span->SetStatus(otel::trace::StatusCode::kError);
}

void Span::end() { recording_.reset(); }  // the SDK ends a span with its last reference

struct Tracing::Implementation {
  Implementation(const Options& options, const Logger& given)
      : logger(given.named("tracing")), resource(make_resource(options)), memory(options.memory) {
    std::vector<std::unique_ptr<sdk::trace::SpanProcessor>> processors;
    processors.push_back(std::make_unique<RememberingProcessor>(make_batcher(options), memory, counts, options));
    provider = std::make_unique<sdk::trace::TracerProvider>(std::move(processors), resource, make_sampler(options));
    tracer = provider->GetTracer(kScope, version);
  }

  static sdk::resource::Resource make_resource(const Options& options) {
    sdk::resource::ResourceAttributes attributes;
    attributes["service.name"] = options.service;
    attributes["service.version"] = std::string(version);
    return sdk::resource::Resource::Create(attributes);  // merges OTEL_RESOURCE_ATTRIBUTES
  }

  std::unique_ptr<sdk::trace::SpanProcessor> make_batcher(const Options& options) {
    std::unique_ptr<sdk::trace::SpanExporter> exporter;
    if (options.disabled || options.exporter == "none") return nullptr;
    if (options.exporter == "console") {
      exporter = std::make_unique<ConsoleExporter>(resource);
    } else {
      exporter = std::make_unique<OtlpExporter>(options);
    }
    sdk::trace::BatchSpanProcessorOptions batch;
    batch.max_queue_size = 2 * options.queue_size;
    batch.max_export_batch_size = std::min(options.batch_size, options.queue_size);
    batch.schedule_delay_millis = options.schedule_delay;
    return std::make_unique<sdk::trace::BatchSpanProcessor>(
        std::make_unique<CountingExporter>(std::move(exporter), counts, logger), batch);
  }

  const Logger logger;
  const sdk::resource::Resource resource;
  SpanMemory memory;
  Counts counts;
  std::unique_ptr<sdk::trace::TracerProvider> provider;
  otel::nostd::shared_ptr<otel::trace::Tracer> tracer;
  std::atomic<bool> closed = false;
};

Tracing::Options Tracing::declare(Settings& settings, const std::string& service) {
  Options options;
  const auto attributes = settings.text("OTEL_RESOURCE_ATTRIBUTES", "", "More resource attributes: key=value,…");
  options.service =
      to_utf8(settings.text("OTEL_SERVICE_NAME", service_name_in(attributes, service), "Name in traces and logs."));
  options.exporter =
      settings.choice("OTEL_TRACES_EXPORTER", "otlp", {"otlp", "console", "none"}, "Where spans are sent.");
  const auto endpoint = settings.url("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318",
                                     "Base URL of the collector; /v1/traces is appended.");
  options.endpoint = settings.url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint + "/v1/traces",
                                  "Full URL for traces; overrides the one above.");
  settings.choice("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", {"http/protobuf"}, "Protocol of the export.");
  options.export_timeout = std::chrono::milliseconds(
      settings.integer("OTEL_EXPORTER_OTLP_TIMEOUT", 10'000, 1, 600'000, "Timeout of an export, milliseconds."));
  options.sampler = settings.choice("OTEL_TRACES_SAMPLER", "parentbased_always_on",
                                    {"always_on", "always_off", "traceidratio", "parentbased_always_on",
                                     "parentbased_always_off", "parentbased_traceidratio"},
                                    "Which traces are recorded.");
  options.sampler_ratio =
      settings.number("OTEL_TRACES_SAMPLER_ARG", 1, 0, 1, "Fraction of traces to record, for the ratio samplers.");
  options.queue_size = static_cast<std::size_t>(settings.integer(
      "OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1, 1'000'000, "Maximum number of spans queued for export; more are dropped."));
  options.batch_size = static_cast<std::size_t>(
      settings.integer("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1, 1'000'000, "Maximum number of spans per export."));
  options.schedule_delay = std::chrono::milliseconds(
      settings.integer("OTEL_BSP_SCHEDULE_DELAY", 5'000, 1, 600'000, "Delay between exports, milliseconds."));
  options.disabled = settings.flag("OTEL_SDK_DISABLED", false, "Record no spans at all.");
  const auto size = [&settings](const char* name, std::size_t value, std::int64_t min, std::int64_t max,
                                const char* help) {
    return static_cast<std::size_t>(settings.integer(name, static_cast<std::int64_t>(value), min, max, help));
  };
  auto& memory = options.memory;
  memory.spans =
      size("TRACE_MEMORY_SPANS", memory.spans, 0, 10'000'000, "Maximum recent spans kept in memory, 0 = none.");
  memory.bytes =
      size("TRACE_MEMORY_BYTES", memory.bytes, 1'024, 1LL << 34U, "Maximum bytes of the recent spans kept in memory.");
  memory.trace_bytes = size("TRACE_MEMORY_BYTES_PER_TRACE", memory.trace_bytes, 1'024, 1LL << 30U,
                            "Maximum bytes kept of one trace; later spans of it are not kept.");
  return options;
}

Tracing::Tracing(const Options& options, const Logger& logger) {
  // The SDK would print to standard output; failures are counted and logged by CountingExporter.
  sdk::common::internal_log::GlobalLogHandler::SetLogLevel(sdk::common::internal_log::LogLevel::None);
  implementation_ = std::make_unique<Implementation>(options, logger);
}

Tracing::~Tracing() { shutdown(std::chrono::seconds(5)); }

void Tracing::shutdown(std::chrono::milliseconds limit) {
  if (implementation_->closed.exchange(true)) return;
  implementation_->counts.deadline = (std::chrono::steady_clock::now() + limit).time_since_epoch().count();
  implementation_->provider->ForceFlush(limit);
  implementation_->provider->Shutdown(limit);
}

Span Tracing::start(std::string_view name, SpanKind kind, const TraceContext& parent,
                    std::initializer_list<Attribute> attributes) {
  otel::trace::StartSpanOptions options;
  options.kind = kind == SpanKind::server   ? otel::trace::SpanKind::kServer
                 : kind == SpanKind::client ? otel::trace::SpanKind::kClient
                                            : otel::trace::SpanKind::kInternal;
  if (parent.valid()) {
    options.parent = to_otel(parent);
  } else {
    otel::context::Context root;
    options.parent = root.SetValue(otel::trace::kIsRootSpanKey, true);
  }
  Span span;
  span.recording_ = std::make_unique<Span::Recording>();
  span.recording_->span = implementation_->tracer->StartSpan(view(name), options);
  for (const auto& attribute : attributes) span.set(attribute.key, attribute.value);

  const auto made = span.recording_->span->GetContext();
  std::ranges::copy(made.trace_id().Id(), span.context_.trace_id.begin());
  std::ranges::copy(made.span_id().Id(), span.context_.span_id.begin());
  // Not the context's own flag: the SDK copies the parent's even when the sampler decides otherwise.
  span.context_.sampled = span.recording_->span->IsRecording();
  span.context_.state = parent.state;
  span.context_.baggage = parent.baggage;
  return span;
}

TraceContext Tracing::untraced(const TraceContext& parent) const {
  thread_local const auto generator = sdk::trace::RandomIdGeneratorFactory::Create();
  TraceContext context;
  context.trace_id = parent.trace_id;
  if (!parent.valid()) std::ranges::copy(generator->GenerateTraceId().Id(), context.trace_id.begin());
  std::ranges::copy(generator->GenerateSpanId().Id(), context.span_id.begin());
  return context;
}

std::string Tracing::remembered(const TraceId& id) const {
  const auto spans = implementation_->memory.find(id);
  if (spans.empty()) return {};
  proto::trace::v1::TracesData trace;
  auto* scope = new_scope(implementation_->resource, trace);
  for (const auto& span : spans) (void)scope->add_spans()->ParseFromString(*span);
  return to_json(trace);
}

std::uint64_t Tracing::queued() const { return implementation_->counts.queued.load(std::memory_order_acquire); }
std::uint64_t Tracing::exported() const { return implementation_->counts.exported; }
std::uint64_t Tracing::dropped() const { return implementation_->counts.dropped; }

}  // namespace dice
