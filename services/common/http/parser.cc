#include "common/http/parser.h"

// One of Beast's assertions is wrong: it requires five bytes of an empty chunked body although four are enough.
#define BOOST_DISABLE_ASSERTS

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <optional>
#include <utility>

namespace dice {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using beast::error_code;

/// Limit for the line that starts a chunk, including its extensions, and for the trailer.
constexpr std::size_t kMaxChunkLine = 4UL << 10U;

/// Limit for the head of a response, and for the line that starts a chunk.
constexpr std::size_t kMaxResponseHead = 64UL << 10U;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

Error malformed(std::string message) { return {ErrorCode::malformed_request, std::move(message)}; }

Error long_chunk_line() { return malformed("a chunk header or the trailer is too long"); }

Error unknown_method() { return {ErrorCode::not_implemented, "the method is not supported"}; }

/// The cast is needed because `char` is signed on some machines only.
bool is_control(char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7F'; }

/// RFC 9110, section 8.6: digits only; no leading zero, which some parsers read as octal.
bool is_length(std::string_view value) {
  return !value.empty() && (value.size() == 1 || value.front() != '0') &&
         std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
}

struct Authority {
  std::string_view host;
  std::uint16_t port = 0;
};

/// RFC 3986, section 3.2.2, without user information and without a comma, which would be a second host.
std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  auto end = text.starts_with('[') ? text.find(']') : text.find(':');
  if (text.starts_with('[')) {
    if (end == std::string_view::npos) return std::nullopt;
    ++end;
  }
  authority.host = text.substr(0, end);
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~%!$&'()*+;=[]:").find(c) != std::string_view::npos;
  };
  if (authority.host.empty() || !std::ranges::all_of(authority.host, fits)) return std::nullopt;
  const auto brackets = std::ranges::count_if(authority.host, [](char c) { return c == '[' || c == ']'; });
  if (brackets != (text.starts_with('[') ? 2 : 0)) return std::nullopt;
  if (end >= text.size()) return authority;
  const auto port = text.substr(end);
  if (port == ":") return authority;
  const auto* const last = port.data() + port.size();
  const auto parsed = std::from_chars(port.data() + 1, last, authority.port);
  if (port.front() != ':' || parsed.ec != std::errc() || parsed.ptr != last) return std::nullopt;
  return authority;
}

}  // namespace

struct RequestParser::Implementation final : http::basic_parser<true> {
  explicit Implementation(const Limits& given) : limits(given) {
    header_limit(static_cast<std::uint32_t>(limits.max_header_bytes));
    body_limit(limits.max_body_bytes);
    eager(false);
  }

  /// Ends parsing with this error.
  void fail(Error why, error_code& ec) {
    error = std::move(why);
    ec = http::make_error_code(http::error::bad_value);
  }

  void on_request_impl(http::verb /*method*/, beast::string_view method, beast::string_view target, int version,
                       error_code& ec) override {
    request.method = dice::parse_method(view(method));
    request.http_1_0 = version == 10;
    // RFC 9110, sections 9.1 and 9.3.6: an unknown method is 501, not 405; no route is a tunnel.
    if (request.method == Method::other || request.method == Method::connect) return fail(unknown_method(), ec);
    if (auto wrong = read_target(view(target))) fail(std::move(*wrong), ec);
  }

  /// RFC 9112, section 3.2.
  std::optional<Error> read_target(std::string_view target) {
    const auto allowed = [](char c) { return c > ' ' && c < '\x7F' && c != '#'; };
    if (!std::ranges::all_of(target, allowed))
      return malformed("the request target contains characters that are not allowed in a URI");
    if (target == "*" && request.method == Method::options) {
      request.path = target;
      return std::nullopt;
    }
    if (!target.starts_with('/')) {
      const std::size_t scheme = equal_ignoring_case(target.substr(0, 7), "http://")    ? 7
                                 : equal_ignoring_case(target.substr(0, 8), "https://") ? 8
                                                                                        : 0;
      if (scheme == 0) return malformed("the request target must begin with / or http://");
      target.remove_prefix(scheme);
      const auto end = std::min(target.find_first_of("/?"), target.size());
      const auto authority = parse_authority(target.substr(0, end));
      if (!authority) return malformed("the host in the request target is not valid");
      request.host = authority->host;
      request.port = authority->port;
      absolute = true;
      target.remove_prefix(end);
    }
    const auto question = std::min(target.find('?'), target.size());
    request.path = target.starts_with('/') ? target.substr(0, question) : "/";
    request.query_text = target.substr(std::min(question + 1, target.size()));
    return std::nullopt;
  }

