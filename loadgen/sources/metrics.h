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
#include "loadgen/model/snapshot.h"
#include "loadgen/sources/backend.h"

namespace dice::loadgen {

class MetricsSource {
 public:
  struct Reading {
    Snapshot services;
    /// What is missing and why; may be empty.
    std::string detail;
    /// Why readings cannot be compared with each other; empty if they can.
    std::string incomparable;
  };

  virtual ~MetricsSource() = default;
  virtual std::string name() const = 0;
  /// Waits until a reading includes all services and everything counted before the call, or until `deadline`.
  virtual void settle(Clock& clock, TimePoint deadline) = 0;
  virtual std::expected<Reading, SourceError> read() = 0;
};

/// Scrapes the services' own /metrics. Readings are not comparable if several processes share an address, such as the
/// replicas of a Kubernetes Service.
class Scrapes final : public MetricsSource {
 public:
  explicit Scrapes(const std::vector<std::string>& urls);

  std::string name() const override;
  void settle(Clock& clock, TimePoint deadline) override;
  std::expected<Reading, SourceError> read() override;

 private:
  std::vector<std::unique_ptr<Client>> clients_;
  const double since_unix_seconds_;
  /// By address: the start times of the processes that responded. Only processes started before this object are
  /// included; a later one is a restarted service.
  std::map<std::string, std::set<double>> processes_;
};

class Prometheus final : public MetricsSource {
 public:
  explicit Prometheus(const std::string& url);

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
  const double since_unix_seconds_;
};

}  // namespace dice::loadgen
