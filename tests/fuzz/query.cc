// Path and query of a request.
#include <algorithm>

#include "common/base/utf8.h"
#include "contract/parameters.h"
#include "contract/roll.h"
#include "fuzz/targets.h"

namespace dice::fuzz {
namespace {

template <typename Parse>
void check_roll(const QueryParameters& query, const Parse& parse) {
  const auto request = parse(query);
  if (!request) return require_client_error(request.error());
  const auto path = request->path();
  const auto again = parse(parse_query(std::string_view(path).substr(path.find('?') + 1)).value());
  require(again && again->path() == path, "a request is another one after it was written and parsed");
}

}  // namespace

void query(std::string_view input) {
  // The parser of requests lets nothing else through.
  if (!std::ranges::all_of(input, [](char c) { return c > ' ' && c < '\x7F'; })) return;
  for (const bool plus : {false, true}) {
    require(percent_decode(percent_encode(input), plus) == input, "text is not the same after encoding");
    const auto decoded = percent_decode(input, plus);
    if (!decoded) continue;
    require(is_utf8(*decoded), "not UTF-8");
    require(percent_decode(percent_encode(*decoded), plus) == decoded, "decoded text is not the same after encoding");
  }
  const auto query = parse_query(input);
  if (!query) return require_client_error(query.error());
  std::string written;
  for (const auto& [name, value] : *query) written += "&" + percent_encode(name) + "=" + percent_encode(value);
  require(parse_query(written).value() == *query, "a query is another one after it was written and parsed");
  check_roll(*query, parse_roll);
  check_roll(*query, [](const QueryParameters& parameters) { return parse_batch(parameters, 20); });
}

}  // namespace dice::fuzz
