#include "loadgen/sources.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <set>

#include "common/http/message.h"

namespace dice::loadgen {
namespace {

namespace fs = std::filesystem;

constexpr Seconds kTimeout{10};
/// Clocks of this machine and of a backend may differ.
constexpr std::chrono::seconds kClockMargin{60};

constexpr const char* kLatencyBuckets = "http_request_duration_seconds_bucket";

Client::Options options_for(const std::string& kind, const std::string& url) {
  return {.base_url = url, .name = kind + " at " + url};
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

TraceSource::TraceSource(const std::string& kind, const std::string& url) : client_(options_for(kind, url)) {}

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
  return "the log files in " + text;
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

Scrapes::Scrapes(const std::vector<std::string>& urls) {
  for (const auto& url : urls) clients_.push_back(std::make_unique<Client>(options_for("metrics", url)));
}

std::string Scrapes::name() const {
  std::string text;
  for (const auto& client : clients_) text += (text.empty() ? "" : ", ") + client->name();
  return text;
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

std::map<Prometheus::Target, double> Prometheus::scraped() {
  std::map<Target, double> times;
  const auto found = query("timestamp(up == 1)");
  if (!found) return times;
  for (const auto& series : *found) times[{series.label("job"), series.label("instance")}] = series.value;
  return times;
}

void Prometheus::settle(Clock& clock, TimePoint deadline) {
  const auto first = scraped();
  const auto again = [&first](const std::map<Target, double>& now) {
    return std::ranges::all_of(first, [&now](const auto& entry) {
      const auto found = now.find(entry.first);
      return found == now.end() || found->second > entry.second;
    });
  };
  while (!again(scraped()) && clock.now() < deadline) clock.sleep(Seconds(0.5), {});
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
