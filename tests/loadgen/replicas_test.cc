// verify with several replicas of each service, of which some are replaced, hang or are gone.
#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "loadgen/verify/verify.h"
#include "support/http.h"
#include "support/stub_server.h"
#include "support/system.h"
#include "support/wait.h"

using namespace dice::loadgen;
using dice::Seconds;
using dice::test::Acceptor;
using dice::test::forward;
using dice::test::RunningService;
using dice::test::StubServer;
using dice::test::Variables;
using Kind = RunningService::Kind;

namespace {

/// The replicas of one service, which take turns.
class Group {
 public:
  /// `start` starts a replica on these ports.
  Group(std::size_t count, std::function<std::unique_ptr<RunningService>(Variables ports)> start)
      : start_(std::move(start)), entry_([this](const std::string& head) {
          if (const auto call = on_request()) call(head);
          return forward(next()->port(), head);
        }) {
    for (const auto port : dice::test::free_ports(count)) metrics_ports_.push_back(port);
  }

  void start() {
    const std::lock_guard lock(mutex_);
    for (const auto port : metrics_ports_) {
      replicas_.push_back(start_({{"METRICS_PORT", std::to_string(port)}}));
    }
  }

  /// Another process takes the place, and the address, of this one.
  void replace(std::size_t index) {
    std::shared_ptr<RunningService> old;
    {
      const std::lock_guard lock(mutex_);
      old = std::move(replicas_[index]);
    }
    old->stop();  // after what is in flight
    auto fresh = start_({{"METRICS_PORT", std::to_string(metrics_ports_[index])}});
    const std::lock_guard lock(mutex_);
    replicas_[index] = std::move(fresh);
    stopped_.push_back(std::move(old));
  }

  std::string url() const { return entry_.url(); }
  std::vector<std::string> metrics_urls() const {
    std::vector<std::string> urls;
    for (const auto port : metrics_ports_) urls.push_back("http://127.0.0.1:" + std::to_string(port));
    return urls;
  }
  std::string metrics_list() const {
    std::string list;
    for (const auto& url : metrics_urls()) list += (list.empty() ? "" : ",") + url;
    return list;
  }
  std::shared_ptr<RunningService> next() {
    const std::lock_guard lock(mutex_);
    for (;;) {
      if (const auto& one = replicas_[turn_++ % replicas_.size()]) return one;
    }
  }

  using OnRequest = std::function<void(const std::string& head)>;
  /// Called with each request, before it is passed on.
  void set_on_request(OnRequest call) {
    const std::lock_guard lock(mutex_);
    on_request_ = std::move(call);
  }

 private:
  OnRequest on_request() {
    const std::lock_guard lock(mutex_);
    return on_request_;
  }

  const std::function<std::unique_ptr<RunningService>(Variables)> start_;
  std::vector<std::uint16_t> metrics_ports_;
  std::mutex mutex_;
  OnRequest on_request_;
  std::size_t turn_ = 0;
  std::vector<std::shared_ptr<RunningService>> replicas_;
  std::vector<std::shared_ptr<RunningService>> stopped_;
  StubServer entry_;
};

/// `count` of each service.
class Several {
 public:
  explicit Several(std::size_t count)
      : die_services(count, [](Variables ports) { return service(Kind::die_service, std::move(ports)); }),
        rollers(count,
                [this](Variables ports) {
                  ports["DIE_SERVICE_URL"] = die_services.url();
                  return service(Kind::dice_roller, std::move(ports));
                }),
        frontends(count, [this](Variables ports) {
          ports.insert({{"DIE_SERVICE_URL", die_services.url()},
                        {"DICE_ROLLER_URL", rollers.url()},
                        {"FRONTEND_METRICS_URL", frontends.metrics_list()},
                        {"DICE_ROLLER_METRICS_URL", rollers.metrics_list()},
                        {"DIE_SERVICE_METRICS_URL", die_services.metrics_list()}});
          return service(Kind::frontend, std::move(ports));
        }) {
    die_services.start();
    rollers.start();
    frontends.start();
    // Each frontend has fetched the list of dice.
    for (std::size_t i = 0; i < count; ++i) {
      const auto frontend = frontends.next();
      REQUIRE(dice::test::eventually([&] { return dice::test::get(frontend->port(), "/dice").status == 200; }));
    }
  }

