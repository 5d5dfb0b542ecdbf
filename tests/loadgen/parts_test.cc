// Several parts of a run in one process, each with a real port.
#include "loadgen/traffic/parts.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <random>
#include <thread>

#include "support/http.h"

using namespace dice::loadgen;
using dice::Seconds;
using dice::test::get;

namespace {

constexpr std::uint64_t kParts = 3;

/// A port that is free, outside of the range from which the kernel chooses ports for others.
std::uint16_t unused_port() {
  std::random_device random;
  std::uniform_int_distribution<std::uint16_t> ports(20'000, 30'000);
  while (true) {
    const auto port = ports(random);
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {INADDR_ANY}, .sin_zero = {}};
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool free = ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(descriptor);
    if (free) return port;
  }
}

/// One process. Its port is free until `serve`.
struct Process {
  Process(const std::vector<std::uint16_t>& ports, std::uint64_t number, Seconds deadline)
      : index(number), port(ports[number]), parts(options(ports, number, deadline), clock) {}
  ~Process() { exposition.stop(); }

  static Parts::Options options(const std::vector<std::uint16_t>& ports, std::uint64_t number, Seconds deadline) {
    Parts::Options result{.part = {number, kParts}, .peers = {}, .deadline = deadline};
    for (const auto one : ports) result.peers.push_back("http://127.0.0.1:" + std::to_string(one));
    return result;
  }

  void serve() {
    parts.serve(exposition);
    REQUIRE(exposition.start(port).has_value());
  }

  auto start(const std::stop_token& stop = {}) {
    return std::async(std::launch::async, [this, stop] { return parts.start(100 + index, stop); });
  }

  auto finish(const std::stop_token& stop = {}) {
    TrafficSummary own{.target = "t", .parts = kParts, .missing = {}, .seed = 100, .tally = Tally({})};
    Answer answer;
    answer.status = 200;
    for (std::uint64_t i = 0; i <= index; ++i) own.tally.add("/dice", answer, 0.25, "t");
    return std::async(std::launch::async, [this, own, stop] { return parts.finish(own, stop); });
  }

  std::uint64_t index;
  std::uint16_t port;
  dice::SteadyClock clock;
  dice::LogSink sink{STDERR_FILENO};
  Parts parts;
  Exposition exposition{sink, "loadgen", clock};
};

template <typename Result>
bool is_over(const std::future<Result>& result) {
  return result.wait_for(Seconds(0)) == std::future_status::ready;
}

struct Run {
  explicit Run(Seconds deadline = Seconds(30)) {
    for (std::uint64_t i = 0; i < kParts; ++i) ports.push_back(unused_port());
    for (std::uint64_t i = 0; i < kParts; ++i) processes.push_back(std::make_unique<Process>(ports, i, deadline));
  }

  Process& operator[](std::size_t index) { return *processes[index]; }

  std::vector<std::uint16_t> ports;
  std::vector<std::unique_ptr<Process>> processes;
};

}  // namespace

TEST_CASE("all parts start together with the seed of part 0, which has the summary of all at the end") {
  Run run;
  run[0].serve();
  run[1].serve();
  auto first = run[0].start();
  auto second = run[1].start();
  for (const std::size_t index : {0U, 1U}) {
    while (!get(run.ports[index], "/summary").body.contains(R"("phase":"ready"})")) std::this_thread::yield();
  }
  CHECK(get(run.ports[1], "/summary").body == R"({"part":1,"parts":3,"phase":"ready"})");
  run[2].serve();
  CHECK(get(run.ports[2], "/summary").body.contains(R"("phase":"starting"})"));
  CHECK_FALSE(is_over(first));
  CHECK_FALSE(is_over(second));
  auto third = run[2].start();
  CHECK(first.get() == 100);
  CHECK(second.get() == 100);
  CHECK(third.get() == 100);
  CHECK(get(run.ports[0], "/summary").body.contains(R"("phase":"running","seed":100})"));

  auto early = run[2].finish();
  auto all = run[0].finish();
  CHECK_FALSE(early.get().has_value());
  CHECK_FALSE(is_over(all));
  auto late = run[1].finish();
  const auto summary = all.get();
  REQUIRE(summary.has_value());
  CHECK(summary->tally.count() == 1 + 2 + 3);
  CHECK(summary->finished_parts == 3);
  CHECK(summary->missing.empty());
  CHECK(summary->passed());
  CHECK_FALSE(late.get().has_value());
}

