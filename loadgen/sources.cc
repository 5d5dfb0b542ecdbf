#include "loadgen/sources.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "common/http/message.h"

namespace dice::loadgen {
namespace {

namespace fs = std::filesystem;

constexpr Seconds kTimeout{10};
constexpr std::size_t kMaxAnswer = 64UL << 20U;
/// Clocks of this machine and of a backend may differ.
constexpr std::chrono::seconds kClockMargin{60};

constexpr const char* kLatencyBuckets = "http_request_duration_seconds_bucket";

Client::Options options_for(const std::string& kind, const std::string& url) {
  return {.base_url = url, .name = kind + " at " + url, .max_body_bytes = kMaxAnswer};
}

std::expected<std::string, Trouble> get(Client& client, const std::string& path,
                                        std::vector<std::pair<std::string, std::string>> headers = {}) {
  auto response =
      client.get({.path = path, .route = path, .timeout = kTimeout, .headers = std::move(headers)}, nullptr);
  if (!response) return std::unexpected(response.error().message);
  if (response->status != 200) {
    return std::unexpected("it answers " + std::to_string(response->status) + " " + response->body.substr(0, 200));
  }
  return std::move(response->body);
}

std::chrono::system_clock::duration unix_time() { return std::chrono::system_clock::now().time_since_epoch(); }

std::string nanoseconds(std::chrono::system_clock::duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

}  // namespace

TraceSource::TraceSource(const std::string& kind, const std::string& url)
    : is_frontend_(kind == "frontend"), client_(options_for(kind, url)) {}

std::string TraceSource::detail() const {
  return is_frontend_ ? "without Tempo it asks one process of each service: is there more than one?" : "";
}

std::expected<std::optional<Trace>, Trouble> TraceSource::find(const std::string& trace_id) {
  const auto response =
      client_.get({.path = "/api/traces/" + trace_id, .route = "/api/traces/{trace_id}", .timeout = kTimeout}, nullptr);
  if (!response) return std::unexpected(response.error().message);
  if (response->status == status_of(ErrorCode::trace_not_found)) return std::nullopt;
  auto trace = parse_trace(response->body);
  if (response->status != 200 || !trace) {
    return std::unexpected("it answers " + std::to_string(response->status) + " " + response->body.substr(0, 200));
  }
  if (trace->spans.empty()) return std::nullopt;
  return trace;
}

// --- logs ------------------------------------------------------------------------------------------------------------

std::string LogFiles::name() const {
  std::string text;
  for (const auto& path : paths_) text += (text.empty() ? "" : ", ") + path.string();
  return text;
}

std::expected<std::vector<fs::path>, Trouble> LogFiles::files() const {
  std::vector<fs::path> files;
  for (const auto& path : paths_) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      if (!fs::exists(path, error)) return std::unexpected("there is no " + path.string());
      files.push_back(path);
      continue;
    }
    for (const auto& entry : fs::directory_iterator(path, error)) {
      if (entry.path().extension() == ".log") files.push_back(entry.path());
    }
    if (error) return std::unexpected(path.string() + ": " + error.message());
  }
  return files;
}

void LogFiles::mark() {
  for (const auto& file : files().value_or(std::vector<fs::path>{})) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (!error) read_[file] = size;
  }
}

std::optional<Trouble> LogFiles::read_news(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return file.string() + " can't be opened";
  auto& position = read_[file];
  if (static_cast<std::uintmax_t>(stream.tellg()) < position) position = 0;  // it was begun anew
  stream.seekg(static_cast<std::streamoff>(position));
  for (std::string text; std::getline(stream, text) && !stream.eof();) {  // a line without an end is still growing
    position += text.size() + 1;
    auto line = parse_log_line(text);
    if (line && !line->trace_id().empty()) lines_by_trace_.emplace(line->trace_id(), std::move(*line));
  }
  return std::nullopt;
}

std::expected<std::vector<LogLine>, Trouble> LogFiles::find(const std::vector<std::string>& trace_ids) {
  const auto all = files();
  if (!all) return std::unexpected(all.error());
  for (const auto& file : *all) {
    if (auto trouble = read_news(file)) return std::unexpected(std::move(*trouble));
  }
  std::vector<LogLine> lines;
  for (const auto& id : trace_ids) {
    const auto [begin, end] = lines_by_trace_.equal_range(id);
    for (auto it = begin; it != end; ++it) lines.push_back(it->second);
  }
  return lines;
}

Loki::Loki(const std::string& url, std::string selector)
    : client_(options_for("Loki", url)), selector_(std::move(selector)) {}

void Loki::mark() {
  since_nanoseconds_ = std::chrono::duration_cast<std::chrono::nanoseconds>(unix_time() - kClockMargin).count();
}

std::expected<std::vector<LogLine>, Trouble> Loki::find(const std::vector<std::string>& trace_ids) {
  std::string ids;
  for (const auto& id : trace_ids) ids += (ids.empty() ? "" : "|") + id;
  const auto body =
      get(client_, "/loki/api/v1/query_range?limit=5000&direction=forward&start=" + std::to_string(since_nanoseconds_) +
                       "&end=" + nanoseconds(unix_time() + kClockMargin) +
                       "&query=" + percent_encode(selector_ + " |~ \"" + ids + "\""));
  if (!body) return std::unexpected(body.error());
  auto lines = parse_loki_streams(*body);
  if (!lines) return std::unexpected("its answer is not a list of streams");
  return std::move(*lines);
}

// --- metrics ---------------------------------------------------------------------------------------------------------

