// The parser of requests: the same result in whatever pieces the bytes come.
#include "common/http/parser.h"

#include <algorithm>
#include <memory>
#include <tuple>

#include "common/http/router.h"
#include "fuzz/targets.h"

namespace dice::fuzz {
namespace {

constexpr RequestParser::Limits kLimits{.max_header_bytes = 512, .max_headers = 8, .max_body_bytes = 128};

struct Outcome {
  std::vector<Request> requests;
  /// An error, or the beginning of a request: Beast finds some errors earlier if it has more bytes.
  bool more = false;
};

Outcome read(const std::vector<std::string_view>& pieces) {
  Outcome outcome;
  std::string input;
  auto parser = std::make_unique<RequestParser>(kLimits);
  for (const auto piece : pieces) {
    input += piece;
    outcome.more = outcome.more || !piece.empty();
    for (bool again = !input.empty(); again;) {
      const auto used = parser->feed(input);
      if (!used) {
        require_client_error(used.error());
        return outcome;
      }
      require(*used <= input.size(), "more consumed than there was");
      input.erase(0, *used);
      require(parser->body_bytes() <= kLimits.max_body_bytes, "too large a body");
      again = parser->done() && !input.empty();
      if (!parser->done()) continue;
      outcome.requests.push_back(parser->take());
      outcome.more = !input.empty();
      parser = std::make_unique<RequestParser>(kLimits);
    }
  }
  return outcome;
}

bool same(const Request& one, const Request& other) {
  const auto fields = [](const Request& request) {
    return std::tie(request.method, request.path, request.query_text, request.host, request.port, request.headers,
                    request.body, request.keep_alive, request.http_1_0);
  };
  return fields(one) == fields(other);
}

void check(const Request& request) {
  const auto visible = [](char c) { return c > ' ' && c < '\x7F'; };
  const auto harmless = [](char c) { return c != '\r' && c != '\n' && c != '\0'; };
  require(request.path.starts_with('/') || request.path == "*", "path");
  for (const auto* text : {&request.path, &request.query_text, &request.host}) {
    require(std::ranges::all_of(*text, visible), "not ASCII");
  }
  require(request.headers.size() <= kLimits.max_headers, "too many headers");
  for (const auto& [name, value] : request.headers) {
    require(!name.empty() && std::ranges::all_of(name, visible) && !name.contains(':'), "name of a header");
    require(std::ranges::all_of(value, harmless), "value of a header");
  }
  static const auto router = [] {
    Router all;
    for (const auto* path : {"/", "/dice", "/dice/{identifier}", "/api/faults/{service}"}) all.add(Method::get, path);
    return all;
  }();
  const auto match = router.match(request.method, request.path);
  for (const auto& [name, value] : match.parameters) require(!value.empty(), "an empty parameter of the path");
  require(match.path.empty() == match.allow.empty(), "Allow");
  if (const auto query = parse_query(request.query_text); !query) require_client_error(query.error());
}

}  // namespace

void parser(std::string_view input) {
  const auto pieces = parts(input);
  std::string bytes;
  for (const auto piece : pieces) bytes += piece;
  // Byte by byte takes quadratic time.
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i < bytes.size() && bytes.size() <= 256; ++i) {
    single.push_back(std::string_view(bytes).substr(i, 1));
  }
  if (single.empty()) single = pieces;

  const auto whole = read({bytes});
  for (const auto& request : whole.requests) check(request);
  for (const auto& split : {read(pieces), read(single)}) {
    require(std::ranges::equal(split.requests, whole.requests, same), "other requests if the bytes come in pieces");
    require(split.more == whole.more, "another end if the bytes come in pieces");
  }
}

}  // namespace dice::fuzz