  void on_field_impl(http::field field, beast::string_view name, beast::string_view value, error_code& ec) override {
    if (headers_done) {  // a trailer, which is ignored
      trailer_bytes += name.size() + value.size();
      if (trailer_bytes > kMaxChunkLine) fail(long_chunk_line(), ec);
      return;
    }
    if (request.headers.size() >= limits.max_headers) {
      return fail({ErrorCode::headers_too_large, "more than " + std::to_string(limits.max_headers) + " headers"}, ec);
    }
    switch (field) {
      case http::field::host: ++hosts; break;
      case http::field::content_length:
        if (lengths++ > 0 || !is_length(view(value)))
          fail(malformed("Content-Length must be a single whole number"), ec);
        break;
      case http::field::transfer_encoding: codings.emplace_back(view(value)); break;
      case http::field::content_type:
        if (types++ > 0) fail(malformed("Content-Type must not be repeated"), ec);
        break;
      default: break;
    }
    request.headers.emplace_back(view(name), view(value));
  }

  void on_header_impl(error_code& ec) override {
    headers_done = true;
    if (auto wrong = check_host()) return fail(std::move(*wrong), ec);
    if (auto wrong = check_framing()) return fail(std::move(*wrong), ec);
    request.keep_alive = keep_alive();
    const bool body = chunked() || content_length().value_or(0) > 0;
    expects_continue = body && !request.http_1_0 && equal_ignoring_case(request.header("Expect"), "100-continue");
  }

  /// RFC 9112, section 3.2.
  std::optional<Error> check_host() {
    if (hosts == 0 && request.http_1_0) return std::nullopt;
    if (hosts != 1) return malformed("there must be exactly one Host header");
    const auto host = parse_authority(request.header("Host"));
    if (!host) return malformed("Host must be a name or an address, with an optional port");
    if (absolute) return std::nullopt;  // the target takes precedence
    request.host = host->host;
    request.port = host->port;
    return std::nullopt;
  }

  /// RFC 9112, sections 6.1 and 6.3.
  std::optional<Error> check_framing() const {
    if (codings.empty()) return std::nullopt;
    if (lengths > 0) return malformed("Content-Length and Transfer-Encoding must not be combined");
    if (request.http_1_0) return malformed("HTTP/1.0 does not allow Transfer-Encoding");
    const auto members = list_members(codings.front());
    if (codings.size() > 1 || members.empty() || !equal_ignoring_case(members.back(), "chunked") || !chunked()) {
      return malformed("Transfer-Encoding must end with chunked, and chunked must not be repeated");
    }
    if (members.size() > 1) return Error{ErrorCode::not_implemented, "the only supported Transfer-Encoding is chunked"};
    return std::nullopt;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& /*length*/, error_code& /*ec*/) override {}

