// The metrics port of loadgen, over a real socket.
#include "loadgen/exposition.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "support/http.h"

using namespace dice::loadgen;
using dice::test::get;

namespace {

struct Served {
  dice::SteadyClock clock;
  dice::LogSink sink{STDERR_FILENO};
  Exposition exposition{sink, "canary", clock};
};

}  // namespace

TEST_CASE("metrics, health and readiness") {
  Served served;
  auto& [clock, sink, exposition] = served;
  exposition.metrics().gauges("known_value", "For this test.").Add({{"signal", "traces"}}).Set(7);
  const auto port = exposition.start(0).value();
  CHECK(get(port, "/healthz").status == 200);
  CHECK(get(port, "/readyz").status == 503);
  exposition.set_ready(true);
  CHECK(get(port, "/readyz").status == 200);
  const auto metrics = get(port, "/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.headers.at("content-type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics.body.contains("known_value{signal=\"traces\"} 7\n"));
  CHECK(metrics.body.contains("dice_build_info{"));
  CHECK(metrics.body.contains("process_resident_memory_bytes "));
  // Otherwise, it would count as a fourth service.
  CHECK_FALSE(metrics.body.contains("http_requests_total"));
  CHECK(get(port, "/metrics", {{"Accept", "application/openmetrics-text"}}).body.ends_with("# EOF\n"));
  CHECK(get(port, "/nowhere").status == 404);
}

TEST_CASE("a route of the command's own") {
  Served served;
  int calls = 0;
  served.exposition.add(dice::Method::get, "/summary",
                        [&calls] { return dice::Response{.body = "{\"calls\":" + std::to_string(++calls) + "}"}; });
  const auto port = served.exposition.start(0).value();
  CHECK(get(port, "/summary").body == "{\"calls\":1}");
  CHECK(get(port, "/summary").body == "{\"calls\":2}");
  CHECK(dice::test::request(port, "DELETE", "/summary").status == 405);
}

TEST_CASE("a port that is taken") {
  Served first;
  Served second;
  const auto port = first.exposition.start(0).value();
  const auto refused = second.exposition.start(port);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().contains(std::to_string(port)));
}

TEST_CASE("stopped, the port is closed") {
  Served served;
  const auto port = served.exposition.start(0).value();
  CHECK(get(port, "/healthz").status == 200);
  served.exposition.stop();
  served.exposition.stop();
  Served next;
  CHECK(next.exposition.start(port).has_value());
}
