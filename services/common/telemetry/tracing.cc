#include "common/telemetry/tracing.h"

#include <opentelemetry/sdk/common/global_log_handler.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/trace/id_generator.h>
#include <opentelemetry/sdk/trace/processor.h>
#include <opentelemetry/sdk/trace/samplers/always_off_factory.h>
#include <opentelemetry/sdk/trace/samplers/always_on_factory.h>
#include <opentelemetry/sdk/trace/samplers/parent_factory.h>
#include <opentelemetry/sdk/trace/samplers/trace_id_ratio_factory.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/span_startoptions.h>
#include <opentelemetry/trace/trace_state.h>
#include <opentelemetry/trace/tracer.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/base/version.h"
#include "common/telemetry/export_queue.h"
#include "common/telemetry/open_spans.h"
#include "common/telemetry/otlp_json.h"
#include "common/telemetry/span_record.h"
#include "common/telemetry/wire.h"
#include "contract/names.h"

namespace dice {
namespace {

namespace otel = opentelemetry;
namespace sdk = opentelemetry::sdk;
using Queues = std::vector<std::unique_ptr<ExportQueue>>;

constexpr const char* kScope = "dice";

std::string encoded_scope() {
  std::string scope;
  wire::append_bytes(scope, 1, kScope);
  wire::append_bytes(scope, 2, version);
  return scope;
}

/// Knows the spans that have not ended, and encodes each ended one once, for the span memory and the exporters.
class SpanEncoder final : public sdk::trace::SpanProcessor {
 public:
  SpanEncoder(const SpanLimits& limits, OpenSpans& open, TraceMemory& memory, const Queues& queues)
      : limits_(limits), open_(open), memory_(memory), queues_(queues) {}

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<SpanRecord>(limits_);
  }

  void OnStart(sdk::trace::Recordable& started, const otel::trace::SpanContext& /*parent*/) noexcept override {
    if (memory_.enabled()) open_.add(static_cast<SpanRecord&>(started));
  }

  void OnEnd(std::unique_ptr<sdk::trace::Recordable>&& ended) noexcept override {
    auto& span = static_cast<SpanRecord&>(*ended);
    const auto encoded = span.encoded();
    // In this order, a reader that asks for the open spans first misses none.
    memory_.add(span.trace(), encoded);
    if (memory_.enabled()) open_.remove(span);
    for (const auto& queue : queues_) queue->add(encoded);
  }

  bool ForceFlush(std::chrono::microseconds /*timeout*/) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds /*timeout*/) noexcept override { return true; }

 private:
  const SpanLimits limits_;
  OpenSpans& open_;
  TraceMemory& memory_;
  const Queues& queues_;
};

/// xoshiro256++, https://prng.di.unimi.it/, seeded by the kernel. The SDK's own generator seeds itself with a
/// std::random_device of 5 KB, on the stack of each thread.
class RandomNumbers {
 public:
  RandomNumbers() {
    if (::getrandom(state_.data(), sizeof state_, 0) != sizeof state_) throw std::runtime_error("no random numbers");
  }

  std::uint64_t next() {
    auto& s = state_;
    const auto result = std::rotl(s[0] + s[3], 23) + s[0];
    const auto shifted = s[1] << 17U;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = std::rotl(s[3], 45);
    return result;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

/// Not all 0, which would not be valid.
template <typename Id>
Id random_id() {
  thread_local RandomNumbers numbers;
  Id id{};
  while (id == Id{}) {
    for (std::size_t at = 0; at < id.size(); at += sizeof(std::uint64_t)) {
      const auto number = numbers.next();
      std::memcpy(id.data() + at, &number, sizeof number);
    }
  }
  return id;
}

/// Random ids, except for the roots of traces whose id is given: the SDK has no other way to choose it.
class IdGenerator final : public sdk::trace::IdGenerator {
 public:
  IdGenerator() : sdk::trace::IdGenerator(false) {}  // not all trace ids are random

  /// The id of the trace that this thread starts next, with its next root span; all 0 = random.
  static void set_next(const TraceId& id) { next_ = id; }

  otel::trace::TraceId GenerateTraceId() noexcept override {
    const auto id = next_ == TraceId{} ? random_id<TraceId>() : next_;
    return otel::trace::TraceId(id);
  }
  otel::trace::SpanId GenerateSpanId() noexcept override {
    const auto id = random_id<SpanId>();
    return otel::trace::SpanId(id);
  }

 private:
  static thread_local TraceId next_;
};

thread_local TraceId IdGenerator::next_{};

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
      [](const auto& one) -> otel::common::AttributeValue {
        if constexpr (std::is_same_v<std::decay_t<decltype(one)>, std::string_view>) return view(one);
        else return one;
      },
      value);
}

std::vector<std::pair<otel::nostd::string_view, otel::common::AttributeValue>> to_otel(
    std::span<const Attribute> attributes) {
  std::vector<std::pair<otel::nostd::string_view, otel::common::AttributeValue>> list;
  list.reserve(attributes.size());
  for (const auto& attribute : attributes) list.emplace_back(view(attribute.key), to_otel(attribute.value));
  return list;
}

otel::trace::SpanContext to_otel(const TraceContext& context) {
  return {otel::trace::TraceId(context.trace_id), otel::trace::SpanId(context.span_id),
          otel::trace::TraceFlags(context.sampled ? otel::trace::TraceFlags::kIsSampled : std::uint8_t{0}), true,
          otel::trace::TraceState::FromHeader(context.state)};
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
  recording_->span->AddEvent(view(name), to_otel(std::span(attributes.begin(), attributes.size())));
}

