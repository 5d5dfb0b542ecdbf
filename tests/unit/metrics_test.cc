#include "common/telemetry/metrics.h"

#include <doctest/doctest.h>

#include <chrono>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace dice {
namespace {

constexpr const char* kOpenMetrics = "application/openmetrics-text";

TraceContext traced(char digit, bool sampled = true) {
  const auto header = "00-" + std::string(32, digit) + "-" + std::string(16, digit) + (sampled ? "-01" : "-00");
  return *parse_traceparent(header);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The lines that begin with `start`.
std::vector<std::string> lines_with(const std::string& text, const std::string& start) {
  std::vector<std::string> lines;
  for (const auto& line : lines_of(text)) {
    if (line.starts_with(start)) lines.push_back(line);
  }
  return lines;
}

std::string only_line_with(const std::string& text, const std::string& start) {
  const auto lines = lines_with(text, start);
  CAPTURE(text);
  CAPTURE(start);
  REQUIRE(lines.size() == 1);
  return lines[0];
}

std::string open_metrics(Metrics& metrics) { return metrics.scrape(kOpenMetrics).body; }

/// The exemplar of the bucket, without its time; empty if there is none.
std::string exemplar(const std::string& text, const std::string& bucket) {
  const auto line = only_line_with(text, bucket + " ");
  const auto at = line.find(" # ");
  return at == std::string::npos ? "" : line.substr(at + 3, line.rfind(' ') - at - 3);
}

std::string exemplar_of(char digit, const std::string& value) {
  return "{trace_id=\"" + std::string(32, digit) + "\",span_id=\"" + std::string(16, digit) + "\"} " + value;
}

TEST_CASE("metrics: a scrape returns OpenMetrics if requested, otherwise the text format") {
  Metrics metrics;
  metrics.counters("c_total", "C.").Add({});
  for (const auto* accept :
       {"application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"}) {
    const auto text = metrics.scrape(accept);
    CHECK(text.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8");
    CHECK(text.body.ends_with("# EOF\n"));
  }
  for (const auto* accept : {"", "*/*", "text/plain", "text/html,application/xhtml+xml,*/*;q=0.8",
                             "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily"}) {
    const auto text = metrics.scrape(accept);
    CHECK(text.content_type == "text/plain; version=0.0.4; charset=utf-8");
    CHECK(text.body.find("# EOF") == std::string::npos);
    CHECK(only_line_with(text.body, "c_total") == "c_total 0");
  }
}

TEST_CASE("metrics: the text format has the same series and no exemplars") {
  Metrics metrics;
  metrics.counters("rolls_total", "R.").Add({{"die", "fair"}}).Increment(2);
  metrics.histogram("seconds", "S.", {0.5, 1}).observe(0.7, traced('a'));
  const auto text = metrics.scrape("text/plain").body;
  CHECK(only_line_with(text, "# TYPE rolls_total") == "# TYPE rolls_total counter");
  CHECK(only_line_with(text, "rolls_total{") == "rolls_total{die=\"fair\"} 2");
  CHECK(only_line_with(text, "seconds_bucket{le=\"1\"}") == "seconds_bucket{le=\"1\"} 1");
  CHECK(text.find("trace_id") == std::string::npos);
}

TEST_CASE("metrics: OpenMetrics text of every kind, line by line") {
  Metrics metrics;
  metrics.counters("dice_rolls_total", "Rolls.").Add({{"die_type", "fair"}, {"mode", "sync"}}).Increment(3);
  metrics.gauges("in_progress", "Now.").Add({}).Set(-1.5);
  metrics.histogram("duration_seconds", "Time.", {0.1, 1, 2.5}, {{"route", "/roll"}}).observe(0.5, {});
  const auto text = open_metrics(metrics);
  for (const auto* line : {
           "# TYPE dice_rolls counter",
           "# HELP dice_rolls Rolls.",
           "dice_rolls_total{die_type=\"fair\",mode=\"sync\"} 3",
           "# TYPE in_progress gauge",
           "# HELP in_progress Now.",
           "in_progress -1.5",
           "# TYPE duration_seconds histogram",
           "# HELP duration_seconds Time.",
           "duration_seconds_bucket{route=\"/roll\",le=\"0.1\"} 0",
           "duration_seconds_bucket{route=\"/roll\",le=\"1.0\"} 1",
           "duration_seconds_bucket{route=\"/roll\",le=\"2.5\"} 1",
           "duration_seconds_bucket{route=\"/roll\",le=\"+Inf\"} 1",
           "duration_seconds_sum{route=\"/roll\"} 0.5",
           "duration_seconds_count{route=\"/roll\"} 1",
       }) {
    CHECK(only_line_with(text, line) == line);
  }
  CHECK(lines_of(text).size() == 15);
  CHECK(lines_of(text).back() == "# EOF");
}

TEST_CASE("metrics: OpenMetrics keeps a family's lines together, after its type, each series once") {
  Metrics metrics;
  auto& counters = metrics.counters("rolls_total", "R.");
  metrics.gauges("between", "B.").Add({});
  for (const auto* die : {"a", "b", "c"}) counters.Add({{"die", die}}).Increment();
  for (const auto* route : {"x", "y"}) metrics.histogram("seconds", "S.", {1}, {{"route", route}}).observe(1, {});
  add_process_metrics(metrics);
  std::set<std::string> families;
  std::set<std::string> series;
  std::string family;
  for (const auto& line : lines_of(open_metrics(metrics))) {
    if (line == "# EOF") continue;
    if (line.starts_with("# TYPE ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      CHECK(families.insert(family).second);
    } else if (line.starts_with("# HELP ")) {
      CHECK(line.starts_with("# HELP " + family + " "));
    } else {
      CHECK(line.starts_with(family));
      CHECK(series.insert(line.substr(0, line.rfind(' '))).second);
    }
  }
  CHECK(families.contains("process_cpu_seconds"));
  CHECK(families.contains("rolls"));
  CHECK(families.contains("seconds"));
}

TEST_CASE("metrics: a sampled observation becomes the exemplar of its bucket") {
  Metrics metrics;
  auto& histogram = metrics.histogram("seconds", "S.", {0.1, 1, 10});
  histogram.observe(0.1, traced('a'));  // a bound belongs to its own bucket
  histogram.observe(0.5, traced('b'));
  histogram.observe(100, traced('c'));
  const auto text = open_metrics(metrics);
  CHECK(exemplar(text, "seconds_bucket{le=\"0.1\"}") == exemplar_of('a', "0.1"));
  CHECK(exemplar(text, "seconds_bucket{le=\"1.0\"}") == exemplar_of('b', "0.5"));
  CHECK(exemplar(text, "seconds_bucket{le=\"10.0\"}").empty());
  CHECK(exemplar(text, "seconds_bucket{le=\"+Inf\"}") == exemplar_of('c', "100"));
  CHECK(only_line_with(text, "seconds_bucket{le=\"10.0\"}") == "seconds_bucket{le=\"10.0\"} 2");
}

TEST_CASE("metrics: the last sampled observation is the exemplar, with its time") {
  Metrics metrics;
  auto& histogram = metrics.histogram("seconds", "S.", {1});
  const auto now = [] { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()); };
  const auto before = now().count();
  histogram.observe(0.25, traced('a'));
  histogram.observe(0.5, traced('b'));
  histogram.observe(0.75, traced('c', false));
  const auto after = now().count();
  const auto text = open_metrics(metrics);
  CHECK(exemplar(text, "seconds_bucket{le=\"1.0\"}") == exemplar_of('b', "0.5"));
  const auto line = only_line_with(text, "seconds_bucket{le=\"1.0\"}");
  const auto time = line.substr(line.rfind(' ') + 1);
  CHECK(time.find_first_not_of("0123456789.") == std::string::npos);
  CHECK(std::stod(time) >= before - 0.001);
  CHECK(std::stod(time) <= after + 0.001);
}

TEST_CASE("metrics: unsampled observations count but are not exemplars") {
  Metrics metrics;
  auto& histogram = metrics.histogram("seconds", "S.", {1});
  histogram.observe(0.5, traced('a', false));
  histogram.observe(0.5, {});
  const auto text = open_metrics(metrics);
  CHECK(only_line_with(text, "seconds_bucket{le=\"1.0\"}") == "seconds_bucket{le=\"1.0\"} 2");
  CHECK(text.find(" # ") == std::string::npos);
}

TEST_CASE("metrics: exemplars stay with their own labels") {
  Metrics metrics;
  metrics.histogram("seconds", "S.", {1}, {{"route", "/a"}}).observe(0.5, traced('a'));
  metrics.histogram("seconds", "S.", {1}, {{"route", "/b"}}).observe(0.5, traced('b'));
  metrics.histogram("seconds", "S.", {1}, {{"route", "/c"}});
  const auto text = open_metrics(metrics);
  CHECK(exemplar(text, "seconds_bucket{route=\"/a\",le=\"1.0\"}") == exemplar_of('a', "0.5"));
  CHECK(exemplar(text, "seconds_bucket{route=\"/b\",le=\"1.0\"}") == exemplar_of('b', "0.5"));
  CHECK(exemplar(text, "seconds_bucket{route=\"/c\",le=\"1.0\"}").empty());
}

TEST_CASE("metrics: label values and help are escaped, so that no value can forge a line") {
  Metrics metrics;
  metrics.counters("c_total", "two\nlines, a \\ and a \"quote\"")
      .Add({{"path", "\"} 1\nforged_total 9\n\\"}})
      .Increment();
  for (const auto* accept : {kOpenMetrics, ""}) {
    const auto text = metrics.scrape(accept).body;
    CHECK(lines_with(text, "forged").empty());
    CHECK(only_line_with(text, "c_total{") == R"(c_total{path="\"} 1\nforged_total 9\n\\"} 1)");
  }
  CHECK(only_line_with(open_metrics(metrics), "# HELP c ") == R"(# HELP c two\nlines, a \\ and a \"quote\")");
}

TEST_CASE("metrics: registering a metric again returns the same one") {
  Metrics metrics;
  metrics.counters("c_total", "C.").Add({}).Increment();
  metrics.counters("c_total", "C.").Add({}).Increment();
  metrics.histogram("seconds", "S.", {1}).observe(0.5, traced('a'));
  metrics.histogram("seconds", "S.", {1}).observe(2, traced('b'));
  const auto text = open_metrics(metrics);
  CHECK(only_line_with(text, "c_total") == "c_total 2");
  CHECK(only_line_with(text, "seconds_count") == "seconds_count 2");
  CHECK(exemplar(text, "seconds_bucket{le=\"1.0\"}") == exemplar_of('a', "0.5"));
  CHECK(exemplar(text, "seconds_bucket{le=\"+Inf\"}") == exemplar_of('b', "2"));
}

TEST_CASE("metrics: large and small numbers keep their value") {
  Metrics metrics;
  metrics.counters("c_total", "C.").Add({}).Increment(9007199254740991.0);
  metrics.gauges("g", "G.").Add({}).Set(1e-9);
  const auto text = open_metrics(metrics);
  CHECK(std::stod(only_line_with(text, "c_total ").substr(8)) == 9007199254740991.0);
  CHECK(std::stod(only_line_with(text, "g ").substr(2)) == 1e-9);
}

TEST_CASE("metrics: values counted elsewhere are updated before each scrape") {
  Metrics metrics;
  auto& gauge = metrics.gauges("g", "G.").Add({});
  int scrapes = 0;
  metrics.before_scrape([&] { gauge.Set(++scrapes); });
  CHECK(only_line_with(open_metrics(metrics), "g ") == "g 1");
  CHECK(only_line_with(metrics.scrape("").body, "g ") == "g 2");
}

TEST_CASE("metrics: a scrape during observations is consistent") {
  Metrics metrics;
  auto& histogram = metrics.histogram("seconds", "S.", {1});
  {
    std::vector<std::jthread> threads;
    for (const char digit : {'a', 'b', 'c'}) {
      threads.emplace_back([&histogram, digit] {
        for (int i = 0; i < 2000; ++i) histogram.observe(0.5, traced(digit));
      });
    }
    for (int i = 0; i < 50; ++i) {
      const auto seen = exemplar(open_metrics(metrics), "seconds_bucket{le=\"1.0\"}");
      CHECK((seen.empty() || seen == exemplar_of('a', "0.5") || seen == exemplar_of('b', "0.5") ||
             seen == exemplar_of('c', "0.5")));
    }
  }
  CHECK(only_line_with(open_metrics(metrics), "seconds_count") == "seconds_count 6000");
}

TEST_CASE("metrics: the process metrics have CPU time, memory, threads, descriptors and start time") {
  Metrics metrics;
  add_process_metrics(metrics);
  const auto text = open_metrics(metrics);
  const auto value = [&](const std::string& name) {
    return std::stod(only_line_with(text, name + " ").substr(name.size()));
  };
  CHECK(value("process_cpu_seconds_total") >= 0);
  CHECK(value("process_resident_memory_bytes") > 1e6);
  CHECK(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
  CHECK(value("process_threads") >= 1);
  CHECK(value("process_open_fds") >= 3);
  CHECK(value("process_max_fds") >= value("process_open_fds"));
  const auto now = static_cast<double>(time(nullptr));
  CHECK(value("process_start_time_seconds") <= now + 2);
  CHECK(value("process_start_time_seconds") > now - 24 * 3600);
}

}  // namespace
}  // namespace dice
