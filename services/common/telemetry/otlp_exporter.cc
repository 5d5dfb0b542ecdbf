#include <curl/curl.h>
#include <zlib.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "common/base/utf8.h"
#include "common/base/version.h"
#include "common/telemetry/span_exporter.h"
#include "common/telemetry/wire.h"

namespace dice {
namespace {

/// Limit for a response's headers, and for its body.
constexpr std::size_t kMaxAnswerBytes = 64UL << 10U;
/// Limit for a collector's error message, which is logged.
constexpr std::size_t kMaxMessage = 256;
/// Seconds. A Kubernetes Service chooses a pod per connection, so a connection kept forever would never reach new pods.
constexpr long kMaxConnectionAge = 30;
/// Timeout for the body after the headers, because the status is enough.
constexpr std::chrono::seconds kBodyTimeout{1};
/// Interval at which `Proceed` is called.
constexpr int kPollMilliseconds = 50;

// Both kinds of handle are void*.
struct FreeEasy {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeMulti {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// --- the request, assembled from encoded spans -----------------------------------------------------------------------

std::string export_request(const SpanSource& source, std::span<const EncodedSpan> spans) {
  using wire::append_bytes;
  using wire::field_bytes;
  std::size_t scope_spans = field_bytes(source.scope.size());
  for (const auto& span : spans) scope_spans += field_bytes(span->size());
  const auto resource_spans = field_bytes(source.resource.size()) + field_bytes(scope_spans);
  std::string request;
  request.reserve(field_bytes(resource_spans));
  wire::append_length(request, 1, resource_spans);                 // ExportTraceServiceRequest.resource_spans
  append_bytes(request, 1, source.resource);                       // ResourceSpans.resource
  wire::append_length(request, 2, scope_spans);                    // ResourceSpans.scope_spans
  append_bytes(request, 1, source.scope);                          // ScopeSpans.scope
  for (const auto& span : spans) append_bytes(request, 2, *span);  // ScopeSpans.spans
  return request;
}

/// Empty if there is not enough memory.
std::optional<std::string> gzip(const std::string& data) {
  constexpr int kGzipWindow = 15 + 16;
  constexpr int kMemoryLevel = 8;
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
    return std::nullopt;
  }
  std::string packed(deflateBound(&stream, data.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));  // NOLINT: only read
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return done ? std::optional(std::move(packed)) : std::nullopt;
}

// --- response --------------------------------------------------------------------------------------------------------

struct CollectorAnswer {
  std::string body;
  std::size_t header_bytes = 0;
  /// The headers are complete; `headers_at` is the time.
  bool has_headers = false;
  std::chrono::steady_clock::time_point headers_at;
};

std::size_t receive_header(char* data, std::size_t size, std::size_t count, void* target) {
  auto& answer = *static_cast<CollectorAnswer*>(target);
  answer.header_bytes += size * count;
  if (answer.header_bytes > kMaxAnswerBytes) return 0;  // ends the transfer
  answer.has_headers = std::string_view(data, size * count) == "\r\n";
  answer.headers_at = std::chrono::steady_clock::now();
  return size * count;
}

std::size_t receive_body(char* data, std::size_t size, std::size_t count, void* target) {
  auto& answer = *static_cast<CollectorAnswer*>(target);
  if (answer.body.size() + size * count > kMaxAnswerBytes) return 0;
  answer.body.append(data, size * count);
  return size * count;
}

class OtlpExporter final : public SpanExporter {
 public:
  OtlpExporter(const OtlpOptions& options, SpanSource source) : options_(options), source_(std::move(source)) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    multi_.reset(curl_multi_init());
    easy_.reset(curl_easy_init());
    if (!multi_ || !easy_) throw std::runtime_error("not enough memory for the exporter");
    add_header("Content-Type: application/x-protobuf");
    add_header("Expect:");
    if (options_.gzip) add_header("Content-Encoding: gzip");
    for (const auto& [name, value] : options_.headers) add_header(std::string(name).append(": ").append(value));
    prepare();
  }

  Result send(std::span<const EncodedSpan> spans, const Proceed& proceed) override {
    auto request = export_request(source_, spans);
    if (options_.gzip) {
      auto packed = gzip(request);
      if (!packed) return {.kind = Result::Kind::failed, .reason = "not enough memory to compress"};
      request = std::move(*packed);
    }
    CollectorAnswer answer;
    auto* const curl = easy_.get();
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.size()));
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    return judge(perform(proceed, answer), answer, spans.size());
  }