  std::vector<std::string> metrics_urls() const {
    auto urls = frontends.metrics_urls();
    for (const auto* group : {&rollers, &die_services}) {
      for (auto& url : group->metrics_urls()) urls.push_back(url);
    }
    return urls;
  }

  Group die_services;
  Group rollers;
  Group frontends;

 private:
  static std::unique_ptr<RunningService> service(Kind kind, Variables variables) {
    return std::make_unique<RunningService>(kind, dice::test::quick(std::move(variables)));
  }
};

struct Result {
  Report report;
  std::vector<std::string> progress;
};

Result verify(Several& system, MetricsSource& metrics, Seconds deadline = Seconds(30)) {
  dice::SteadyClock clock;
  Target target(system.frontends.url());
  TraceSource traces("frontend", system.frontends.url());
  Result result;
  Verify::Options options{.probes = {},
                          .collect = {.deadline = deadline},
                          .pause = Seconds(0.01),
                          .progress = [&](const std::string& line) { result.progress.push_back(line); }};
  result.report = Verify(options, target, {&traces, nullptr, &metrics}, clock).run().value();
  return result;
}

bool mentions(const Report& report, const std::string& text) {
  for (const auto& cause : report.causes) {
    if (cause.text.contains(text)) return true;
  }
  return false;
}

TEST_CASE("traces and counters are exact with several replicas, again and again") {
  Several system(3);
  Scrapes scrapes(system.metrics_urls());
  for (int i = 0; i < 5; ++i) {
    const auto [report, progress] = verify(system, scrapes);
    CHECK_MESSAGE(report.passed(), to_table(report));
    CHECK(report.windows == 1);
    CHECK(progress.empty());
  }
}

TEST_CASE("a replica replaced during the check: it is said, and the check repeated with other requests") {
  Several system(2);
  Scrapes scrapes(system.metrics_urls());
  const std::pair<std::string, Group*> all[] = {
      {"frontend", &system.frontends}, {"dice-roller", &system.rollers}, {"die-service", &system.die_services}};
  for (const auto& [name, group] : all) {
    CAPTURE(name);
    // One of the probes waits for it.
    bool replaced = false;
    system.frontends.set_on_request([&, group = group](const std::string& head) {
      if (head.contains("/no-such-path") && !std::exchange(replaced, true)) group->replace(0);
    });
    const auto [report, progress] = verify(system, scrapes);
    system.frontends.set_on_request(nullptr);
    CHECK_MESSAGE(report.passed(), to_table(report));
    CHECK(report.windows == 2);
    REQUIRE(progress.size() == 1);
    CHECK(progress[0] == name + ": its replicas changed during the check; checking again (2)");
    CHECK(to_json(report).contains("\"windows\":2"));
    CHECK(to_table(report).contains("checked 2 times, because replicas were replaced"));
  }
}

TEST_CASE("a replica replaced between two checks disturbs neither") {
  Several system(2);
  Scrapes scrapes(system.metrics_urls());
  for (auto* group : {&system.frontends, &system.rollers, &system.die_services}) {
    CHECK(verify(system, scrapes).report.passed());
    group->replace(1);
    const auto [report, progress] = verify(system, scrapes);
    CHECK_MESSAGE(report.passed(), to_table(report));
    CHECK(report.windows == 1);
  }
}

TEST_CASE("replicas replaced in every window: the report says just that") {
  Several system(2);
  Scrapes scrapes(system.metrics_urls());
  dice::SteadyClock clock;
  Target target(system.frontends.url());
  system.frontends.set_on_request([&](const std::string& head) {
    if (head.contains("/no-such-path")) system.die_services.replace(0);
  });
  Verify::Options options{.probes = {}, .collect = {}, .max_windows = 3, .pause = Seconds(0)};
  const auto report = Verify(options, target, {nullptr, nullptr, &scrapes}, clock).run().value();
  CHECK_FALSE(report.passed());
  CHECK(report.windows == 3);
  CHECK(report.replaced == std::vector<std::string>{"die-service"});
  REQUIRE(report.cases.size() == 1);
  CHECK(report.cases[0].subject == "replicas of die-service");
  CHECK(report.causes.empty());
}

TEST_CASE("a process that is reached by several addresses counts once, an address that refuses not at all") {
  Several system(2);
  auto urls = system.metrics_urls();
  const auto port = urls[2].substr(urls[2].rfind(':'));
  urls.push_back("http://127.0.0.2" + port);
  urls.push_back("http://localhost" + port);
  urls.push_back("http://127.0.0.1:" + std::to_string(dice::test::free_ports(1)[0]));
  Scrapes scrapes(urls);
  const auto reading = scrapes.read().value();
  CHECK(reading.processes.at("dice-roller").size() == 2);
  CHECK(reading.processes.at("frontend").size() == 2);
  CHECK(reading.detail.contains("no connection"));
  const auto [report, progress] = verify(system, scrapes);
  CHECK_MESSAGE(report.passed(), to_table(report));
}

TEST_CASE("a replica that DNS shows late is noticed before its requests count as lost") {
  Several system(2);
  // Each of the rollers at an address of its own, the second unknown at first.
  const auto urls = system.rollers.metrics_urls();
  const auto port_of = [](const std::string& url) {
    return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
  };
  const StubServer first([&](const std::string& head) { return forward(port_of(urls[0]), head); });
  const StubServer second([&](const std::string& head) { return forward(port_of(urls[1]), head); }, "127.0.0.2",
                          first.port());
  auto all = system.frontends.metrics_urls();
  for (auto& url : system.die_services.metrics_urls()) all.push_back(url);
  all.push_back("http://rollers:" + std::to_string(first.port()));
  std::atomic<int> asked = 0;
  Scrapes scrapes(all, kSourceTimeout, [&](const std::string&) {
    // Once for the first reading; those after it follow within a second, and then ask again.
    if (++asked < 3) return std::vector<std::string>{"127.0.0.1"};
    return std::vector<std::string>{"127.0.0.1", "127.0.0.2"};
  });
  const auto [report, progress] = verify(system, scrapes);
  CHECK_MESSAGE(report.passed(), to_table(report));
  CHECK(report.windows == 2);
  REQUIRE(progress.size() == 1);
  CHECK(progress[0].starts_with("dice-roller: its replicas changed"));
}

TEST_CASE("a replica that hangs is a defect, and not a replaced one") {
  Several system(2);
  // In front of one of the rollers; `hangs` from some moment on.
  std::atomic<bool> hangs = false;
  const auto urls = system.rollers.metrics_urls();
  const auto port = static_cast<std::uint16_t>(std::stoi(urls[0].substr(urls[0].rfind(':') + 1)));
  Acceptor gate([&](int connection, std::size_t) {
    for (std::string request; gate.receive(connection, request);) {
      if (hangs || !request.contains("\r\n\r\n")) continue;
      gate.send(connection, dice::test::canned(forward(port, request).body));
      request.clear();
    }
  });
  auto all = system.metrics_urls();
  all[2] = gate.url();
  Scrapes scrapes(all, Seconds(2));  // enough for those that do not hang, also under a sanitizer
  CHECK(verify(system, scrapes).report.passed());
  system.rollers.set_on_request([&](const std::string&) { hangs = true; });
  const auto [report, progress] = verify(system, scrapes, Seconds(0.5));
  CHECK_FALSE(report.passed());
  CHECK(report.windows == 1);
  CHECK(report.replaced.empty());
  const auto reading = scrapes.read().value();
  CHECK(reading.processes.at("dice-roller").size() == 2);
  CHECK(reading.detail == "metrics at " + gate.url() + ": it did not respond in time");
}

TEST_CASE("a service that is not there at all is named, with the reason") {
  Several system(1);
  auto urls = system.metrics_urls();
  urls[1] = "http://no-such-host.invalid:1";
  Scrapes scrapes(urls);
  const auto report = verify(system, scrapes, Seconds(0.2)).report;
  CHECK_FALSE(report.passed());
  CHECK(mentions(report, "a scrape is missing: no metrics of dice-roller"));
  CHECK(mentions(report, "the host name in http://no-such-host.invalid:1 is not known"));
}

}  // namespace
