#include "dice-roller/die.h"

#include <random>
#include <utility>

#include "common/base/json_view.h"

namespace dice {

std::expected<Die, std::string> parse_die(std::string_view json) {
  const auto document = parse_json(json);
  if (!document || !document->IsObject()) return std::unexpected("not a JSON object");
  const JsonView answer(*document);
  const auto identifier = answer["identifier"].text();
  if (!identifier) return std::unexpected("no identifier");
  const auto specification = answer["specification"];
  if (!specification.is_object()) return std::unexpected("no specification");
  const auto faces = specification["faces"].elements();
  if (faces.empty()) return std::unexpected("no faces");
  const auto error_rate = specification["error_rate"].number();
  if (!error_rate) return std::unexpected("no error_rate");
  if (!(*error_rate >= 0 && *error_rate <= 1)) return std::unexpected("error_rate is not from 0 to 1");

  Die die{std::string(*identifier), {}, *error_rate};
  for (const auto& face : faces) {
    const auto value = face.integer();
    if (!value || !std::in_range<int>(*value)) return std::unexpected("a face is not a whole number");
    die.faces.push_back(static_cast<int>(*value));
  }
  return die;
}

Random::Random(const RandomSource& source, std::uint64_t index) : state_(source.seed) {
  for (const auto part : {source.request, index}) state_ = (*this)() ^ part;
}

Random::result_type Random::operator()() {
  state_ += 0x9E3779B97F4A7C15U;
  auto mixed = state_;
  mixed = (mixed ^ mixed >> 30U) * 0xBF58476D1CE4E5B9U;
  mixed = (mixed ^ mixed >> 27U) * 0x94D049BB133111EBU;
  return mixed ^ mixed >> 31U;
}

double Random::fraction() {
  constexpr double kUnit = 1.0 / (1ULL << 53U);  // a double holds 53 bits
  return static_cast<double>((*this)() >> 11U) * kUnit;
}

Draw draw(const Die& die, const RollDelay& delay, Random& random) {
  Draw drawn;
  drawn.delay = delay.min + (delay.max - delay.min) * random.fraction();
  drawn.fails = random.fraction() < die.error_rate;
  std::uniform_int_distribution<std::size_t> face(0, die.faces.size() - 1);
  drawn.value = die.faces[face(random)];
  return drawn;
}

Roll roll(const Draw& drawn, Clock& clock, const std::stop_token& stop) {
  if (!clock.sleep(drawn.delay, stop)) return {Roll::State::cancelled};
  if (drawn.fails) return {Roll::State::failed};
  return {Roll::State::succeeded, drawn.value};
}

}  // namespace dice
