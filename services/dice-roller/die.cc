#include "dice-roller/die.h"

#include <rapidjson/document.h>

#include <random>

namespace dice {

std::expected<Die, std::string> parse_die(std::string_view json) {
  using rapidjson::Value;
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(json.data(), json.size());
  if (document.HasParseError() || !document.IsObject()) return std::unexpected("not a JSON object");
  const auto member = [](const Value& object, const char* name) -> const Value* {
    const auto found = object.FindMember(name);
    return found == object.MemberEnd() ? nullptr : &found->value;
  };
  const auto* identifier = member(document, "identifier");
  if (identifier == nullptr || !identifier->IsString()) return std::unexpected("no identifier");
  const auto* specification = member(document, "specification");
  if (specification == nullptr || !specification->IsObject()) return std::unexpected("no specification");
  const auto* faces = member(*specification, "faces");
  if (faces == nullptr || !faces->IsArray() || faces->Empty()) return std::unexpected("no faces");
  const auto* error_rate = member(*specification, "error_rate");
  if (error_rate == nullptr || !error_rate->IsNumber()) return std::unexpected("no error_rate");

  Die die{{identifier->GetString(), identifier->GetStringLength()}, {}, error_rate->GetDouble()};
  if (!(die.error_rate >= 0 && die.error_rate <= 1)) return std::unexpected("error_rate is not from 0 to 1");
  for (const auto& face : faces->GetArray()) {
    if (!face.IsInt()) return std::unexpected("a face is not a whole number");
    die.faces.push_back(face.GetInt());
  }
  return die;
}

Random::Random(std::uint64_t seed, std::uint64_t request, std::uint64_t index) : state_(seed) {
  for (const auto part : {request, index}) state_ = (*this)() ^ part;
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

Fate draw(const Die& die, const RollDelay& delay, Random& random) {
  Fate fate;
  fate.delay = delay.min + (delay.max - delay.min) * random.fraction();
  fate.fails = random.fraction() < die.error_rate;
  std::uniform_int_distribution<std::size_t> face(0, die.faces.size() - 1);
  fate.value = die.faces[face(random)];
  return fate;
}

Roll roll(const Fate& fate, Clock& clock, const std::stop_token& stop) {
  if (!clock.sleep(fate.delay, stop)) return {Roll::State::cancelled};
  if (fate.fails) return {Roll::State::failed};
  return {Roll::State::succeeded, fate.value};
}

}  // namespace dice
