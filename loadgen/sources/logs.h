// Where log lines are read back from.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "loadgen/model/log_line.h"
#include "loadgen/sources/backend.h"

namespace dice::loadgen {

class LogSource {
 public:
  virtual ~LogSource() = default;
  virtual std::string name() const = 0;
  /// How it selects lines, for people; may be empty.
  virtual std::string detail() const { return {}; }
  /// Called before the first request: older lines are not needed.
  virtual void mark() = 0;
  virtual std::expected<std::vector<LogLine>, SourceError> find(const std::vector<std::string>& trace_ids) = 0;
};

/// Files of JSON lines that grow.
class LogFiles final : public LogSource {
 public:
  /// Files, or folders of files whose names end in .log.
  explicit LogFiles(std::vector<std::filesystem::path> paths) : paths_(std::move(paths)) {}

  std::string name() const override;
  void mark() override;
  std::expected<std::vector<LogLine>, SourceError> find(const std::vector<std::string>& trace_ids) override;

 private:
  std::expected<std::vector<std::filesystem::path>, SourceError> files() const;
  std::optional<SourceError> read_news(const std::filesystem::path& file);

  const std::vector<std::filesystem::path> paths_;
  /// How much of each file has been read.
  std::map<std::filesystem::path, std::uintmax_t> read_;
  std::multimap<std::string, LogLine> lines_by_trace_;
};

class Loki final : public LogSource {
 public:
  /// `selector` is LogQL's, such as {job="dice"}.
  Loki(const std::string& url, std::string selector);

  std::string name() const override { return client_.name(); }
  std::string detail() const override { return "--loki-selector " + selector_; }
  void mark() override;
  std::expected<std::vector<LogLine>, SourceError> find(const std::vector<std::string>& trace_ids) override;

 private:
  Client client_;
  const std::string selector_;
  std::int64_t since_nanoseconds_ = 0;
};

}  // namespace dice::loadgen
