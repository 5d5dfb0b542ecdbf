// Several replicas of each service: one trace, its log lines, and faults, from all of them.
#include "common/http/replicas.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <semaphore>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/http.h"
#include "support/process.h"
#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

using std::chrono::steady_clock;
using Kind = RunningService::Kind;
using Addresses = std::vector<std::string>;

const Headers kJson = {{"Content-Type", "application/json"}};

/// Two of each; each roller calls one die-service, each frontend one roller, so that a trace is in one replica of each.
struct TwoOfEach {
  explicit TwoOfEach(const Variables& more = {}) {
    for (int i = 0; i < 2; ++i) {
      auto die_service = quick(more);
      die_services.push_back(std::make_unique<RunningService>(Kind::die_service, die_service));
      auto roller = quick(more);
      roller.insert({"DIE_SERVICE_URL", die_services.back()->url()});
      rollers.push_back(std::make_unique<RunningService>(Kind::dice_roller, roller));
    }
    for (int i = 0; i < 2; ++i) {
      auto variables = quick(more);
      variables.insert({{"DIE_SERVICE_URL", die_services[0]->url()},
                        {"DICE_ROLLER_URL", rollers[static_cast<std::size_t>(1 - i)]->url()},
                        {"DIE_SERVICE_METRICS_URL", metrics_urls(die_services)},
                        {"DICE_ROLLER_METRICS_URL", metrics_urls(rollers)},
                        {"METRICS_PORT", std::to_string(frontend_ports[static_cast<std::size_t>(i)])},
                        {"FRONTEND_METRICS_URL", "http://127.0.0.1:" + std::to_string(frontend_ports[0]) +
                                                     ",http://127.0.0.1:" + std::to_string(frontend_ports[1])}});
      frontends.push_back(std::make_unique<RunningService>(Kind::frontend, variables));
    }
  }

  static std::string metrics_urls(const std::vector<std::unique_ptr<RunningService>>& services) {
    return services[0]->metrics_url() + "," + services[1]->metrics_url();
  }

  std::vector<std::unique_ptr<RunningService>> die_services;
  std::vector<std::unique_ptr<RunningService>> rollers;
  std::vector<std::unique_ptr<RunningService>> frontends;
  /// The frontends must know each other's before they start.
  std::vector<std::uint16_t> frontend_ports = free_ports(2);
};

struct Spans {
  std::size_t all = 0;
  bool complete = false;
};

Spans spans(const RunningService& frontend, const std::string& id) {
  const auto trace = json(get(frontend.port(), "/api/traces/" + id).body);
  Spans found;
  if (!trace.HasMember("resourceSpans")) return found;
  found.complete = trace["complete"].GetBool();
  std::set<std::string> ids;
  for (const auto& resource : trace["resourceSpans"].GetArray()) {
    for (const auto& scope : resource["scopeSpans"].GetArray()) {
      for (const auto& span : scope["spans"].GetArray()) {
        ++found.all;
        ids.insert(span["spanId"].GetString());
      }
    }
  }
  CHECK(ids.size() == found.all);  // none twice
  return found;
}

TEST_CASE("every frontend has the whole trace and all its log lines, whichever replicas served the request") {
  const TwoOfEach system;
  for (const auto& asked : system.frontends) {
    const auto id = trace_id(get(asked->port(), "/roll-async?die=fair&times=3").body);
    for (const auto& frontend : system.frontends) {
      const auto found = spans(*frontend, id);
      CHECK(found.all == 8);
      CHECK(found.complete);
      const auto lines = json(get(frontend->port(), "/api/logs/" + id).body);
      CHECK(lines["lines"].Size() == 1 + 6 + 1);
    }
  }
}

