#include "loadgen/target.h"

#include <random>

#include "contract/names.h"

namespace dice::loadgen {

Client::Options target_options(const std::string& url) {
  return {.base_url = url,
          .name = url,
          .connect_timeout = kConnectTimeout,
          .unacknowledged = kConnectTimeout,
          .retry = false};
}

Target::Target(const std::string& url, Seconds timeout) : timeout_(timeout), client_(target_options(url)) {}

Answer Target::request(const std::string& method, const std::string& path, const TraceContext& context) {
  return parse_answer(client_.send(
      method, {.path = path, .route = path, .timeout = timeout_, .headers = {{"traceparent", to_traceparent(context)}}},
      nullptr));
}

std::expected<std::vector<std::string>, std::string> Target::list_dice() {
  const auto answer =
      parse_answer(client_.get({.path = route::kDice, .route = route::kDice, .timeout = timeout_}, nullptr));
  if (!answer.is_json_object) return std::unexpected(answer.error_message.value_or(answer.outcome() + ", not JSON"));
  return answer.identifiers.value_or(std::vector<std::string>{});
}

TraceContext random_context() {
  std::random_device device;
  std::uniform_int_distribution<int> byte(0, 255);
  TraceContext context;
  do {
    for (auto& one : context.trace_id) one = static_cast<std::uint8_t>(byte(device));
    for (auto& one : context.span_id) one = static_cast<std::uint8_t>(byte(device));
  } while (!context.valid());
  context.sampled = true;
  return context;
}

}  // namespace dice::loadgen