  std::size_t on_body_impl(beast::string_view bytes, error_code& /*ec*/) override {
    request.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  void on_chunk_header_impl(std::uint64_t /*size*/, beast::string_view extensions, error_code& ec) override {
    if (extensions.size() > kMaxChunkLine) return fail(long_chunk_line(), ec);
    if (std::ranges::any_of(view(extensions), is_control))
      fail(malformed("a chunk header contains control characters"), ec);
  }

  std::size_t on_chunk_body_impl(std::uint64_t /*left*/, beast::string_view bytes, error_code& /*ec*/) override {
    request.body.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  void on_finish_impl(error_code& /*ec*/) override {}
  void on_response_impl(int /*code*/, beast::string_view /*reason*/, int /*version*/, error_code& /*ec*/) override {}

  const Limits limits;
  Request request;
  std::optional<Error> error;
  std::vector<std::string> codings;
  std::size_t head_bytes = 0;
  std::size_t trailer_bytes = 0;
  int hosts = 0;
  int lengths = 0;
  int types = 0;
  bool line_skipped = false;
  bool absolute = false;
  bool headers_done = false;
  bool expects_continue = false;
};

namespace {

/// Whether the lines of the head received so far end with CR LF and do not start with white space. Beast unfolds folded
/// lines, which RFC 9112 (section 5.2) requires to be rejected, and detects a bare CR or LF (section 2.2) too late if
/// the input comes in pieces.
bool has_clean_lines(std::string_view head) {
  while (!head.empty()) {
    const auto cr = head.find('\r');
    const auto lf = head.find('\n');
    if (lf != std::string_view::npos && (cr == std::string_view::npos || lf != cr + 1)) return false;
    if (cr == std::string_view::npos || cr + 1 == head.size()) return true;  // the rest has not arrived yet
    if (lf == std::string_view::npos) return false;
    if (cr == 0) return true;  // an empty line: the end of the head
    head.remove_prefix(lf + 1);
    if (head.starts_with(' ') || head.starts_with('\t')) return false;
  }
  return true;
}

/// The error for a head that is too large. `line` is the part of the request line received so far, empty once it is
/// complete.
Error too_large(std::string_view line) {
  if (line.empty()) return {ErrorCode::headers_too_large, "the headers are too large"};
  if (line.find(' ') == std::string_view::npos) return unknown_method();
  return {ErrorCode::uri_too_long, "the request line is too long"};
}

Error error_of(http::error code, std::string_view line) {
  switch (code) {
    case http::error::body_limit: return {ErrorCode::payload_too_large, "the body is too large"};
    case http::error::header_limit: return too_large(line);
    case http::error::bad_version: return malformed("the version must be HTTP/1.1 or HTTP/1.0");
    case http::error::bad_method: return malformed("not an HTTP/1.1 request");
    case http::error::bad_target:
      return malformed("the request target contains characters that are not allowed in a URI");
    case http::error::bad_chunk:
    case http::error::bad_chunk_extension: return malformed("a chunk is not valid");
    case http::error::bad_content_length: return malformed("Content-Length must be a single whole number");
    case http::error::bad_transfer_encoding: return malformed("Transfer-Encoding is not valid");
    default: return malformed("a header is not valid");
  }
}

}  // namespace

RequestParser::RequestParser(const Limits& limits) : implementation_(std::make_unique<Implementation>(limits)) {}
RequestParser::~RequestParser() = default;

bool RequestParser::has_headers() const { return implementation_->headers_done; }
bool RequestParser::take_expectation() { return std::exchange(implementation_->expects_continue, false); }
bool RequestParser::done() const { return implementation_->is_done(); }
std::size_t RequestParser::body_bytes() const { return implementation_->request.body.size(); }
Request RequestParser::take() { return std::move(implementation_->request); }

std::string_view reason_phrase(int status) {
  return view(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status))));
}

std::expected<std::size_t, Error> RequestParser::feed(std::string_view bytes) {
  auto& self = *implementation_;
  std::size_t consumed = 0;
  while (!self.is_done()) {
    const auto rest = bytes.substr(consumed);
    if (!self.got_some() && !self.line_skipped) {  // RFC 9112, section 2.2: an empty line before the request
      if (rest.empty() || rest == "\r") break;
      self.line_skipped = rest.starts_with("\r\n");
      if (self.line_skipped) {
        consumed += 2;
        continue;
      }
    }
    if (!self.headers_done && !has_clean_lines(rest)) {
      return std::unexpected(malformed("a line does not end with CR LF or begins with white space"));
    }
    error_code ec;
    const bool in_head = !self.headers_done;
    const auto used = self.put({rest.data(), rest.size()}, ec);
    consumed += used;
    if (in_head) self.head_bytes += used;
    const auto line = self.head_bytes == 0 ? rest.substr(0, self.limits.max_header_bytes) : std::string_view();
    if (self.error) return std::unexpected(std::move(*self.error));
    if (ec && ec != http::error::need_more)
      return std::unexpected(error_of(static_cast<http::error>(ec.value()), line));
    // Beast has separate limits for the request line and for the headers.
    const auto waiting = self.headers_done ? 0 : rest.size() - used;
    if (in_head && self.head_bytes + waiting > self.limits.max_header_bytes) return std::unexpected(too_large(line));
    if (!ec && (consumed < bytes.size() || self.is_done())) continue;
    if (self.headers_done && bytes.size() - consumed > kMaxChunkLine) {
      return std::unexpected(long_chunk_line());
    }
    break;
  }
  return consumed;
}

