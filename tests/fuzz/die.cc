// What dice-roller makes of an answer of die-service.
#include "dice-roller/die.h"

#include <algorithm>

#include "die-service/specifications.h"
#include "fuzz/targets.h"

namespace dice::fuzz {

void die(std::string_view input) {
  const auto die = parse_die(input);
  if (!die) return require(is_one_line(die.error()), "the error is not one line");
  require(!die->faces.empty() && die->error_rate >= 0 && die->error_rate <= 1, "not a die");
  Random random(1);
  const auto drawn = draw(*die, {}, random);
  require(std::ranges::find(die->faces, drawn.value) != die->faces.end(), "not a face");
  const SpecificationStore::Set set({{die->identifier, die->faces, die->error_rate}});
  const auto again = parse_die(*set.find(die->identifier));
  require(again && again->identifier == die->identifier && again->faces == die->faces &&
              almost_equal(again->error_rate, die->error_rate),
          "another die after it was written and parsed");
}

}  // namespace dice::fuzz
