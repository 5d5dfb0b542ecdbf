#include "common/telemetry/tracing_options.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "common/base/utf8.h"
#include "contract/parameters.h"

namespace dice {
namespace {

using std::chrono::milliseconds;

/// OTEL_SERVICE_NAME takes precedence over service.name in OTEL_RESOURCE_ATTRIBUTES, which takes precedence over
/// `fallback`.
std::string service_name_in(const std::string& attributes, const std::string& fallback) {
  constexpr std::string_view kKey = "service.name=";
  for (std::size_t at = 0; at < attributes.size();) {
    const auto end = std::min(attributes.find(',', at), attributes.size());
    const auto pair = attributes.substr(at, end - at);
    if (pair.starts_with(kKey)) return pair.substr(kKey.size());
    at = end + 1;
  }
  return fallback;
}

std::string_view trimmed(std::string_view text) {
  const auto first = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(first);
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// Parses key=value,… with percent-encoded values. `bad` is set if a member is invalid; its text may be a secret.
std::vector<std::pair<std::string, std::string>> parse_headers(std::string_view text, bool& bad) {
  std::vector<std::pair<std::string, std::string>> headers;
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    const auto member = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (member.empty()) continue;
    const auto equals = std::min(member.find('='), member.size());
    const auto name = trimmed(member.substr(0, equals));
    const auto value = percent_decode(trimmed(member.substr(std::min(equals + 1, member.size()))), false);
    const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
    const auto in_name = [](char c) { return c > ' ' && c <= '~' && c != ':'; };
    if (name.empty() || equals == member.size() || !value || !std::ranges::all_of(name, in_name) ||
        !std::ranges::all_of(*value, printable)) {
      bad = true;
    } else {
      headers.emplace_back(name, *value);
    }
  }
  return headers;
}

constexpr const char* kTracesPrefix = "OTEL_EXPORTER_OTLP_TRACES_";

/// Declares each variable of the exporter, followed by the one for traces only, which overrides it.
OtlpOptions declare_otlp(Settings& settings, TracingOptions& all) {
  OtlpOptions options;
  const auto both = [](const auto& read, const char* name, const auto& default_value, const char* help) {
    const auto general = read("OTEL_EXPORTER_OTLP_" + std::string(name), default_value, std::string(help));
    return read(kTracesPrefix + std::string(name), general, "For traces only: overrides the previous one.");
  };
  const auto text = [&settings](const std::string& name, const std::string& value, const std::string& help) {
    return settings.text(name, value, help);
  };
  const auto endpoint = settings.url("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318",
                                     "Base URL of the collector; /v1/traces is appended.");
  options.endpoint = settings.url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint + "/v1/traces",
                                  "Full URL for traces; overrides the previous one.");
  both([&settings](const std::string& name, const std::string& value,
                   const std::string& help) { return settings.choice(name, value, {"http/protobuf"}, help); },
       "PROTOCOL", std::string("http/protobuf"), "Export protocol.");
  const auto timeout = [&settings](const std::string& name, std::int64_t value, const std::string& help) {
    return settings.integer(name, value, 1, 600'000, help);
  };
  options.timeout =
      milliseconds(both(timeout, "TIMEOUT", std::int64_t{10'000}, "Timeout of one export attempt, in milliseconds."));
  bool bad = false;
  options.headers = parse_headers(
      both(text, "HEADERS", std::string(), "HTTP headers of each export: key=value,… with percent-encoded values."),
      bad);
  if (bad) all.warnings.push_back({"OTEL_EXPORTER_OTLP_HEADERS", "(not shown)", "the members that are key=value"});
  options.gzip =
      both([&settings](const std::string& name, const std::string& value,
                       const std::string& help) { return settings.choice(name, value, {"none", "gzip"}, help); },
           "COMPRESSION", std::string("none"), "Compression of exports.") == "gzip";
  options.certificate = both(text, "CERTIFICATE", std::string(), "PEM file with the trusted CA certificates.");
  options.client_key = both(text, "CLIENT_KEY", std::string(), "PEM file with the client's private key.");
  options.client_certificate =
      both(text, "CLIENT_CERTIFICATE", std::string(), "PEM file with the client's certificate.");
  return options;
}

}  // namespace

TracingOptions TracingOptions::declare(Settings& settings, const std::string& service) {
  TracingOptions options;
  const auto size = [&settings](const char* name, std::size_t value, std::int64_t min, std::int64_t max,
                                const char* help) {
    return static_cast<std::size_t>(settings.integer(name, static_cast<std::int64_t>(value), min, max, help));
  };
  const auto attributes = settings.text("OTEL_RESOURCE_ATTRIBUTES", "", "Additional resource attributes: key=value,…");
  options.service = to_utf8(
      settings.text("OTEL_SERVICE_NAME", service_name_in(attributes, service), "Service name in traces and logs."));
  const auto exporters = settings.choices("OTEL_TRACES_EXPORTER", "otlp", {"otlp", "console", "none"},
                                          "Where to export spans; none cannot be combined.");
  options.exporter.clear();
  for (const auto* one : {"otlp", "console"}) {
    if (std::ranges::find(exporters, one) == exporters.end()) continue;
    options.exporter += (options.exporter.empty() ? "" : ",") + std::string(one);
  }
  if (options.exporter.empty()) options.exporter = "none";
  options.otlp = declare_otlp(settings, options);
  (void)settings.choices("OTEL_PROPAGATORS", "tracecontext,baggage", {"tracecontext", "baggage"},
                         "Context propagation; W3C Trace Context and Baggage are always used.");
  options.sampler = settings.choice("OTEL_TRACES_SAMPLER", "parentbased_always_on",
                                    {"always_on", "always_off", "traceidratio", "parentbased_always_on",
                                     "parentbased_always_off", "parentbased_traceidratio"},
                                    "Sampler: which traces to record.");
  options.sampler_ratio =
      settings.number("OTEL_TRACES_SAMPLER_ARG", 1, 0, 1, "Fraction of traces to record, for the ratio samplers.");

  auto& queue = options.queue;
  queue.queue_size = size("OTEL_BSP_MAX_QUEUE_SIZE", queue.queue_size, 1, 1'000'000,
                          "Maximum number of spans that wait for a batch; further ones are dropped.");
  queue.batch_size = size("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", queue.batch_size, 1, 1'000'000,
                          "Maximum number of spans per export; at most OTEL_BSP_MAX_QUEUE_SIZE.");
  queue.batch_size = std::min(queue.batch_size, queue.queue_size);
  queue.schedule_delay = milliseconds(
      settings.integer("OTEL_BSP_SCHEDULE_DELAY", 5'000, 1, 600'000, "Delay between exports, in milliseconds."));
  const milliseconds export_timeout(settings.integer(
      "OTEL_BSP_EXPORT_TIMEOUT", 30'000, 1, 600'000,
      "Timeout of one export attempt, in milliseconds; the smaller of this and OTEL_EXPORTER_OTLP_TIMEOUT applies."));
  options.otlp.timeout = std::min(options.otlp.timeout, export_timeout);
  queue.retry_bytes = size("TELEMETRY_RETRY_QUEUE_BYTES", queue.retry_bytes, 0, 1LL << 34U,
                           "Maximum bytes of spans queued while the collector is busy or unreachable; 0 = no retries. "
                           "If full, the oldest are dropped.");

  auto& limits = options.limits;
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
  const auto length = settings.integer("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", limits.value_length, -1, kMax,
                                       "Maximum characters of a string attribute; -1 = no limit.");
  limits.value_length = settings.integer("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length, -1, kMax,
                                         "For spans only: overrides the previous one.");
  const auto count =
      size("OTEL_ATTRIBUTE_COUNT_LIMIT", limits.attributes, 0, kMax, "Maximum number of attributes per span.");
  limits.attributes =
      size("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", count, 0, kMax, "For spans only: overrides the previous one.");
  limits.events = size("OTEL_SPAN_EVENT_COUNT_LIMIT", limits.events, 0, kMax, "Maximum number of events per span.");
  limits.event_attributes = size("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", limits.event_attributes, 0, kMax,
                                 "Maximum number of attributes per event.");
  options.disabled = settings.flag("OTEL_SDK_DISABLED", false, "Record no spans.");

  auto& memory = options.memory;
  memory.entries = size("TRACE_MEMORY_SPANS", memory.entries, 0, 10'000'000,
                        "Maximum number of recent spans kept in memory; 0 = none.");
  memory.bytes =
      size("TRACE_MEMORY_BYTES", memory.bytes, 1'024, 1LL << 34U, "Maximum bytes of recent spans kept in memory.");
  memory.trace_bytes = size("TRACE_MEMORY_BYTES_PER_TRACE", memory.trace_bytes, 1'024, 1LL << 30U,
                            "Maximum bytes kept per trace; later spans of it are not kept.");
  options.warnings.insert(options.warnings.end(), settings.warnings().begin(), settings.warnings().end());
  return options;
}

}  // namespace dice