struct ResponseParser::Implementation {
  struct Parser final : http::basic_parser<false> {
    explicit Parser(std::size_t max_body_bytes) {
      header_limit(kMaxResponseHead);
      body_limit(max_body_bytes);
      eager(true);
    }

    void on_response_impl(int code, beast::string_view /*reason*/, int /*version*/, error_code& /*ec*/) override {
      response.status = code;
    }
    void on_field_impl(http::field field, beast::string_view name, beast::string_view value,
                       error_code& /*ec*/) override {
      if (field == http::field::retry_after) response.retry_after = view(value);
      else if (field == http::field::allow) response.allow = view(value);
      else if (equal_ignoring_case(view(name), "traceresponse")) response.traceresponse = view(value);
    }
    void on_header_impl(error_code& /*ec*/) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>& /*length*/, error_code& /*ec*/) override {}
    std::size_t on_body_impl(beast::string_view bytes, error_code& /*ec*/) override {
      response.body.append(bytes.data(), bytes.size());
      return bytes.size();
    }
    void on_chunk_header_impl(std::uint64_t /*size*/, beast::string_view /*extensions*/, error_code& /*ec*/) override {}
    std::size_t on_chunk_body_impl(std::uint64_t /*left*/, beast::string_view bytes, error_code& ec) override {
      return on_body_impl(bytes, ec);
    }
    void on_finish_impl(error_code& /*ec*/) override {}
    void on_request_impl(http::verb /*method*/, beast::string_view /*text*/, beast::string_view /*target*/,
                         int /*version*/, error_code& /*ec*/) override {}

    ClientResponse response;
  };

  explicit Implementation(std::size_t limit) : max_body_bytes(limit) { parser.emplace(limit); }

  bool interim() const { return parser->response.status >= 100 && parser->response.status < 200; }

  const std::size_t max_body_bytes;
  std::optional<Parser> parser;
  /// Received and not parsed yet.
  std::string input;
  bool begun = false;
};

ResponseParser::ResponseParser(std::size_t max_body_bytes)
    : implementation_(std::make_unique<Implementation>(max_body_bytes)) {}
ResponseParser::~ResponseParser() = default;

bool ResponseParser::begun() const { return implementation_->begun; }
bool ResponseParser::keep_alive() const { return implementation_->parser->keep_alive(); }
ClientResponse ResponseParser::take() { return std::move(implementation_->parser->response); }

ResponseParser::State ResponseParser::feed(std::string_view bytes) {
  auto& self = *implementation_;
  self.begun = self.begun || !bytes.empty();
  if (!self.input.empty()) bytes = self.input.append(bytes);
  std::size_t consumed = 0;
  for (;;) {
    error_code ec;
    const auto rest = bytes.substr(consumed);
    consumed += self.parser->put({rest.data(), rest.size()}, ec);
    const bool need_more = ec == http::error::need_more;
    if (ec == http::error::body_limit) return State::too_large;
    if (ec && !need_more) return State::malformed;
    if (self.parser->is_done() && self.interim()) {
      self.parser.emplace(self.max_body_bytes);
    } else if (self.parser->is_done()) {
      return consumed == bytes.size() ? State::complete : State::malformed;
    }
    if (need_more || consumed == bytes.size()) break;
  }
  self.input = std::string(bytes.substr(consumed));
  return self.input.size() > kMaxResponseHead ? State::malformed : State::incomplete;
}

ResponseParser::State ResponseParser::end() {
  auto& parser = *implementation_->parser;
  error_code ec;
  if (!parser.is_header_done() || parser.is_done()) return State::incomplete;
  parser.put_eof(ec);
  return ec ? State::incomplete : State::complete;
}

}  // namespace dice