  void wake() override { curl_multi_wakeup(multi_.get()); }

 private:
  void add_header(const std::string& line) { headers_.reset(curl_slist_append(headers_.release(), line.c_str())); }

  void prepare() {
    auto* const curl = easy_.get();
    const auto set = [curl](CURLoption option, const std::string& text) {
      if (!text.empty()) curl_easy_setopt(curl, option, text.c_str());
    };
    set(CURLOPT_URL, options_.endpoint);
    set(CURLOPT_USERAGENT, "dice/" + std::string(version));
    set(CURLOPT_CAINFO, options_.certificate);
    set(CURLOPT_SSLKEY, options_.client_key);
    set(CURLOPT_SSLCERT, options_.client_certificate);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
    curl_easy_setopt(curl, CURLOPT_MAXLIFETIME_CONN, kMaxConnectionAge);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);  // do not wait for a pending name resolution
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, receive_header);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive_body);
  }

  CURLcode perform(const Proceed& proceed, const CollectorAnswer& answer) {
    auto* const multi = multi_.get();
    auto result = CURLE_ABORTED_BY_CALLBACK;
    if (curl_multi_add_handle(multi, easy_.get()) != CURLM_OK) return CURLE_FAILED_INIT;
    for (int running = 1; running > 0 && proceed();) {
      if (curl_multi_perform(multi, &running) != CURLM_OK) break;
      if (answer.has_headers && std::chrono::steady_clock::now() - answer.headers_at > kBodyTimeout) break;
      if (running > 0) curl_multi_poll(multi, nullptr, 0, kPollMilliseconds, nullptr);
    }
    int left = 0;
    while (const auto* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) result = message->data.result;
    }
    curl_multi_remove_handle(multi, easy_.get());
    return result;
  }

  /// For an incomplete or too large response, the status counts.
  Result judge(CURLcode outcome, const CollectorAnswer& answer, std::uint64_t spans) const {
    using Kind = Result::Kind;
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (outcome == CURLE_URL_MALFORMAT) return {.kind = Kind::failed, .reason = "the collector's URL is not valid"};
    if (outcome != CURLE_OK && !(answer.has_headers && status >= 200)) {
      const bool timed_out = outcome == CURLE_ABORTED_BY_CALLBACK;
      return {.kind = Kind::retryable, .reason = timed_out ? "no response in time" : curl_easy_strerror(outcome)};
    }
    if (status >= 200 && status < 300) return delivered(answer, spans);
    const auto reason = "the collector returned " + std::to_string(status);
    if (status != 429 && status != 502 && status != 503 && status != 504) {
      return {.kind = Kind::failed, .reason = reason};
    }
    curl_off_t seconds = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RETRY_AFTER, &seconds);
    return {.kind = Kind::retryable, .retry_after = std::chrono::seconds(seconds), .reason = reason};
  }

  static Result delivered(const CollectorAnswer& answer, std::uint64_t spans) {
    // ExportTraceServiceResponse.partial_success: rejected_spans, error_message. Anything else is a proxy's own body.
    std::int64_t rejected = 0;
    std::string_view message;
    wire::Reader response(answer.body);
    while (const auto field = response.next()) {
      wire::Reader partial_success(field->number == 1 ? field->bytes : "");
      while (const auto inner = partial_success.next()) {
        if (inner->number == 1) rejected = static_cast<std::int64_t>(inner->value);
        if (inner->number == 2) message = inner->bytes;
      }
    }
    if (!response.at_end() || rejected <= 0) return {};
    return {.rejected = std::min(static_cast<std::uint64_t>(rejected), spans),
            .reason = "rejected: " + shortened(message, kMaxMessage)};
  }

  const OtlpOptions options_;
  const SpanSource source_;
  // Destroyed in reverse order: the connections belong to the multi handle.
  std::unique_ptr<curl_slist, FreeList> headers_;
  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::unique_ptr<CURL, FreeEasy> easy_;
};

}  // namespace

std::unique_ptr<SpanExporter> make_otlp_exporter(const OtlpOptions& options, SpanSource source) {
  return std::make_unique<OtlpExporter>(options, std::move(source));
}

}  // namespace dice