void Span::fail(std::string_view error_type) {
  if (!recording_) return;
  recording_->span->SetAttribute(view(attribute::kErrorType), view(error_type));
  recording_->span->SetStatus(otel::trace::StatusCode::kError);
}

void Span::end() { recording_.reset(); }  // the SDK ends a span when its last reference is released

struct Tracing::Implementation {
  Implementation(const Options& options, const Logger& given)
      : logger(given.named("tracing")), resource(make_resource(options)), memory(options.memory) {
    for (const auto& [name, value, used] : options.warnings) {
      logger.log(
          LogMessage::setting_ignored, nullptr,
          {{"variable", std::string_view(name)}, {"value", std::string_view(value)}, {"used", std::string_view(used)}});
    }
    const auto add_queue = [&](std::unique_ptr<SpanExporter> exporter) {
      queues.push_back(std::make_unique<ExportQueue>(options.queue, std::move(exporter), logger));
    };
    if (!options.disabled && options.exporter.contains("otlp")) add_queue(make_otlp_exporter(options.otlp, source));
    if (!options.disabled && options.exporter.contains("console")) add_queue(make_console_exporter(source));
    std::vector<std::unique_ptr<sdk::trace::SpanProcessor>> processors;
    processors.push_back(std::make_unique<SpanEncoder>(options.limits, open, memory, queues));
    provider = std::make_unique<sdk::trace::TracerProvider>(std::move(processors), resource, make_sampler(options),
                                                            std::make_unique<IdGenerator>());
    tracer = provider->GetTracer(kScope, version);
  }

  static sdk::resource::Resource make_resource(const Options& options) {
    sdk::resource::ResourceAttributes attributes;
    attributes[std::string(attribute::kServiceName)] = options.service;
    attributes[std::string(attribute::kServiceVersion)] = std::string(version);
    return sdk::resource::Resource::Create(attributes);  // merges OTEL_RESOURCE_ATTRIBUTES
  }

  std::uint64_t sum(std::uint64_t ExportQueue::Counts::* count) const {
    std::uint64_t all = 0;
    for (const auto& queue : queues) all += queue->counts().*count;
    return all;
  }

  const Logger logger;
  const sdk::resource::Resource resource;
  const SpanSource source{encode(resource), encoded_scope()};
  OpenSpans open;
  TraceMemory memory;
  Queues queues;
  std::unique_ptr<sdk::trace::TracerProvider> provider;
  otel::nostd::shared_ptr<otel::trace::Tracer> tracer;
};

Tracing::Tracing(const Options& options, const Logger& logger) {
  // Otherwise, the SDK prints to standard output.
  sdk::common::internal_log::GlobalLogHandler::SetLogLevel(sdk::common::internal_log::LogLevel::None);
  implementation_ = std::make_unique<Implementation>(options, logger);
}

Tracing::~Tracing() { shutdown(std::chrono::seconds(5)); }

void Tracing::shutdown(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (const auto& queue : implementation_->queues) queue->close(deadline);
  for (const auto& queue : implementation_->queues) queue->join();
}

Span Tracing::start(std::string_view name, SpanKind kind, const TraceContext& parent,
                    std::span<const Attribute> attributes) {
  otel::trace::StartSpanOptions options;
  options.kind = kind == SpanKind::server   ? otel::trace::SpanKind::kServer
                 : kind == SpanKind::client ? otel::trace::SpanKind::kClient
                                            : otel::trace::SpanKind::kInternal;
  if (parent.valid()) {
    options.parent = to_otel(parent);
  } else {
    otel::context::Context root;
    options.parent = root.SetValue(otel::trace::kIsRootSpanKey, true);
    IdGenerator::set_next(parent.trace_id);
  }
  Span span;
  span.recording_ = std::make_unique<Span::Recording>();
  span.recording_->span = implementation_->tracer->StartSpan(view(name), to_otel(attributes), options);

  const auto made = span.recording_->span->GetContext();
  std::ranges::copy(made.trace_id().Id(), span.context_.trace_id.begin());
  std::ranges::copy(made.span_id().Id(), span.context_.span_id.begin());
  // Not the context's own flag: the SDK copies the parent's flag even if the sampler decides otherwise.
  span.context_.sampled = span.recording_->span->IsRecording();
  span.context_.state = parent.state;
  span.context_.baggage = parent.baggage;
  return span;
}

TraceContext Tracing::untraced(const TraceContext& parent) const {
  TraceContext context;
  context.trace_id = parent.valid() ? parent.trace_id : random_id<TraceId>();
  context.span_id = random_id<SpanId>();
  return context;
}

std::string Tracing::recent_spans(const TraceId& id) const {
  const auto& memory = implementation_->memory;
  const auto open = implementation_->open.find(id, memory.limits().trace_bytes);
  auto spans = memory.find(id);
  spans.insert(spans.end(), open.begin(), open.end());  // those that have ended since are written once, as ended
  return spans.empty() ? std::string() : to_otlp_json(implementation_->source, spans);
}

std::uint64_t Tracing::queued() const { return implementation_->sum(&ExportQueue::Counts::queued); }
std::uint64_t Tracing::exported() const { return implementation_->sum(&ExportQueue::Counts::exported); }
std::uint64_t Tracing::dropped() const { return implementation_->sum(&ExportQueue::Counts::dropped); }

}  // namespace dice