TEST_CASE("a replica that is gone costs only the spans that it had") {
  const TwoOfEach system;
  const auto first = trace_id(get(system.frontends[0]->port(), "/roll?die=fair").body);   // by the rollers' second
  const auto second = trace_id(get(system.frontends[1]->port(), "/roll?die=fair").body);  // by their first
  system.rollers[0]->stop();
  for (const auto& frontend : system.frontends) {
    CHECK(spans(*frontend, first).complete);
    CHECK_FALSE(spans(*frontend, second).complete);
  }
  CHECK(get(system.frontends[0]->port(), "/roll?die=fair").status == 200);
}

TEST_CASE("a replica that hangs delays one look at a trace, not each, and costs only its own spans") {
  const CannedServer silent({""});
  const RunningService dice(Kind::die_service, quick());
  const RunningService roller(Kind::dice_roller, quick({{"DIE_SERVICE_URL", dice.url()}}));
  const RunningService frontend(Kind::frontend,
                                quick({{"DIE_SERVICE_URL", dice.url()},
                                       {"DICE_ROLLER_URL", roller.url()},
                                       {"DIE_SERVICE_METRICS_URL", dice.metrics_url()},
                                       {"DICE_ROLLER_METRICS_URL", silent.url() + "," + roller.metrics_url()}}));
  const auto id = trace_id(get(frontend.port(), "/roll?die=fair").body);
  auto start = steady_clock::now();
  CHECK(spans(frontend, id).complete);
  CHECK(steady_clock::now() - start >= std::chrono::milliseconds(1900));  // the timeout of 2 s
  start = steady_clock::now();
  for (int i = 0; i < 5; ++i) CHECK(spans(frontend, id).complete);
  CHECK(steady_clock::now() - start < std::chrono::seconds(1));
}

TEST_CASE("a process with two addresses is one replica") {
  const RunningService dice(Kind::die_service, quick());
  const RunningService roller(Kind::dice_roller, quick({{"DIE_SERVICE_URL", dice.url()}}));
  const auto second = "http://127.0.0.2:" + std::to_string(roller.metrics_port());
  const auto local = "http://localhost:" + std::to_string(roller.metrics_port());
  const RunningService frontend(
      Kind::frontend, quick({{"DIE_SERVICE_URL", dice.url()},
                             {"DICE_ROLLER_URL", roller.url()},
                             {"DIE_SERVICE_METRICS_URL", dice.metrics_url()},
                             {"DICE_ROLLER_METRICS_URL", roller.metrics_url() + "," + second + "," + local}}));
  const auto id = trace_id(get(frontend.port(), "/roll-async?die=fair&times=3").body);
  const auto found = spans(frontend, id);
  CHECK(found.all == 8);
  CHECK(found.complete);
  CHECK(json(get(frontend.port(), "/api/logs/" + id).body)["lines"].Size() == 8);
}

TEST_CASE("a running trace is read from all replicas, and its spans end") {
  const TwoOfEach system(Variables{{"ROLL_DELAY_MIN_SECONDS", "0.2"}, {"ROLL_DELAY_MAX_SECONDS", "0.2"}});
  const std::string id(32, 'c');
  std::jthread request([&] {
    CHECK(get(system.frontends[0]->port(), "/roll-async?die=fair&times=3",
              {{"traceparent", "00-" + id + "-" + std::string(16, 'b') + "-01"}})
              .status == 200);
  });
  CHECK(eventually([&] { return spans(*system.frontends[1], id).all == 8; }));
  request.join();
  CHECK(spans(*system.frontends[1], id).complete);
}

