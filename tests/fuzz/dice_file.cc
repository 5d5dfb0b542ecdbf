// Files of die specifications, and the answers that die-service makes of them.
#include <algorithm>

#include "common/base/json.h"
#include "dice-roller/die.h"
#include "die-service/specifications.h"
#include "fuzz/targets.h"

namespace dice::fuzz {

void dice_file(std::string_view input) {
  const auto specifications = parse_specifications(std::string(input));
  if (!specifications) return require(is_one_line(specifications.error()), "the error is not one line");
  require(!specifications->empty() && specifications->size() <= 100, "number of dice");
  const SpecificationStore::Set set(*specifications);
  require(parse_json(set.list()).has_value(), "the list is not JSON");
  const auto as_json = json_object([&](JsonWriter& writer) {
    for (const auto& die : *specifications) {
      require(!die.faces.empty() && die.faces.size() <= 100, "number of faces");
      require(die.error_rate >= 0 && die.error_rate <= 1, "error rate");
      const auto* answer = set.find(die.identifier);
      require(answer != nullptr, "no answer");
      const auto parsed = parse_die(*answer);
      require(parsed && parsed->identifier == die.identifier && parsed->faces == die.faces &&
                  almost_equal(parsed->error_rate, die.error_rate),
              "dice-roller reads another die");
      write_key(writer, die.identifier);
      writer.StartObject();
      write_member(writer, "faces", die.faces);
      write_member(writer, "error_rate", die.error_rate);
      writer.EndObject();
    }
  });
  const auto again = parse_specifications(as_json);
  require(again && std::ranges::equal(*again, *specifications,
                                      [](const auto& one, const auto& other) {
                                        return one.identifier == other.identifier && one.faces == other.faces &&
                                               almost_equal(one.error_rate, other.error_rate);
                                      }),
          "other dice after they were written and parsed");
}

}  // namespace dice::fuzz
