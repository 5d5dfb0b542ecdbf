// Sources of log lines: files, or Loki.
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
  /// A description of how lines are selected; may be empty.
  virtual std::string detail() const { return {}; }
  /// Called before the first request; older lines may be skipped.
  virtual void mark() = 0;
  virtual std::expected<std::vector<LogLine>, SourceError> find(const std::vector<std::string>& trace_ids) = 0;
};

/// Growing files of JSON lines.
class LogFiles final : public LogSource {
 public:
  /// `paths` are files, or folders with *.log files.
  explicit LogFiles(std::vector<std::filesystem::path> paths) : paths_(std::move(paths)) {}

  std::string name() const override;
  void mark() override;
  std::expected<std::vector<LogLine>, SourceError> find(const std::vector<std::string>& trace_ids) override;

 private:
  std::expected<std::vector<std::filesystem::path>, SourceError> files() const;
  std::optional<SourceError> read_news(const std::filesystem::path& file);

  const std::vector<std::filesystem::path> paths_;
  /// Number of bytes of each file already read.
  std::map<std::filesystem::path, std::uintmax_t> read_;
  std::multimap<std::string, LogLine> lines_by_trace_;
};

class Loki final : public LogSource {
 public:
  /// `selector` is a LogQL stream selector, such as {job="dice"}.
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
