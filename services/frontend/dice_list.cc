#include "frontend/dice_list.h"

#include <utility>

#include "common/base/json_view.h"
#include "contract/names.h"

namespace dice {
namespace {

bool is_list(const std::string& body) {
  const auto document = parse_json(body);
  return document && JsonView(*document)["identifiers"].is_array();
}

}  // namespace

DiceList::DiceList(Options options, Client& die_service, Clock& clock, const Logger& logger)
    : options_(options),
      die_service_(die_service),
      clock_(clock),
      log_(logger.named("dice-list")),
      thread_([this](const std::stop_token& stop) {
        bool reported = false;
        do {
          const bool fetched = fetch(stop);
          if (stop.stop_requested()) return;
          if (fetched == reported) {  // a change of state
            reported = !fetched;
            log_.log(fetched ? LogMessage::dice_list_fetched : LogMessage::dice_list_not_fetched, nullptr);
          }
          if (!clock_.sleep(fetched ? options_.refresh : options_.retry, stop)) return;
        } while (true);
      }) {}

bool DiceList::fetch(const std::stop_token& stop) {
  auto body = die_service_.get_body(
      {.path = route::kDice, .route = route::kDice, .timeout = options_.timeout, .stop = stop}, nullptr);
  if (!body || !is_list(*body)) return false;
  const Lock lock(mutex_);
  current_ = std::make_shared<const std::string>(std::move(*body));
  return true;
}

std::shared_ptr<const std::string> DiceList::current() const {
  const Lock lock(mutex_);
  return current_;
}

}  // namespace dice
