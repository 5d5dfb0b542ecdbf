// Every metric of the contract, and the exact increases of the counters.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "contract/metric.h"
#include "support/http.h"
#include "support/system.h"

namespace dice::test {
namespace {

/// "type name label,label", one line per metric, sorted.
std::set<std::string> families(const RunningService& service) {
  std::map<std::string, std::string> types;
  std::map<std::string, std::set<std::string>> labels;
  std::istringstream text(get(service.metrics_port(), "/metrics").body);
  const std::regex label(R"RE(([a-z_]+)="(?:[^"\\]|\\.)*")RE");
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);
    std::string hash;
    std::string kind;
    std::string name;
    if (line.starts_with("# TYPE")) {
      words >> hash >> kind >> name;
      words >> types[name];
    } else if (!line.starts_with('#')) {
      name = line.substr(0, line.find_first_of("{ "));
      for (const auto* suffix : {"_bucket", "_sum", "_count"}) {
        const auto stem = name.substr(0, name.size() - std::min(name.size(), std::string(suffix).size()));
        if (name.ends_with(suffix) && types.contains(stem)) name = stem;
      }
      auto& known = labels[name];
      for (std::sregex_iterator it(line.begin(), line.end(), label), end; it != end; ++it) {
        if ((*it)[1] != "le") known.insert((*it)[1]);
      }
    }
  }
  std::set<std::string> lines;
  for (const auto& [name, type] : types) {
    std::string line = type + " " + name;
    for (const auto& one : labels[name]) line += (line.ends_with(name) ? " " : ",") + one;
    lines.insert(line);
  }
  return lines;
}

/// The same from the contract.
std::set<std::string> promised(const std::string& service) {
  std::set<std::string> lines;
  for (const auto& row : metrics()) {
    if (!row.service.empty() && row.service != service) continue;
    lines.insert(std::string(row.type) + " " + std::string(row.name) + (row.labels.empty() ? "" : " ") +
                 std::string(row.labels));
  }
  return lines;
}

void check_promised(const RunningService& service, const std::string& name) {
  const auto found = families(service);
  const auto wanted = promised(name);
  for (const auto& line : found)
    CHECK_MESSAGE(wanted.contains(line), "not in the contract of " << name << ": " << line);
  for (const auto& line : wanted) CHECK_MESSAGE(found.contains(line), "not on /metrics of " << name << ": " << line);
}

TEST_CASE("the services have exactly the metrics of the contract") {
  const System system(quick({{"RATE_LIMIT_RPS", "2"}}));  // the third is rejected
  for (const auto* path :
       {"/roll?die=fair", "/roll-async?die=fair&times=2", "/roll-async?die=fair&times=20", "/dice"}) {
    (void)get(system.frontend.port(), path);
  }
  (void)get(system.die_service.port(), "/dice");
  check_promised(system.die_service, "die-service");
  check_promised(system.dice_roller, "dice-roller");
  check_promised(system.frontend, "frontend");
}

TEST_CASE("ten rolls increase the counters by exactly ten") {
  const System system(quick());
  const auto& roller = system.dice_roller;
  CHECK(get(system.frontend.port(), "/roll-async?die=fair&times=10").status == 200);
  CHECK(get(system.frontend.port(), "/roll?die=fair").status == 200);
  CHECK(roller.metric(R"(dice_rolls_total{die_type="fair",mode="async",result="success"})") == 10);
  CHECK(roller.metric(R"(dice_rolls_total{die_type="fair",mode="sync",result="success"})") == 1);
  double values = 0;
  for (int face = 1; face <= 6; ++face) {
    values += roller.metric("dice_roll_values_total{die_type=\"fair\",value=\"" + std::to_string(face) + "\"}");
  }
  CHECK(values == 11);
  CHECK(roller.metric(R"(async_rolls_total{die_type="fair",result="success"})") == 10);
  CHECK(roller.metric(R"(async_roll_batches_total{die_type="fair",result="success"})") == 1);
  CHECK(roller.metric("async_roll_batch_size_sum") == 10);
  CHECK(roller.metric(R"(async_roll_batch_size_bucket{le="10"})") == 1);
  CHECK(roller.metric(R"(async_roll_batch_size_bucket{le="5"})") == 0);
  CHECK(roller.metric("async_roll_duration_seconds_count") == 1);
  CHECK(roller.metric("async_rolls_in_progress") == 0);
  CHECK(roller.metric(R"(die_service_requests_total{identifier="fair",status="200"})") == 2);
  CHECK(roller.metric("die_service_request_duration_seconds_count") == 2);
  CHECK(system.die_service.metric(R"(die_specifications_requested_total{identifier="fair"})") == 2);
  CHECK(system.frontend.metric(R"(async_roll_requests_total{batch_size="10"})") == 1);
  CHECK(system.frontend.metric(R"(roll_requests_total{mode="async"})") == 0);
  CHECK(system.frontend.metric(R"(roll_requests_total{mode="sync"})") == 1);
  CHECK(system.frontend.metric(R"(http_requests_total{error_code="",method="GET",route="/roll",status="200"})") == 1);
  CHECK(system.frontend.metric(R"(http_request_duration_seconds_count{method="GET",route="/roll-async"})") == 1);
}

TEST_CASE("async_rolls_total counts rolls, async_roll_batches_total batches: five fair ones, then ten risky ones") {
  const System system(quick({{"ROLL_SEED", "7"}}));
  CHECK(get(system.frontend.port(), "/roll-async?die=fair&times=5").status == 200);
  CHECK(get(system.frontend.port(), "/roll-async?die=risky&times=10&strategy=best-effort").status == 200);
  const auto rolls = [&](const std::string& die) {
    double sum = 0;
    for (const std::string result : {"success", "failure", "cancelled"}) {
      sum += system.dice_roller.metric("async_rolls_total{die_type=\"" + die + "\",result=\"" + result + "\"}");
    }
    return sum;
  };
  CHECK(rolls("fair") == 5);
  CHECK(rolls("risky") == 10);
}

TEST_CASE("the work of a batch is the sum of its rolls' durations") {
  const System system(
      {{"OTEL_TRACES_EXPORTER", "none"}, {"ROLL_DELAY_MIN_SECONDS", "0.1"}, {"ROLL_DELAY_MAX_SECONDS", "0.1"}});
  CHECK(get(system.frontend.port(), "/roll-async?die=fair&times=10").status == 200);
  const auto work = system.dice_roller.metric("async_roll_work_seconds_total");
  CHECK(work >= 1);
  CHECK(system.dice_roller.metric("async_roll_duration_seconds_sum") < work);
}

TEST_CASE(
    "failed and cancelled rolls are counted as such, and the error code distinguishes a failed roll from an outage") {
  const System system(quick({{"ROLL_SEED", "7"}}));
  const auto& roller = system.dice_roller;
  CHECK(get(roller.port(), "/roll-async?die=risky&times=20&concurrency=1").status == 500);
  const auto count = [&](const std::string& result) {
    return roller.metric(R"(dice_rolls_total{die_type="risky",mode="async",result=")" + result + "\"}");
  };
  CHECK(count("failure") == 1);
  CHECK(count("success") + count("failure") + count("cancelled") == 20);
  CHECK(count("cancelled") > 0);
  for (const std::string result : {"success", "failure", "cancelled"}) {
    CHECK(roller.metric(R"(async_rolls_total{die_type="risky",result=")" + result + "\"}") == count(result));
  }
  CHECK(roller.metric(R"(async_roll_batches_total{die_type="risky",result="failure"})") == 1);
  CHECK(roller.metric(
            R"(http_requests_total{error_code="batch_failed",method="GET",route="/roll-async",status="500"})") == 1);
  CHECK(get(roller.port(), "/roll-async?die=risky&times=20&strategy=best-effort").status == 200);
  CHECK(roller.metric(R"(async_roll_batches_total{die_type="risky",result="partial"})") == 1);
}

