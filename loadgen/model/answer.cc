#include "loadgen/model/answer.h"

#include "common/base/json_view.h"

namespace dice::loadgen {
namespace {

std::optional<std::string> string_of(JsonView value) {
  const auto text = value.text();
  if (!text) return std::nullopt;
  return std::string(*text);
}

/// Empty unless the value is a list and `read` can parse every element.
template <typename Element, typename Read>
std::optional<std::vector<Element>> list_of(JsonView value, const Read& read) {
  if (!value.is_array()) return std::nullopt;
  std::vector<Element> list;
  for (const auto element : value.elements()) {
    auto one = read(element);
    if (!one) return std::nullopt;
    list.push_back(std::move(*one));
  }
  return list;
}

std::optional<Answer::Failed> failed_of(JsonView value) {
  const auto index = value["index"].integer();
  auto error = string_of(value["error"]);
  if (!index || !error) return std::nullopt;
  return Answer::Failed{*index, std::move(*error)};
}

}  // namespace

std::string Answer::outcome() const {
  if (status == 0) return "no answer: " + error_message.value_or("");
  return std::to_string(status) + (error_code ? " " + *error_code : "");
}

Answer parse_answer(const std::expected<ClientResponse, Error>& response) {
  Answer answer;
  if (!response) {
    answer.error_code = name_of(response.error().code);
    answer.error_message = response.error().message;
    return answer;
  }
  answer.status = response->status;
  answer.allow = response->allow;
  answer.traceresponse = response->traceresponse;
  const auto document = parse_json(response->body);
  if (!document || !document->IsObject()) return answer;
  const JsonView body(*document);
  answer.is_json_object = true;
  answer.error_code = string_of(body["error"]["code"]);
  answer.error_message = string_of(body["error"]["message"]);
  answer.trace_id = string_of(body["trace_id"]);
  answer.identifiers = list_of<std::string>(body["identifiers"], string_of);
  answer.roll = body["roll"].integer();
  answer.total = body["total"].integer();
  answer.rolls = list_of<std::int64_t>(body["rolls"], [](JsonView value) { return value.integer(); });
  answer.count = body["count"].integer();
  answer.failed = list_of<Answer::Failed>(body["failed"], failed_of);
  return answer;
}

}  // namespace dice::loadgen