TEST_CASE("faults reach every replica, also of the frontend") {
  const TwoOfEach system(Variables{{"FAULTS_ENABLED", "true"}});
  const auto port = system.frontends[0]->port();
  const std::pair<std::string, const std::vector<std::unique_ptr<RunningService>>*> all[] = {
      {"frontend", &system.frontends}, {"dice-roller", &system.rollers}, {"die-service", &system.die_services}};
  for (const auto& [name, replicas] : all) {
    CAPTURE(name);
    const auto path = "/api/faults/" + name;
    CHECK(request(port, "PUT", path, kJson, R"({"error_rate":1,"duration_seconds":300})").status == 200);
    for (const auto& replica : *replicas) CHECK(replica->metric("fault_injection_active") == 1);
    CHECK(json(get(port, path).body)["error_rate"].GetDouble() == 1);
    CHECK(request(port, "PUT", path, kJson, R"({"duration_seconds":1})").status == 200);
    for (const auto& replica : *replicas) CHECK(replica->metric("fault_injection_active") == 0);
  }
  // One that is gone has no faults, and needs none.
  system.rollers[0]->stop();
  CHECK(request(port, "PUT", "/api/faults/dice-roller", kJson, R"({"error_rate":1,"duration_seconds":300})").status ==
        200);
  CHECK(system.rollers[1]->metric("fault_injection_active") == 1);
  CHECK(json(get(port, "/api/faults/dice-roller").body)["error_rate"].GetDouble() == 1);
  system.rollers[1]->stop();
  CHECK(request(port, "PUT", "/api/faults/dice-roller", kJson, R"({"duration_seconds":1})").status == 502);
  CHECK(get(port, "/api/faults/dice-roller").status == 502);
}

TEST_CASE("a replica that does not allow faults is named, even if the others do") {
  const RunningService with(Kind::die_service, quick({{"FAULTS_ENABLED", "true"}}));
  const RunningService without(Kind::die_service, quick());
  const RunningService frontend(Kind::frontend,
                                quick({{"FAULTS_ENABLED", "true"},
                                       {"DIE_SERVICE_URL", with.url()},
                                       {"DIE_SERVICE_METRICS_URL", with.metrics_url() + "," + without.metrics_url()},
                                       {"DICE_ROLLER_METRICS_URL", "http://nowhere.invalid:1"}}));
  const auto reply = request(frontend.port(), "PUT", "/api/faults/die-service", kJson, R"({"duration_seconds":1})");
  CHECK(reply.status == 404);
  CHECK(reply.body.contains("die-service does not allow faults"));
  CHECK(get(frontend.port(), "/api/faults/die-service").status == 200);
  CHECK(get(frontend.port(), "/api/faults/dice-roller").status == 502);
}

// --- the class -------------------------------------------------------------------------------------------------------

/// What DNS says, which a test changes.
class Names {
 public:
  Resolver resolver() {
    return [this](const std::string& host) -> std::optional<Addresses> {
      const std::lock_guard lock(mutex_);
      ++asked_;
      if (host != "dice") return Addresses{};
      return addresses_;
    };
  }
  void set(std::optional<Addresses> addresses) {
    const std::lock_guard lock(mutex_);
    addresses_ = std::move(addresses);
  }
  int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::optional<Addresses> addresses_ = Addresses{};
  int asked_ = 0;
};

Replicas::Options options(std::vector<std::string> urls, Resolver resolver, Seconds max_age = Seconds(0)) {
  return {.base_urls = std::move(urls),
          .client = {.base_url = {}, .name = "dice"},
          .max_age = max_age,
          .resolve = std::move(resolver)};
}

Addresses found_by(Replicas& replicas, Seconds timeout = Seconds(10), const std::stop_token& stop = {}) {
  Addresses found;
  for (const auto& replica : replicas.find(timeout, stop)) found.push_back(replica->address);
  return found;
}

TEST_CASE("a host name is all its addresses, and follows them") {
  Names names;
  names.set(Addresses{"127.0.0.1", "127.0.0.2"});
  Replicas replicas(options({"http://dice:1"}, names.resolver()));
  const auto first = replicas.find(Seconds(10), {});
  REQUIRE(first.size() == 2);
  CHECK(first[0]->url == "http://dice:1");
  names.set(Addresses{"127.0.0.2", "127.0.0.3"});
  const auto second = replicas.find(Seconds(10), {});
  REQUIRE(second.size() == 2);
  CHECK(second[0] == first[1]);  // kept, with its connections
  CHECK(second[1]->address == "127.0.0.3");
  names.set(std::nullopt);  // DNS fails: what is known stays
  CHECK(found_by(replicas) == Addresses{"127.0.0.2", "127.0.0.3"});
  names.set(Addresses{});
  CHECK(found_by(replicas).empty());
}

