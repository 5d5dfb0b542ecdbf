#include "fake_system.h"

#include <fcntl.h>
#include <rapidjson/document.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "common/base/json.h"
#include "loadgen/model/query.h"
#include "loadgen/model/series.h"

namespace dice::loadgen::test {
namespace {

constexpr const char* kDieRoute = "/dice/{identifier}";
constexpr const char* kRisky = "risky";
const std::vector<std::string> kServices = {kFrontend, kDiceRoller, kDieService};

class File {
 public:
  explicit File(const std::filesystem::path& path)
      : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
  ~File() { ::close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

Tracing::Options tracing_options(const std::string& service) {
  Tracing::Options options;
  options.service = service;
  options.exporter = "none";
  return options;
}

Result json(std::string body) { return Response{.body = std::move(body)}; }

}  // namespace

struct FakeSystem::Part {
  Part(const std::string& name, const std::filesystem::path& log)
      : file(log),
        sink(file.descriptor()),
        telemetry(sink, LogLevel::info, tracing_options(name)),
        http(telemetry.metrics) {}

  File file;
  LogSink sink;
  Telemetry telemetry;
  HttpMetrics http;
};

struct FakeSystem::Work {
  std::string route;
  std::string die;
  int times = 1;
  int threads = 1;
  bool best_effort = false;
};

FakeSystem::FakeSystem(Broken broken) : broken_(broken) {
  for (const auto& name : kServices) parts_[name] = std::make_unique<Part>(name, folder_ / (name + ".log"));
  for (const std::string name : {"backends", "lost"}) {
    parts_[name] = std::make_unique<Part>(name, folder_ / (name + ".unread"));
  }
  part(kDiceRoller).telemetry.metrics.gauge("die_service_circuit_breaker_state", "0 closed.");
  part(kDieService).telemetry.metrics.gauge("die_specifications_loaded", "Dice.");
  auto& fake_frontend = part(kFrontend);
  auto& fake_backends = part("backends");
  frontend_ = std::make_unique<Server>(
      Server::Options{},
      Server::Surroundings{fake_frontend.telemetry, fake_frontend.http, clock_, workers_, workers_, nullptr});
  backends_ = std::make_unique<Server>(
      Server::Options{.logger = "backends"},
      Server::Surroundings{fake_backends.telemetry, fake_backends.http, clock_, workers_, workers_, nullptr});
  add_api();
  add_backends();
  for (const auto& name : kServices) first_scrapes_[name] = scrape(name);
  port_ = frontend_->start().value();
  backends_port_ = backends_->start().value();
}

FakeSystem::~FakeSystem() {
  frontend_->stop();
  backends_->stop();
}

std::string FakeSystem::url() const { return "http://127.0.0.1:" + std::to_string(port_); }
std::string FakeSystem::backends_url() const { return "http://127.0.0.1:" + std::to_string(backends_port_); }
std::filesystem::path FakeSystem::logs() const { return folder_ / ""; }

std::vector<std::string> FakeSystem::metrics_urls() const {
  std::vector<std::string> urls;
  for (const auto& name : kServices) urls.push_back(backends_url() + "/services/" + name);
  return urls;
}

void FakeSystem::add_api() {
  const auto blocking = [](std::function<Result(const Request&)> work) -> Handler {
    return [work = std::move(work)](const Request& request) {
      return Answer(dice::Work([&request, &work] { return work(request); }));
    };
  };
  frontend_->add(
      {.path = "/dice", .handler = [](const Request&) { return json(R"({"identifiers":["fair","risky"]})"); }});
  frontend_->add(
      {.path = "/roll", .handler = blocking([this](const Request& request) { return roll(request, false); })});
  frontend_->add(
      {.path = "/roll-async", .handler = blocking([this](const Request& request) { return roll(request, true); })});
  frontend_->add({.path = "/api/traces/{trace_id}", .handler = blocking([this](const Request& request) {
                                                      return trace(request.path_parameters.at("trace_id"));
                                                    })});
}

void FakeSystem::add_backends() {
  const auto add = [this](const std::string& path, Handler handler) {
    backends_->add({.path = path, .handler = std::move(handler), .quiet = true});
  };
  add("/services/{service}/metrics", [this](const Request& request) -> Answer {
    const auto& service = request.path_parameters.at("service");
    if (is(Broken::scrape_missing) && service == kDieService) {
      return std::unexpected(Error{ErrorCode::not_found, "no such service"});
    }
    return json(scrape(service));
  });
  add("/loki/api/v1/query_range", [this](const Request& request) { return loki(request); });
  add("/api/v1/query", [this](const Request& request) { return prometheus(request); });
  add("/api/v1/query_exemplars", [this](const Request& request) { return prometheus(request); });
}

// --- requests --------------------------------------------------------------------------------------------------------

Result FakeSystem::roll(const Request& request, bool batch) {
  Parameters parameters(request, {"die", "times", "strategy", "concurrency"});
  Work work{.route = batch ? "/roll-async" : "/roll", .die = parameters.required("die")};
  if (batch) {
    work.times = parameters.integer("times", 1, 20).value_or(1);
    work.threads = parameters.integer("concurrency", 1, 20).value_or(work.times);
    work.best_effort = parameters.choice("strategy", {"all-or-nothing", "best-effort"}) == "best-effort";
  }
  if (parameters.error()) return std::unexpected(*parameters.error());
  auto& own = part(kFrontend).telemetry;
  auto& roller = part(kDiceRoller);
  own.metrics.counters("roll_requests_total", "").Add({{"mode", batch ? "async" : "sync"}}).Increment();
  if (batch) {
    own.metrics.counters("async_roll_requests_total", "").Add({{"batch_size", std::to_string(work.times)}}).Increment();
  }
  const auto name = "GET " + work.route;
  const auto kind = is(Broken::span_kind_wrong) ? SpanKind::internal : SpanKind::client;
  auto client = own.tracing.start(name, kind, request.trace(), {{"http.request.method", std::string_view("GET")}});
  const auto parent = is(Broken::propagation_to_roller_cut) ? TraceContext{} : client.context();
  auto server = roller.telemetry.tracing.start(
      name, SpanKind::server, parent,
      {{"http.request.method", std::string_view("GET")}, {"http.route", work.route}, {"url.path", work.route}});
  const auto context = server.context();
  HttpMetrics::ForRoute metrics(roller.http, "GET", work.route);
  metrics.started();

  auto result = batch ? batch_in_roller(work, server) : roll_in_roller(work, server);

  const int status = result ? 200 : status_of(result.error().code);
  const auto code = result ? std::string_view() : name_of(result.error().code);
  for (auto* span : {&server, &client}) {
    span->set("http.response.status_code", std::int64_t{status});
    if (status >= (span == &server ? 500 : 400)) span->fail(code);
  }
  server.end();
  client.end();
  metrics.finished(status, code, Seconds(0.001), context);
  roller.telemetry.log.named("http").log(LogLevel::info, "Request", &context,
                                         {{"route", work.route}, {"status", std::int64_t{status}}});
  if (!result) return result;
  result->body.pop_back();
  result->body += R"(,"trace_id":")" + to_hex(request.trace().trace_id) + "\"}";
  return result;
}

bool FakeSystem::ask_die_service(const Work& work, const TraceContext& parent) {
  auto& roller = part(kDiceRoller).telemetry;
  auto& own = part(kDieService);
  const bool known = work.die == "fair" || work.die == kRisky;
  const auto identifier = known ? work.die : "_unknown";
  const int status = known ? 200 : 404;
  const auto name = std::string("GET ") + kDieRoute;
  auto client =
      roller.tracing.start(name, SpanKind::client, parent, {{"http.request.method", std::string_view("GET")}});
  auto server = own.telemetry.tracing.start(
      name, SpanKind::server, is(Broken::propagation_to_die_service_cut) ? TraceContext{} : client.context(),
      {{"http.request.method", std::string_view("GET")},
       {"http.route", std::string_view(kDieRoute)},
       {"url.path", "/dice/" + work.die}});
  HttpMetrics::ForRoute metrics(own.http, "GET", kDieRoute);
  metrics.started();
  for (auto* span : {&server, &client}) span->set("http.response.status_code", std::int64_t{status});
  if (!known) client.fail("404");
  metrics.finished(status, known ? "" : "die_not_found", Seconds(0.001), server.context());
  own.telemetry.metrics.counters("die_specifications_requested_total", "")
      .Add({{"identifier", identifier}})
      .Increment();
  own.telemetry.log.log(LogLevel::info, "Request", &server.context(),
                        {{"route", std::string_view(kDieRoute)}, {"status", std::int64_t{status}}});
  roller.metrics.counters("die_service_requests_total", "")
      .Add({{"identifier", identifier}, {"status", std::to_string(status)}})
      .Increment();
  roller.metrics.histogram("die_service_request_duration_seconds", "", {1}).observe(0.001, parent);
  return known;
}

void FakeSystem::count_roll(const std::string& die, const char* mode, const char* result, int value) {
  auto& metrics = part(kDiceRoller).telemetry.metrics;
  auto& counter = metrics.counters("dice_rolls_total", "").Add({{"die_type", die}, {"mode", mode}, {"result", result}});
  if (is(Broken::counter_off_by_one) && counter.Value() == 0) counter.Increment();
  counter.Increment();
  if (value > 0) {
    metrics.counters("dice_roll_values_total", "")
        .Add({{"die_type", die}, {"value", std::to_string(value)}})
        .Increment();
  }
}

Result FakeSystem::roll_in_roller(const Work& work, Span& server) {
  constexpr int kValue = 4;  // as in the body below
  if (!ask_die_service(work, server.context())) return std::unexpected(Error{ErrorCode::die_not_found, "no such die"});
  {
    const Lock lock(mutex_);
    if (work.die == kRisky && sync_rolls_++ % 2 == 0) {
      count_roll(work.die, "sync", "failure", 0);
      const auto code = is(Broken::error_code_wrong) ? ErrorCode::internal : ErrorCode::roll_failed;
      return std::unexpected(Error{code, "it failed"});
    }
  }
  count_roll(work.die, "sync", "success", kValue);
  return json(R"({"roll":4})");
}

Result FakeSystem::batch_in_roller(const Work& work, Span& server) {
  constexpr int kFailing = 1;  // of the risky die, when there are so many
  const auto& context = server.context();
  auto& telemetry = part(kDiceRoller).telemetry;
  auto& lost = part("lost").telemetry;
  server.set("async.batch_size", std::int64_t{work.times});
  server.set("async.strategy", std::string_view(work.best_effort ? "best-effort" : "all-or-nothing"));
  auto& size = telemetry.metrics.histogram("async_roll_batch_size", "", {10});
  size.observe(work.times, context);
  if (is(Broken::histogram_off_by_one) && work.times == 5) size.observe(work.times, context);
  if (!ask_die_service(work, context)) return std::unexpected(Error{ErrorCode::die_not_found, "no such die"});
  server.set("die.type", work.die);
  telemetry.log.log(LogLevel::info, "Async roll batch started", &context, {{"die_type", work.die}});

  const bool in_sequence = is(Broken::rolls_in_sequence);
  std::vector<Span> spans(static_cast<std::size_t>(work.times));
  const auto start = [&](int index) {
    if (index >= work.times) return;
    const bool dropped = is(Broken::span_dropped) && work.times == 5 && index == 3;
    auto& tracing = dropped ? lost.tracing : telemetry.tracing;
    auto parent = context;
    // Its own sibling before it.
    if (is(Broken::span_reparented) && work.times == 5 && index == 2) parent = spans[1].context();
    const auto name = "async_roll_" + std::to_string(index);
    spans[static_cast<std::size_t>(index)] = tracing.start(
        name, SpanKind::internal, parent, {{"async.roll_index", std::int64_t{index}}, {"die.type", work.die}});
    if (is(Broken::span_twice) && work.times == 5 && index == 3) {
      (void)tracing.start(name, SpanKind::internal, parent, {{"async.roll_index", std::int64_t{index}}});
    }
  };

  std::vector<int> rolls;
  bool failed = false;
  const auto finish = [&](int index) {
    auto& span = spans[static_cast<std::size_t>(index)];
    const auto position = std::int64_t{index};
    if (failed && !work.best_effort) {
      span.set("die.cancelled", true);
      span.end();
      return count_roll(work.die, "async", "cancelled", 0);
    }
    const bool fails = work.die == kRisky && index == kFailing;
    failed = failed || fails;
    span.set("die.error", fails);
    server.event(fails ? "Async roll failed" : "Async roll completed", {{"async.roll_index", position}});
    if (fails) {
      if (!is(Broken::span_status_missing)) span.fail("roll_failed");
      span.end();
      return count_roll(work.die, "async", "failure", 0);
    }
    const int value = index % 6 + 1;
    const bool wrong = is(Broken::span_value_wrong) && work.times == 5 && index == 0;
    span.set("die.result", std::int64_t{wrong ? value + 1 : value});
    rolls.push_back(value);
    span.end();
    count_roll(work.die, "async", "success", value);
    const bool line_broken = work.times == 5 && index == 2;
    if (is(Broken::log_line_missing) && line_broken) return;
    auto line_context = span.context();
    if (is(Broken::log_span_id_foreign) && line_broken) line_context.span_id.fill(0xEE);
    for (int i = 0; i < (is(Broken::log_line_twice) && line_broken ? 2 : 1); ++i) {
      telemetry.log.log(LogLevel::info, "Async roll completed", &line_context,
                        {{"die_type", work.die}, {"roll_index", position}, {"roll_value", std::int64_t{value}}});
    }
  };
  const int ahead = in_sequence ? 1 : std::min(work.threads, work.times);
  for (int index = 0; index < ahead; ++index) start(index);
  for (int index = 0; index < work.times; ++index) {
    if (in_sequence && work.times == 5) clock_.sleep(Seconds(0.15), {});  // long enough to be no chance
    finish(index);
    start(index + ahead);
  }

  telemetry.metrics.histogram("async_roll_duration_seconds", "", {1}).observe(0.001, context);
  auto& in_progress = telemetry.metrics.gauge("async_rolls_in_progress", "");
  in_progress.Set(is(Broken::gauge_stuck) ? 1 : 0);
  const bool good = !failed || work.best_effort;
  telemetry.metrics.counters("async_rolls_total", "")
      .Add({{"die_type", work.die},
            {"result", !good    ? "failure"
                       : failed ? "partial"
                                : "success"}})
      .Increment();
  if (!good) {
    telemetry.log.log(LogLevel::error, "Async roll batch failed", &context);
    return std::unexpected(Error{ErrorCode::batch_failed, "it failed"});
  }
  const auto total = std::accumulate(rolls.begin(), rolls.end(), 0);
  server.set("async.total_result", std::int64_t{total});
  telemetry.log.log(LogLevel::info, "Async roll batch completed", &context,
                    {{"die_type", work.die},
                     {"times", std::int64_t{work.times}},
                     {"total", std::int64_t{total}},
                     {"rolls", std::span<const int>(rolls)},
                     {"duration", 0.001}});
  return json(json_object([&](JsonWriter& writer) {
    write_member(writer, "total", is(Broken::total_wrong) && work.times == 5 ? total + 1 : total);
    write_member(writer, "rolls", rolls);
    write_member(writer, "count", rolls.size());
    if (!failed) return;
    write_key(writer, "failed");
    writer.StartArray();
    writer.StartObject();
    write_member(writer, "index", kFailing);
    write_member(writer, "error", "roll_failed");
    writer.EndObject();
    writer.EndArray();
  }));
}

// --- what is read back -----------------------------------------------------------------------------------------------

Result FakeSystem::trace(const std::string& id) {
  rapidjson::Document all(rapidjson::kObjectType);
  rapidjson::Value resources(rapidjson::kArrayType);
  for (const auto& service : kServices) {
    if (is(Broken::nothing_exported) || is(Broken::collector_down)) break;
    if (is(Broken::die_service_not_exporting) && service == kDieService) continue;
    const auto recent = part(service).telemetry.tracing.recent_spans(parse_trace_id(id).value());
    if (recent.empty()) continue;
    rapidjson::Document one(&all.GetAllocator());
    one.Parse(recent.data(), recent.size());
    for (auto& resource : one["resourceSpans"].GetArray()) resources.PushBack(resource, all.GetAllocator());
  }
  if (resources.Empty()) return std::unexpected(Error{ErrorCode::trace_not_found, "no such trace"});
  all.AddMember("resourceSpans", resources, all.GetAllocator());
  rapidjson::StringBuffer buffer;
  JsonWriter writer(buffer);
  all.Accept(writer);
  return json({buffer.GetString(), buffer.GetSize()});
}

std::string FakeSystem::scrape(const std::string& service) {
  if (is(Broken::scrape_stale) && service == kDiceRoller && first_scrapes_.contains(service)) {
    return first_scrapes_.at(service);
  }
  auto text = part(service).telemetry.metrics.scrape("application/openmetrics-text").body;
  if (is(Broken::exemplars_missing)) {
    for (auto at = text.find(" # {"); at != std::string::npos; at = text.find(" # {")) {
      text.erase(at, text.find('\n', at) - at);
    }
  }
  // As if an exporter were on that delivers, or loses, what was recorded.
  double requests = 0;
  for (const auto& series : parse_metrics_text(text)) {
    if (series.name == "http_requests_total") requests += series.value;
  }
  const auto spans = std::to_string(100 * requests);
  const bool loses = is(Broken::collector_down) || (is(Broken::spans_dropped_by_exporter) && service == kDiceRoller);
  const bool waits = is(Broken::collector_silent);
  const bool delivers = !is(Broken::collector_down) && !is(Broken::nothing_exported) && !waits;
  const bool second = is(Broken::roller_of_two_processes) && service == kDiceRoller && ++scrapes_of_roller_ % 2 == 0;
  return text + "telemetry_spans_dropped_total " + (loses ? spans : "0") + "\ntelemetry_spans_exported_total " +
         (delivers ? spans : "0") + "\ntelemetry_spans_queued " + (waits ? spans : "0") +
         "\nprocess_start_time_seconds " + (second ? "1000" : "2000") + "\n";
}

std::vector<std::string> FakeSystem::log_lines(const std::vector<std::string>& ids) {
  std::vector<std::string> lines;
  for (const auto& service : kServices) {
    if (is(Broken::logs_not_shipped) || is(Broken::collector_down)) break;
    if (is(Broken::roller_logs_not_shipped) && service == kDiceRoller) continue;
    part(service).sink.flush();
    std::ifstream file(folder_ / (service + ".log"));
    for (std::string line; std::getline(file, line);) {
      const auto has = [&line](const std::string& id) { return line.contains(id); };
      if (std::ranges::any_of(ids, has)) lines.push_back(line);
    }
  }
  return lines;
}

Result FakeSystem::loki(const Request& request) {
  const auto& query = request.query.at("query");
  const auto begin = query.find("|~ \"") + 4;
  std::istringstream filter(query.substr(begin, query.rfind('"') - begin));
  std::vector<std::string> ids;
  for (std::string id; std::getline(filter, id, '|');) ids.push_back(id);
  return json(json_object([&](JsonWriter& writer) {
    write_key(writer, "data");
    writer.StartObject();
    write_member(writer, "resultType", "streams");
    write_key(writer, "result");
    writer.StartArray();
    writer.StartObject();
    write_key(writer, "values");
    writer.StartArray();
    for (const auto& line : log_lines(ids)) write_value(writer, std::vector<std::string>{"0", line});
    writer.EndArray();
    writer.EndObject();
    writer.EndArray();
    writer.EndObject();
  }));
}

Result FakeSystem::prometheus(const Request& request) {
  const bool exemplars = request.path.ends_with("exemplars");
  const bool times = request.query.at("query").starts_with("timestamp");
  int scraped = 0;
  {
    const Lock lock(mutex_);
    scraped = ++scrapes_;
  }
  const auto write_labels = [](JsonWriter& writer, const char* key, const std::string& service, const Series& series) {
    write_key(writer, key);
    writer.StartObject();
    write_member(writer, "__name__", series.name);
    write_member(writer, "job", service);
    write_member(writer, "instance", service + ":1");
    for (const auto& [label, value] : series.labels) write_member(writer, label, value);
    writer.EndObject();
  };
  const auto write_series = [&](JsonWriter& writer, const std::string& service, const Series& series) {
    if (exemplars == series.exemplars.empty()) return;
    writer.StartObject();
    write_labels(writer, exemplars ? "seriesLabels" : "metric", service, series);
    if (!exemplars) {
      writer.Key("value");
      writer.StartArray();
      write_value(writer, scraped);
      write_value(writer, std::to_string(series.value));
      writer.EndArray();
    } else {
      writer.Key("exemplars");
      writer.StartArray();
      for (const auto& [trace_id, span_id] : series.exemplars) {
        writer.StartObject();
        writer.Key("labels");
        writer.StartObject();
        write_member(writer, "trace_id", trace_id);
        write_member(writer, "span_id", span_id);
        writer.EndObject();
        writer.EndObject();
      }
      writer.EndArray();
    }
    writer.EndObject();
  };
  return json(json_object([&](JsonWriter& writer) {
    write_member(writer, "status", "success");
    write_key(writer, "data");
    if (!exemplars) {
      writer.StartObject();
      write_member(writer, "resultType", "vector");
      write_key(writer, "result");
    }
    writer.StartArray();
    for (const auto& service : kServices) {
      const bool down = is(Broken::scrape_missing) && service == kDieService;
      const Series up{.name = times ? "" : "up", .labels = {}, .value = down ? 0.0 : times ? scraped : 1.0};
      if (!exemplars && !(down && times)) write_series(writer, service, up);
      if (down || times) continue;
      for (const auto& series : parse_metrics_text(scrape(service))) write_series(writer, service, series);
    }
    writer.EndArray();
    if (!exemplars) writer.EndObject();
  }));
}

}  // namespace dice::loadgen::test
