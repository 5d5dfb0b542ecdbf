// Answers of the services to each other and to loadgen. The input: "STATUS RETRY-AFTER", a line break, the body.
#include <charconv>

#include "contract/roll.h"
#include "fuzz/targets.h"
#include "loadgen/model/answer.h"

namespace dice::fuzz {
namespace {

template <typename Answer>
std::string written(const Answer& answer) {
  return json_object([&](JsonWriter& writer) { write_members(writer, answer); });
}

}  // namespace

void answers(std::string_view input) {
  const auto head = input.substr(0, input.find('\n'));
  ClientResponse response{.body = std::string(input.substr(std::min(head.size() + 1, input.size()))),
                          .retry_after = std::string(head.substr(std::min(head.find(' '), head.size() - 1) + 1)),
                          .allow = {},
                          .traceresponse = {}};
  std::from_chars(head.data(), head.data() + head.size(), response.status);

  if (const auto error = parse_error(response)) {
    require(status_of(error->code) == response.status, "the error has another status");
    require(error->retry_after_seconds.value_or(0) >= 0, "a negative pause");
    const auto again = parse_error(
        {response.status, error_body(*error, ""), std::to_string(error->retry_after_seconds.value_or(0)), {}, {}});
    require(again && again->code == error->code && again->message == error->message,
            "another error after it was written and parsed");
  }
  if (const auto roll = parse_roll_answer(response.body)) {
    const auto again = parse_roll_answer(written(*roll));
    require(again && again->roll == roll->roll, "another roll after it was written and parsed");
  }
  if (const auto batch = parse_batch_answer(response.body)) {
    const auto again = parse_batch_answer(written(*batch));
    require(again && again->total == batch->total && again->rolls == batch->rolls &&
                again->failed.size() == batch->failed.size(),
            "another batch after it was written and parsed");
  }
  const auto answer = loadgen::parse_answer(response);
  require(!answer.outcome().empty(), "no outcome");
  require(answer.is_json_object || (!answer.roll && !answer.rolls && !answer.error_code), "fields of no object");
}

}  // namespace dice::fuzz
