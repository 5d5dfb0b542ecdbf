#include "loadgen/model/query.h"

#include "common/http/message.h"

namespace dice::loadgen {

std::string Query::route() const {
  switch (kind) {
    case Kind::dice: return "/dice";
    case Kind::roll: return "/roll";
    case Kind::roll_async: break;
  }
  return "/roll-async";
}

std::string Query::path() const {
  auto path = route();
  if (kind == Kind::dice) return path;
  path += "?die=" + percent_encode(die);
  if (kind == Kind::roll) return path;
  path += "&times=" + std::to_string(times);
  if (!strategy.empty()) path += "&strategy=" + percent_encode(strategy);
  if (concurrency > 0) path += "&concurrency=" + std::to_string(concurrency);
  return path;
}

}  // namespace dice::loadgen
