// Span export: to a collector that recovers, one that rejects spans, and hostile ones.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <set>
#include <stop_token>
#include <thread>

#include "support/http.h"
#include "support/otlp_receiver.h"
#include "support/process.h"
#include "support/system.h"
#include "support/wait.h"

namespace dice::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

Variables exporting(const std::string& collector, Variables more = {}) {
  more.insert({{"OTEL_EXPORTER_OTLP_ENDPOINT", collector},
               {"OTEL_TRACES_EXPORTER", "otlp"},
               {"OTEL_BSP_SCHEDULE_DELAY", "20"}});
  return quick(more);
}

/// Each request creates one span.
void ask(const RunningService& dice, int count) {
  Connection client(dice.port());
  for (int i = 0; i < count; ++i) {
    client.send("GET /dice HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(client.receive().status == 200);
  }
}

double dropped(const RunningService& dice) { return dice.metric("telemetry_spans_dropped_total"); }
double exported(const RunningService& dice) { return dice.metric("telemetry_spans_exported_total"); }
double queued(const RunningService& dice) { return dice.metric("telemetry_spans_queued"); }

std::size_t different(const std::vector<ReceivedSpan>& spans) {
  std::set<std::string> ids;
  for (const auto& span : spans) ids.insert(span.span_id);
  return ids.size();
}

TEST_CASE("failing exports do not affect requests, and dropped spans are counted") {
  OtlpReceiver receiver;
  receiver.answer_with(500);
  const RunningService dice(RunningService::Kind::die_service, exporting(receiver.url()));
  for (int i = 0; i < 10; ++i) CHECK(get(dice.port(), "/dice").status == 200);
  CHECK(eventually([&] { return dice.metric("telemetry_spans_dropped_total") == 10; }));
  CHECK(dice.metric("telemetry_spans_exported_total") == 0);
  CHECK(!dice.log("Span export failed").empty());
  receiver.answer_with(200);
  CHECK(get(dice.port(), "/dice").status == 200);
  CHECK(eventually([&] { return dice.metric("telemetry_spans_exported_total") == 1; }));
  CHECK(eventually([&] { return dice.metric("telemetry_spans_queued") == 0; }));
}

TEST_CASE("a full queue drops spans and counts them") {
  const OtlpReceiver receiver;
  RunningService dice(RunningService::Kind::die_service,
                      exporting(receiver.url(), {{"OTEL_BSP_MAX_QUEUE_SIZE", "5"},
                                                 {"OTEL_BSP_SCHEDULE_DELAY", "600000"},
                                                 {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5"}}));
  const int requests = 200;
  for (int i = 0; i < requests; ++i) (void)get(dice.port(), "/dice");
  CHECK(dice.metric("telemetry_spans_queued") <= 5);
  dice.stop();
  const auto stopped = dice.log("Stopped");
  REQUIRE(stopped.size() == 1);
  CHECK(stopped[0]["spans_exported"].GetUint64() == receiver.spans().size());
  CHECK(stopped[0]["spans_exported"].GetInt() + stopped[0]["spans_dropped"].GetInt() == requests);
}

TEST_CASE("a collector that recovers gets every span, even more than the batch queue holds") {
  constexpr int kRequests = 4000;
  auto receiver = std::make_unique<OtlpReceiver>();
  const auto port = receiver->port();
  const RunningService dice(RunningService::Kind::die_service, exporting(receiver->url()));
  receiver.reset();
  ask(dice, kRequests);
  CHECK(queued(dice) == kRequests);
  CHECK(dice.log("Span export delayed").size() == 1);
  receiver = std::make_unique<OtlpReceiver>(port);
  CHECK(eventually([&] { return exported(dice) == kRequests; }));
  CHECK(dropped(dice) == 0);
  CHECK(queued(dice) == 0);
  CHECK(receiver->spans().size() == kRequests);
  CHECK(different(receiver->spans()) == kRequests);
  CHECK(dice.log("Span export resumed").size() == 1);
}

TEST_CASE("an outage longer than the retry queue: the dropped spans are exactly the missing ones") {
  constexpr int kRequests = 4000;
  auto receiver = std::make_unique<OtlpReceiver>();
  const auto port = receiver->port();
  const RunningService dice(
      RunningService::Kind::die_service,
      exporting(receiver->url(), {{"TELEMETRY_RETRY_QUEUE_BYTES", "1000000"}, {"OTEL_BSP_MAX_QUEUE_SIZE", "512"}}));
  receiver.reset();
  ask(dice, kRequests);
  CHECK(queued(dice) + dropped(dice) == kRequests);
  CHECK(dropped(dice) > 0);
  CHECK(!dice.log("Span export failed").empty());
  receiver = std::make_unique<OtlpReceiver>(port);
  CHECK(eventually([&] { return queued(dice) == 0; }));
  CHECK(exported(dice) + dropped(dice) == kRequests);
  CHECK(different(receiver->spans()) == static_cast<std::size_t>(exported(dice)));
}

TEST_CASE("exports to a busy collector are retried") {
  for (const int status : {429, 502, 503, 504}) {
    OtlpReceiver receiver;
    receiver.answer_with(status);
    const RunningService dice(RunningService::Kind::die_service, exporting(receiver.url()));
    ask(dice, 10);
    CHECK(eventually([&] { return receiver.requests() >= 1; }));
    CHECK(dropped(dice) == 0);
    CHECK(queued(dice) == 10);
    receiver.answer_with(200);
    CHECK(eventually([&] { return exported(dice) == 10; }));
    CHECK(dropped(dice) == 0);
  }
}

TEST_CASE("Retry-After is respected, except during shutdown") {
  OtlpReceiver receiver;
  receiver.answer_with(503, "2");
  RunningService dice(RunningService::Kind::die_service, exporting(receiver.url()));
  ask(dice, 10);
  REQUIRE(eventually([&] { return receiver.requests() == 1; }));
  const auto first = steady_clock::now();
  receiver.answer_with(503, "3600");
  REQUIRE(eventually([&] { return receiver.requests() == 2; }));
  CHECK(steady_clock::now() - first > milliseconds(1500));  // the backoff alone is half a second
  receiver.answer_with(200);
  dice.stop();
  CHECK(receiver.requests() == 3);
  CHECK(receiver.spans().size() == 10);
}

TEST_CASE("spans that a collector rejects count as dropped") {
  OtlpReceiver receiver;
  receiver.reject(1);
  const RunningService dice(RunningService::Kind::die_service, exporting(receiver.url()));
  ask(dice, 1);
  CHECK(eventually([&] { return dropped(dice) == 1; }));
  CHECK(exported(dice) == 0);
  CHECK(queued(dice) == 0);
}

TEST_CASE("OTEL_EXPORTER_OTLP_HEADERS and _COMPRESSION take effect") {
  const OtlpReceiver receiver;
  const RunningService dice(RunningService::Kind::die_service,
                            exporting(receiver.url(), {{"OTEL_EXPORTER_OTLP_HEADERS", "X-Tenant=a%20b"},
                                                       {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"}}));
  ask(dice, 3);
  CHECK(eventually([&] { return receiver.spans().size() == 3; }));
  CHECK(receiver.header("X-Tenant") == "a b");
  CHECK(receiver.header("Content-Encoding") == "gzip");
  CHECK(receiver.header("Content-Type") == "application/x-protobuf");
}

TEST_CASE("spans that are not flushed at the end are counted and logged") {
  const CannedServer silent({""});
  RunningService dice(RunningService::Kind::die_service, exporting(silent.url(), {{"SHUTDOWN_FLUSH_SECONDS", "0.2"}}));
  ask(dice, 20);
  dice.stop();
  const auto left = dice.log("Spans not flushed");
  REQUIRE(left.size() == 1);
  CHECK(left[0]["spans"].GetInt() == 20);
  CHECK(std::string(left[0]["reason"].GetString()) == "no response in time");
  const auto stopped = dice.log("Stopped");
  REQUIRE(stopped.size() == 1);
  CHECK(stopped[0]["spans_dropped"].GetInt() == 20);
}

// --- hostile collectors ----------------------------------------------------------------------------------------------

/// Serves each connection on a separate thread.
class HostileCollector {
 public:
  using Deed = std::function<void(int connection, const std::stop_token& stop)>;

  explicit HostileCollector(Deed deed)
      : deed_(std::move(deed)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    port_ = listen_at(listener_, 16);
    REQUIRE(port_ != 0);
    thread_ = std::jthread([this](const std::stop_token& stop) { accept(stop); });
  }
  ~HostileCollector() {
    thread_.request_stop();
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  HostileCollector(const HostileCollector&) = delete;
  HostileCollector& operator=(const HostileCollector&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  void accept(const std::stop_token& stop) {
    std::vector<std::jthread> threads;
    while (true) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      ++connections_;
      const timeval tick{0, 20'000};
      setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
      setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof tick);
      threads.emplace_back([this, connection, &stop] {
        deed_(connection, stop);
        ::close(connection);
      });
    }
  }

  const Deed deed_;
  const int listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::jthread thread_;
};

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }

/// False if the other side has closed.
bool send_all(int connection, std::string_view bytes, const std::stop_token& stop) {
  while (!bytes.empty() && !stop.stop_requested()) {
    const auto sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && !would_block()) return false;
    bytes.remove_prefix(sent > 0 ? static_cast<std::size_t>(sent) : 0);
  }
  return !stop.stop_requested();
}

/// Reads and discards input until none arrives for a moment, or the other side has closed.
bool read_request(int connection, const std::stop_token& stop) {
  static thread_local char buffer[64 << 10];
  bool any = false;
  while (!stop.stop_requested()) {
    const auto count = ::recv(connection, buffer, sizeof buffer, 0);
    if (count == 0 || (count < 0 && !would_block())) return false;
    if (count < 0 && any) return true;
    any = any || count > 0;
  }
  return false;
}

/// Answers each request with `head` and then, unless `more` is empty, with `more` repeated endlessly.
HostileCollector::Deed answering(std::string head, std::string more = "", milliseconds pause = milliseconds(0)) {
  return [head = std::move(head), more = std::move(more), pause](int connection, const std::stop_token& stop) {
    while (read_request(connection, stop)) {
      if (!send_all(connection, head, stop)) return;
      while (!more.empty() && send_all(connection, more, stop)) std::this_thread::sleep_for(pause);
    }
  };
}

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n";

struct Hostile {
  std::string name;
  HostileCollector::Deed deed;
};

std::vector<Hostile> hostile_collectors() {
  const std::string block(64UL << 10U, 'x');
  return {
      {"hangs and reads nothing",
       [](int, const std::stop_token& stop) {
         while (!stop.stop_requested()) std::this_thread::sleep_for(milliseconds(5));
       }},
      {"closes immediately", [](int, const std::stop_token&) {}},
      {"endless body", answering(kOk + "Transfer-Encoding: chunked\r\n\r\n", "10000\r\n" + block + "\r\n")},
      {"a body of 1 GB", answering(kOk + "Content-Length: 1073741824\r\n\r\n", block)},
      {"endless headers", answering("HTTP/1.1 200 OK\r\n", "X: " + block.substr(0, 1000) + "\r\n")},
      {"endless 1xx", answering("", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")},
      {"a line without end", answering("HTTP/1.1 200 ", block)},
      {"garbage", answering(std::string("\x16\x03\x01\0\xFF garbage\r\n\r\n\0", 18), block)},
      {"slow bytes", answering(kOk + "Content-Length: 1000000\r\n\r\n", "x", milliseconds(50))},
      {"500", answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")},
      {"503 for an hour", answering("HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n")},
      {"success that rejects more than came",
       answering(kOk + "Content-Length: 8\r\n\r\n" + std::string("\x0A\x06\x08\xFF\xFF\xFF\xFF\x7F", 8))},
  };
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kMaxMemory = 600 << 20;  // the sanitizer needs additional memory, and time at the end
constexpr double kStopSlack = 5;
#else
constexpr double kMaxMemory = 60 << 20;
constexpr double kStopSlack = 1;
#endif

double value_of(const std::string& text, const std::string& series) {
  const auto at = text.find("\n" + series + " ");
  return at == std::string::npos ? 0 : std::stod(text.substr(at + series.size() + 2));
}

TEST_CASE("hostile collectors: memory stays small, requests are answered, shutdown is in time, counts are exact") {
  constexpr int kBatches = 100;
  constexpr int kSpans = 12 * kBatches;
  const RunningService dice(RunningService::Kind::die_service, quick());
  for (const auto& [name, deed] : hostile_collectors()) {
    CAPTURE(name);
    const HostileCollector collector(deed);
    Process roller("dice-roller", exporting(collector.url(), {{"PORT", "0"},
                                                              {"METRICS_PORT", "0"},
                                                              {"DIE_SERVICE_URL", dice.url()},
                                                              {"SHUTDOWN_GRACE_SECONDS", "1"},
                                                              {"SHUTDOWN_FLUSH_SECONDS", "1"}}));
    const auto ports = roller.ports();
    const auto metrics = [&] { return get(static_cast<std::uint16_t>(ports.metrics), "/metrics").body; };
    double memory = 0;
    Connection client(static_cast<std::uint16_t>(ports.main));
    for (int i = 0; i < kBatches; ++i) {
      client.send("GET /roll-async?die=fair&times=10 HTTP/1.1\r\nHost: x\r\n\r\n");
      REQUIRE(client.receive().status == 200);
    }
    CHECK(eventually([&] { return collector.connections() > 0; }));
    const auto until = steady_clock::now() + milliseconds(500);  // the collector runs at full speed
    do {
      const auto text = metrics();
      memory = std::max(memory, value_of(text, "process_resident_memory_bytes"));
      CHECK(value_of(text, "telemetry_spans_queued") + value_of(text, "telemetry_spans_exported_total") +
                value_of(text, "telemetry_spans_dropped_total") ==
            kSpans);
    } while (steady_clock::now() < until);
    CHECK(memory < kMaxMemory);
    const auto start = steady_clock::now();
    roller.signal(SIGTERM);
    CHECK(roller.wait() == 0);
    const auto stop = std::chrono::duration<double>(steady_clock::now() - start).count();
    CHECK(stop < 1 + kStopSlack);  // no requests in flight, so only the flush and one second
    const auto output = roller.output();
    const auto line = json(output.substr(output.rfind("{\"timestamp\"")));
    REQUIRE(line.IsObject());
    REQUIRE(line.HasMember("spans_exported"));
    CHECK(line["spans_exported"].GetInt() + line["spans_dropped"].GetInt() == kSpans);
  }
}

}  // namespace
}  // namespace dice::test
