#include "loadgen/sources/logs.h"

#include <chrono>
#include <fstream>

#include "common/base/joined.h"
#include "common/http/loki.h"

namespace dice::loadgen {

namespace {

namespace fs = std::filesystem;

std::int64_t nanoseconds(std::chrono::system_clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

}  // namespace

std::string LogFiles::name() const {
  return joined(paths_, ", ", [](const fs::path& path) { return path.string(); });
}

std::expected<std::vector<fs::path>, SourceError> LogFiles::files() const {
  std::vector<fs::path> files;
  for (const auto& path : paths_) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      if (!fs::exists(path, error)) return std::unexpected(path.string() + " does not exist");
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

std::optional<SourceError> LogFiles::read_news(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) return file.string() + " cannot be opened";
  auto& position = read_[file];
  if (static_cast<std::uintmax_t>(stream.tellg()) < position) position = 0;  // it was truncated
  stream.seekg(static_cast<std::streamoff>(position));
  for (std::string text; std::getline(stream, text) && !stream.eof();) {  // an incomplete line is read later
    position += text.size() + 1;
    auto line = parse_log_line(text);
    if (line && !line->trace_id().empty()) lines_by_trace_.emplace(line->trace_id(), std::move(*line));
  }
  return std::nullopt;
}

std::expected<std::vector<LogLine>, SourceError> LogFiles::find(const std::vector<std::string>& trace_ids) {
  const auto all = files();
  if (!all) return std::unexpected(all.error());
  for (const auto& file : *all) {
    if (auto error = read_news(file)) return std::unexpected(std::move(*error));
  }
  std::vector<LogLine> lines;
  for (const auto& id : trace_ids) {
    const auto [begin, end] = lines_by_trace_.equal_range(id);
    for (auto it = begin; it != end; ++it) lines.push_back(it->second);
  }
  return lines;
}

Loki::Loki(const std::string& url, std::string selector)
    : client_(backend_options("Loki", url)), selector_(std::move(selector)) {}

void Loki::mark() { since_nanoseconds_ = nanoseconds(unix_time() - kClockMargin); }

std::expected<std::vector<LogLine>, SourceError> Loki::find(const std::vector<std::string>& trace_ids) {
  const auto body = get(client_, loki_path(selector_ + " |~ \"" + joined(trace_ids, "|") + '"', since_nanoseconds_,
                                           nanoseconds(unix_time() + kClockMargin)));
  if (!body) return std::unexpected(body.error());
  auto lines = parse_loki_streams(*body);
  if (!lines) return std::unexpected("its response is not a list of streams");
  return std::move(*lines);
}

}  // namespace dice::loadgen
