#include "loadgen/traffic/parts.h"

#include <algorithm>
#include <utility>

#include "common/base/joined.h"
#include "common/base/json.h"

namespace dice::loadgen {
namespace {

constexpr const char* kSummary = "/summary";
constexpr Seconds kPoll{0.1};
constexpr Seconds kAskTimeout{2};
/// A summary has at most this many bytes: one histogram per route, one example per error code.
constexpr std::size_t kMaxSummary = 4UL << 20U;

}  // namespace

const char* Parts::name_of(Phase phase) {
  switch (phase) {
    case Phase::starting: return "starting";
    case Phase::ready: return "ready";
    case Phase::running: return "running";
    case Phase::finished: return "finished";
  }
  std::unreachable();
}

Parts::Parts(const Options& options, Clock& clock) : options_(options), clock_(clock) {
  for (std::uint64_t i = 0; i < options_.peers.size(); ++i) {
    if (i == options_.part.index || (options_.part.index > 0 && i > 0)) continue;
    const auto& url = options_.peers[i];
    peers_.push_back(
        {i, url,
         std::make_unique<Client>(Client::Options{.base_url = url, .name = "it", .max_body_bytes = kMaxSummary})});
  }
}

void Parts::serve(Exposition& exposition) {
  exposition.add(Method::get, kSummary, [this] { return Response{.body = status()}; });
  exposition.add(Method::del, kSummary, [this] {
    collected_ = true;
    return Response{.status = 204};
  });
}

std::string Parts::status() {
  State state;
  {
    const Lock lock(mutex_);
    state = state_;
  }
  return json_object([&](JsonWriter& writer) {
    write_member(writer, "part", options_.part.index);
    write_member(writer, "parts", options_.part.parts);
    write_member(writer, "phase", name_of(state.phase));
    if (state.phase >= Phase::running) write_member(writer, "seed", state.seed);
    if (state.summary.empty()) return;
    write_key(writer, "summary");
    writer.RawValue(state.summary.data(), state.summary.size(), rapidjson::kObjectType);
  });
}

std::expected<rapidjson::Document, std::string> Parts::ask(Peer& peer, Seconds timeout) const {
  const auto body = peer.client->get_body({.path = kSummary, .route = kSummary, .timeout = timeout}, nullptr);
  if (!body) return std::unexpected(body.error().message);
  auto json = parse_json(*body);
  const auto part = json ? JsonView(*json)["part"].integer() : std::nullopt;
  if (!part) return std::unexpected("it is no part of a run");
  const auto parts = JsonView(*json)["parts"].integer().value_or(0);
  if (*part != static_cast<std::int64_t>(peer.index) || parts != static_cast<std::int64_t>(options_.part.parts)) {
    return std::unexpected("it is part " + std::to_string(*part) + " of " + std::to_string(parts));
  }
  return std::move(*json);
}

std::vector<std::string> Parts::ask_until(const std::function<bool(Peer&, JsonView status)>& done,
                                          const std::stop_token& stop, Seconds after_stop) {
  const auto start = clock_.now();
  const auto left = [&] { return (stop.stop_requested() ? after_stop : options_.deadline) - (clock_.now() - start); };
  std::vector<std::string> known(options_.peers.size());
  auto waiting = std::vector<Peer*>();
  for (auto& peer : peers_) waiting.push_back(&peer);
  while (true) {
    std::erase_if(waiting, [&](Peer* peer) {
      const auto status = ask(*peer, std::clamp<Seconds>(left(), kPoll, kAskTimeout));
      if (status && done(*peer, JsonView(*status))) return true;
      known[peer->index] =
          status ? "it is " + std::string(JsonView(*status)["phase"].text().value_or("no part")) : status.error();
      return false;
    });
    if (waiting.empty() || left() <= Seconds(0)) break;
    (void)clock_.sleep(kPoll, {});
  }
  std::vector<std::string> missing;
  missing.reserve(waiting.size());
  for (const auto* peer : waiting) {
    missing.push_back("part " + std::to_string(peer->index) + " (" + peer->url + "): " + known[peer->index]);
  }
  return missing;
}

std::expected<std::uint64_t, std::string> Parts::start(std::uint64_t seed, const std::stop_token& stop) {
  {
    const Lock lock(mutex_);
    state_.phase = Phase::ready;
  }
  const bool first = options_.part.index == 0;
  const auto missing = ask_until(
      [&](Peer&, JsonView status) {
        const auto phase = status["phase"].text();
        // None runs before part 0: what has finished belongs to an earlier run.
        if (first) return phase == name_of(Phase::ready);
        const bool runs = phase == name_of(Phase::running) || phase == name_of(Phase::finished);
        if (runs) seed = static_cast<std::uint64_t>(status["seed"].integer().value_or(0));
        return runs;
      },
      stop, Seconds(0));
  if (!missing.empty() && !stop.stop_requested())
    return std::unexpected("not all parts are ready: " + joined(missing, "; "));
  const Lock lock(mutex_);
  state_ = {Phase::running, seed, ""};
  return seed;
}

std::optional<TrafficSummary> Parts::finish(TrafficSummary own, const std::stop_token& stop) {
  {
    const Lock lock(mutex_);
    state_.phase = Phase::finished;
    state_.summary = to_json(own);
  }
  if (options_.peers.empty()) return own;
  if (options_.part.index == 0) {
    own.missing = ask_until(
        [&own](Peer& peer, JsonView status) {
          const auto summary = read_summary(status["summary"]);
          if (!summary) return false;
          own.add(*summary);
          // It no longer has to wait. If this is lost, it waits in vain.
          [[maybe_unused]] const auto sent =
              peer.client->send("DELETE", {.path = kSummary, .route = kSummary, .timeout = kAskTimeout}, nullptr);
          return true;
        },
        stop, kStopGrace);
    return own;
  }
  const auto end = clock_.now();
  while (!collected_) {
    if (clock_.now() - end > (stop.stop_requested() ? kStopGrace : options_.deadline)) {
      own.missing = {"part 0 (" + options_.peers[0] + "): it did not collect this summary"};
      return own;
    }
    (void)clock_.sleep(kPoll, {});
  }
  return std::nullopt;
}

}  // namespace dice::loadgen