Scrapes::Scrapes(const std::vector<std::string>& urls)
    : since_unix_seconds_(std::chrono::duration<double>(unix_time()).count()) {
  for (const auto& url : urls) {
    auto options = options_for("metrics", url);
    options.idle_connections = 0;  // a connection that is kept would hide other replicas
    clients_.push_back(std::make_unique<Client>(options));
  }
}

std::string Scrapes::name() const {
  std::string text;
  for (const auto& client : clients_) text += (text.empty() ? "" : ", ") + client->name();
  return text;
}

void Scrapes::settle(Clock& /*clock*/, TimePoint /*deadline*/) {
  constexpr int kLooks = 10;  // two replicas are missed once in 500 times
  for (int i = 0; i < kLooks; ++i) {
    if (const auto reading = read(); !reading || !reading->incomparable.empty()) return;
  }
}

std::expected<MetricsSource::Reading, Trouble> Scrapes::read() {
  Reading reading;
  const auto add_detail = [&reading](const std::string& text) {
    reading.detail += (reading.detail.empty() ? "" : "; ") + text;
  };
  for (const auto& client : clients_) {
    const auto body = get(*client, "/metrics", {{"Accept", "application/openmetrics-text; version=1.0.0"}});
    if (!body) {
      add_detail(body.error());
      continue;
    }
    auto target = parse_metrics_text(*body);
    const auto service = service_of(target);
    if (service.empty()) {
      add_detail(client->name() + " is none of our services");
      continue;
    }
    const auto started = std::ranges::find(target, "process_start_time_seconds", &Series::name);
    auto& processes = processes_[client->name()];
    if (started != target.end() && started->value < since_unix_seconds_) processes.insert(started->value);
    if (processes.size() > 1) {
      reading.incomparable = "behind the " + client->name() + " are several processes; --prometheus adds them up";
    }
    auto& all = reading.services[service];
    all.insert(all.end(), std::make_move_iterator(target.begin()), std::make_move_iterator(target.end()));
  }
  return reading;
}

Prometheus::Prometheus(const std::string& url)
    : client_(options_for("Prometheus", url)),
      since_unix_seconds_(std::floor(std::chrono::duration<double>(unix_time() - kClockMargin).count())) {}

std::expected<std::vector<Series>, Trouble> Prometheus::query(const std::string& promql) {
  const auto body = get(client_, "/api/v1/query?query=" + percent_encode(promql));
  if (!body) return std::unexpected(body.error());
  auto series = parse_prometheus_vector(*body);
  if (!series) return std::unexpected("its answer is not a vector");
  return std::move(*series);
}

std::expected<std::map<Prometheus::Target, double>, Trouble> Prometheus::scraped() {
  const auto found = query("timestamp(telemetry_spans_exported_total) and on (job, instance) up == 1");
  if (!found) return std::unexpected(found.error());
  std::map<Target, double> times;
  for (const auto& series : *found) times[{series.label("job"), series.label("instance")}] = series.value;
  return times;
}

void Prometheus::settle(Clock& clock, TimePoint deadline) {
  const auto pause = [&] { return clock.now() < deadline && clock.sleep(Seconds(0.2), {}); };
  constexpr std::size_t kServices = 3;
  for (auto now = read(); !now || now->services.size() < kServices; now = read()) {
    if (!now || !pause()) return;  // that it can't be read is said in the end
  }
  const auto first = scraped();
  const auto again = [&] {
    const auto now = scraped();
    return !first || !now || std::ranges::all_of(*first, [&now](const auto& entry) {
      const auto found = now->find(entry.first);
      return found == now->end() || found->second > entry.second;
    });
  };
  while (!again() && pause()) {
  }
}

std::expected<MetricsSource::Reading, Trouble> Prometheus::read() {
  // Whatever checks.h looks at, by the beginnings of the names.
  auto all = query(
      R"({__name__=~"up|http_requests_.+|http_request_duration_seconds_count|telemetry_spans_.+|roll_.+|async_roll.+|dice_roll.+|die_s.+"})");
  if (!all) return std::unexpected(all.error());
  std::map<Target, std::vector<Series>> targets;
  Reading reading;
  for (auto& series : *all) {
    Target target(series.label("job"), series.label("instance"));
    if (series.name == "up" && series.value == 0) {
      reading.detail += (reading.detail.empty() ? "down: " : ", ") + describe(series.name, series.labels);
    }
    targets[target].push_back(std::move(series));
  }
  std::map<Target, std::string> services;
  for (auto& [target, series] : targets) {
    const auto service = service_of(series);
    if (service.empty()) continue;
    services[target] = service;
    auto& known = reading.services[service];
    known.insert(known.end(), std::make_move_iterator(series.begin()), std::make_move_iterator(series.end()));
  }
  add_exemplars(services, reading.services);
  return reading;
}

void Prometheus::add_exemplars(const std::map<Target, std::string>& services, Snapshot& snapshot) {
  const auto end = std::chrono::duration<double>(unix_time() + kClockMargin).count();
  const auto body = get(client_, std::string("/api/v1/query_exemplars?query=") + kLatencyBuckets +
                                     "&start=" + std::to_string(since_unix_seconds_) + "&end=" + std::to_string(end));
  if (!body) return;
  for (auto& series : parse_prometheus_exemplars(*body).value_or(std::vector<Series>{})) {
    const auto service = services.find({series.label("job"), series.label("instance")});
    if (service != services.end()) snapshot[service->second].push_back(std::move(series));
  }
}

}  // namespace dice::loadgen
