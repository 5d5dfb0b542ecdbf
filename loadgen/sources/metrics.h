// Sources of metrics: the services' own endpoints, or Prometheus.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/concurrency/clock.h"
#include "common/concurrency/thread_pool.h"
#include "common/http/replicas.h"
#include "loadgen/model/snapshot.h"
#include "loadgen/sources/backend.h"

namespace dice::loadgen {

class MetricsSource {
 public:
  /// The processes of each service, by what tells them apart.
  using Processes = std::map<std::string, std::set<std::string>>;

  struct Reading {
    /// The series of all processes of each service.
    Snapshot services;
    Processes processes;
    /// What is missing and why; may be empty.
    std::string detail;
  };

  virtual ~MetricsSource() = default;
  virtual std::string name() const = 0;
  /// Waits until a reading includes all services and everything counted before the call, or until `deadline`.
  virtual void settle(Clock& clock, TimePoint deadline) = 0;
  virtual std::expected<Reading, SourceError> read() = 0;
};

/// Scrapes the services' own /metrics, at every address of each URL's host. An address that refuses the connection is
/// no replica: it is starting, or gone. Behind an address that several processes share, such as a Kubernetes Service
/// that is not headless, each reading may find another process.
class Scrapes final : public MetricsSource {
 public:
  /// `timeout` is for each scrape.
  explicit Scrapes(std::vector<std::string> urls, Seconds timeout = kSourceTimeout, Resolver resolve = resolve_host);

  std::string name() const override;
  void settle(Clock& clock, TimePoint deadline) override;
  std::expected<Reading, SourceError> read() override;

 private:
  const std::vector<std::string> urls_;
  const Seconds timeout_;
  Replicas replicas_;
  /// What was found at each address last, of the name of a service and of a process: a replica that does not respond
  /// in time is still the same.
  std::map<std::pair<std::string, std::string>, std::pair<std::string, std::string>> known_;
  ThreadPool threads_;
};

class Prometheus final : public MetricsSource {
 public:
  /// `selector` has the label matchers of the services' targets: {namespace="dice"}.
  Prometheus(const std::string& url, std::string selector);

  std::string name() const override { return client_.name(); }
  void settle(Clock& clock, TimePoint deadline) override;
  std::expected<Reading, SourceError> read() override;

 private:
  using Target = std::pair<std::string, std::string>;

  std::expected<std::vector<Series>, SourceError> query(const std::string& promql);
  /// The time of the last scrape of each of our targets.
  std::expected<std::map<Target, double>, SourceError> scraped();
  void add_exemplars(const std::map<Target, std::string>& services, Snapshot& snapshot);

  Client client_;
  const std::string selector_;
  const double since_unix_seconds_;
};

}  // namespace dice::loadgen
