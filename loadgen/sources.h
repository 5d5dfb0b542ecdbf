// Where telemetry is read back from.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/http/client.h"
#include "loadgen/log_line.h"
#include "loadgen/series.h"
#include "loadgen/trace.h"
#include "loadgen/verify/checks.h"

namespace dice::loadgen {

/// Why a source could not be read, for people.
using Trouble = std::string;

/// Traces by id: the frontend's API, or Tempo's, whose path is the same.
class TraceSource {
 public:
  /// `kind` is "frontend" or "Tempo".
  TraceSource(const std::string& kind, const std::string& url);

  const std::string& name() const { return client_.name(); }
  /// Why spans may be missing though nothing is broken; may be empty.
  std::string detail() const;
  /// Nothing while there is no such trace.
  std::expected<std::optional<Trace>, Trouble> find(const std::string& trace_id);

 private:
  const bool is_frontend_;
  Client client_;
};

class LogSource {
 public:
  virtual ~LogSource() = default;
  virtual std::string name() const = 0;
  /// Where it looks, as far as it was told; may be empty.
  virtual std::string detail() const { return {}; }
  /// Called before the first request: older lines are of no interest.
  virtual void mark() = 0;
  virtual std::expected<std::vector<LogLine>, Trouble> find(const std::vector<std::string>& trace_ids) = 0;
};

/// Files of JSON lines that grow.
class LogFiles final : public LogSource {
 public:
  /// Files, or folders of files whose names end in .log.
  explicit LogFiles(std::vector<std::filesystem::path> paths) : paths_(std::move(paths)) {}

  std::string name() const override;
  void mark() override;
  std::expected<std::vector<LogLine>, Trouble> find(const std::vector<std::string>& trace_ids) override;

 private:
  std::expected<std::vector<std::filesystem::path>, Trouble> files() const;
  std::optional<Trouble> read_news(const std::filesystem::path& file);

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
  std::expected<std::vector<LogLine>, Trouble> find(const std::vector<std::string>& trace_ids) override;

 private:
  Client client_;
  const std::string selector_;
  std::int64_t since_nanoseconds_ = 0;
};

class MetricsSource {
 public:
  struct Reading {
    Snapshot services;
    /// What is missing and why; may be empty.
    std::string detail;
    /// Why readings can't be compared with each other; empty when they can.
    std::string incomparable;
  };

  virtual ~MetricsSource() = default;
  virtual std::string name() const = 0;
  /// Returns when a reading holds all services, and all that was counted before the call, or at `deadline`.
  virtual void settle(Clock& clock, TimePoint deadline) = 0;
  virtual std::expected<Reading, Trouble> read() = 0;
};

/// The services' own /metrics. An address behind which several processes answer in turn, such as a Kubernetes Service
/// of several replicas, makes a reading incomparable.
class Scrapes final : public MetricsSource {
 public:
  explicit Scrapes(const std::vector<std::string>& urls);

  std::string name() const override;
  void settle(Clock& clock, TimePoint deadline) override;
  std::expected<Reading, Trouble> read() override;

 private:
  std::vector<std::unique_ptr<Client>> clients_;
  const double since_unix_seconds_;
  /// By address: when the processes that answered there were started. Only those that ran before this began; a later
  /// one is a service that was started again.
  std::map<std::string, std::set<double>> processes_;
};

class Prometheus final : public MetricsSource {
 public:
  explicit Prometheus(const std::string& url);

  std::string name() const override { return client_.name(); }
  void settle(Clock& clock, TimePoint deadline) override;
  std::expected<Reading, Trouble> read() override;

 private:
  using Target = std::pair<std::string, std::string>;

  std::expected<std::vector<Series>, Trouble> query(const std::string& promql);
  /// When each target of ours was scraped last.
  std::expected<std::map<Target, double>, Trouble> scraped();
  void add_exemplars(const std::map<Target, std::string>& services, Snapshot& snapshot);

  Client client_;
  const double since_unix_seconds_;
};

}  // namespace dice::loadgen