TEST_CASE("clients cannot choose label values") {
  const System system(quick());
  (void)get(system.frontend.port(), "/evil-path");
  (void)get(system.frontend.port(), "/roll?die=evil-die");
  (void)get(system.frontend.port(), "/roll-async?die=evil-die&times=2");
  (void)get(system.dice_roller.port(), "/roll-async?die=fair&times=2&strategy=evil");
  for (const auto* service : {&system.frontend, &system.dice_roller, &system.die_service}) {
    CHECK(get(service->metrics_port(), "/metrics").body.find("evil") == std::string::npos);
  }
  CHECK(system.frontend.metric(
            R"(http_requests_total{error_code="not_found",method="GET",route="_unmatched",status="404"})") == 1);
}

TEST_CASE("a scrape in OpenMetrics format has exemplars with trace ids") {
  const System system(quick());
  const auto trace = trace_id(get(system.frontend.port(), "/roll-async?die=fair&times=3").body);
  const std::string accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
  auto reply = get(system.dice_roller.metrics_port(), "/metrics", {{"Accept", accept}});
  CHECK(reply.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8");
  CHECK(reply.body.ends_with("# EOF\n"));
  std::set<std::string> with_exemplar;
  std::istringstream text(reply.body);
  for (std::string line; std::getline(text, line);) {
    if (line.find("# {trace_id=\"" + trace + "\"") != std::string::npos)
      with_exemplar.insert(line.substr(0, line.find('{')));
  }
  CHECK(with_exemplar.contains("async_roll_duration_seconds_bucket"));
  CHECK(with_exemplar.contains("http_request_duration_seconds_bucket"));
  auto classic = get(system.dice_roller.metrics_port(), "/metrics");
  CHECK(classic.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(classic.body.find("# {") == std::string::npos);
}

TEST_CASE("METRICS_ON_MAIN_PORT=false removes the metrics from the main port") {
  const RunningService dice(RunningService::Kind::die_service, quick({{"METRICS_ON_MAIN_PORT", "false"}}));
  CHECK(get(dice.port(), "/metrics").status == 404);
  CHECK(get(dice.metrics_port(), "/metrics").status == 200);
}

}  // namespace
}  // namespace dice::test