TEST_CASE("addresses need no resolver, and several URLs are all asked") {
  Names names;
  names.set(Addresses{"127.0.0.4"});
  Replicas replicas(
      options({"http://127.0.0.9:1", "http://[::1]:2/path", "http://dice:3", "http://dice:4", "http://other"},
              names.resolver()));
  CHECK(found_by(replicas) == Addresses{"127.0.0.9", "::1", "127.0.0.4", "127.0.0.4"});
  CHECK(names.asked() == 2);  // dice and other, once each
}

TEST_CASE("addresses are renewed when they are older than `max_age`, not at each call") {
  Names names;
  Replicas replicas(options({"http://dice:1"}, names.resolver(), Seconds(60)));
  for (int i = 0; i < 5; ++i) CHECK(found_by(replicas).empty());
  CHECK(names.asked() == 1);
}

TEST_CASE("a DNS that hangs delays one call by at most its patience, not those after it, nor a stop, nor the end") {
  const auto gate = std::make_shared<std::binary_semaphore>(0);
  const auto hung = std::make_shared<std::atomic<int>>(0);
  const auto ended = std::make_shared<std::atomic<bool>>(false);
  const auto hang = [gate, hung, ended](const std::string&) -> std::optional<Addresses> {
    if (++*hung == 1) return Addresses{"127.0.0.1"};
    gate->acquire();
    *ended = true;
    return Addresses{"127.0.0.2"};
  };
  {
    Replicas replicas(options({"http://dice:1"}, hang));
    CHECK(found_by(replicas) == Addresses{"127.0.0.1"});
    auto start = steady_clock::now();
    CHECK(found_by(replicas, Seconds(0.05)) == Addresses{"127.0.0.1"});  // the caller's own timeout
    CHECK(steady_clock::now() - start < std::chrono::milliseconds(450));
    CHECK(found_by(replicas) == Addresses{"127.0.0.1"});  // the patience of half a second
    start = steady_clock::now();
    for (int i = 0; i < 100; ++i) CHECK(found_by(replicas) == Addresses{"127.0.0.1"});
    CHECK(steady_clock::now() - start < std::chrono::milliseconds(450));
    CHECK(*hung == 2);
  }
  CHECK_FALSE(*ended);  // the destructor did not wait for it
  gate->release();
  CHECK(eventually([&] { return ended->load(); }));

  *hung = 1;
  auto patient = options({"http://dice:1"}, hang);
  patient.patience = Seconds(60);
  Replicas replicas(std::move(patient));
  std::stop_source stop;
  std::jthread stopper([&] {
    CHECK(eventually([&] { return hung->load() == 2; }));
    stop.request_stop();
  });
  const auto start = steady_clock::now();
  CHECK(found_by(replicas, Seconds(60), stop.get_token()).empty());
  CHECK(steady_clock::now() - start < std::chrono::seconds(20));
  *ended = false;
  gate->release();
  CHECK(eventually([&] { return ended->load(); }));
}

TEST_CASE("many callers at once") {
  Names names;
  Replicas replicas(options({"http://dice:1"}, names.resolver()));
  std::vector<std::jthread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        if (n % 10 == 0) names.set(Addresses{"127.0.0." + std::to_string(1 + n % 7), "127.0.0.9"});
        for (const auto& replica : replicas.find(Seconds(10), {})) CHECK_FALSE(replica->address.empty());
      }
    });
  }
}

TEST_CASE("the system's resolver") {
  const auto local = resolve_host("localhost");
  REQUIRE(local);
  CHECK(*local == Addresses{"127.0.0.1"});  // not ::1 as well: that is the same process
  CHECK(resolve_host("127.0.0.7") == Addresses{"127.0.0.7"});
}

}  // namespace
}  // namespace dice::test