TEST_CASE("parts that never start are named") {
  Run run(Seconds(0.3));
  run[0].serve();
  run[2].serve();
  (void)run[2].start();
  const auto started = run[0].start().get();
  REQUIRE_FALSE(started.has_value());
  CHECK_MESSAGE(started.error().contains("part 1 (http://127.0.0.1:" + std::to_string(run.ports[1]) + ")"),
                started.error());
}

TEST_CASE("a part that part 0 does not let start says so") {
  Run run(Seconds(0.3));
  run[0].serve();
  const auto started = run[1].start().get();
  REQUIRE_FALSE(started.has_value());
  CHECK_MESSAGE(
      started.error().contains("part 0 (http://127.0.0.1:" + std::to_string(run.ports[0]) + "): it is starting"),
      started.error());
}

TEST_CASE("parts that do not finish are named, and the others count") {
  Run run(Seconds(0.3));
  for (const auto& process : run.processes) process->serve();
  std::vector<std::future<std::expected<std::uint64_t, std::string>>> started;
  started.reserve(kParts);
  for (const auto& process : run.processes) started.push_back(process->start());
  for (auto& one : started) REQUIRE(one.get().has_value());
  run.processes[2]->exposition.stop();  // crashed; part 1 is still running
  const auto summary = run[0].finish().get();
  REQUIRE(summary.has_value());
  CHECK_FALSE(summary->passed());
  REQUIRE(summary->missing.size() == 2);
  CHECK_MESSAGE(summary->missing[0].contains("part 1 "), summary->missing[0]);
  CHECK_MESSAGE(summary->missing[0].ends_with("): it is running"), summary->missing[0]);
  CHECK_MESSAGE(summary->missing[1].contains("part 2 "), summary->missing[1]);
  CHECK(summary->finished_parts == 1);
  CHECK(to_table(*summary).contains("MISSING: part 2 "));
  CHECK(to_json(*summary).contains("\"missing\":[\"part 1 "));

  const auto own = run[1].finish().get();
  REQUIRE(own.has_value());
  CHECK_FALSE(own->passed());
  CHECK(own->missing.at(0).contains("part 0 "));
  CHECK(own->tally.count() == 2);
}

TEST_CASE("a peer that is another part is not taken for it") {
  Run run(Seconds(0.3));
  run[1].serve();
  run.ports[2] = run.ports[1];
  Process wrong(run.ports, 0, Seconds(0.3));
  wrong.serve();
  const auto started = wrong.start().get();
  REQUIRE_FALSE(started.has_value());
  CHECK_MESSAGE(started.error().contains("): it is part 1 of 3"), started.error());
}

TEST_CASE("a part that has finished belongs to an earlier run") {
  Run run(Seconds(0.3));
  for (const auto& process : run.processes) process->serve();
  (void)run[1].finish().get();
  (void)run[2].start().get();
  const auto started = run[0].start().get();
  REQUIRE_FALSE(started.has_value());
  CHECK_MESSAGE(started.error().contains("part 1 "), started.error());
  CHECK_MESSAGE(started.error().ends_with("): it is finished"), started.error());
}

TEST_CASE("a stop request ends the wait for the start") {
  Run run(Seconds(3600));
  run[0].serve();
  std::stop_source stop;
  auto started = run[0].start(stop.get_token());
  stop.request_stop();
  CHECK(started.get() == 100);
}

TEST_CASE("on its own, a part neither waits nor asks") {
  dice::SteadyClock clock;
  Parts parts({.part = {2, kParts}, .peers = {}}, clock);
  CHECK(parts.start(7, {}) == 7);
  const auto own = parts.finish({.target = "t", .missing = {}, .tally = Tally({})}, {});
  REQUIRE(own.has_value());
  CHECK(own->passed());
}
