// A system that keeps the contract as seen from outside, except where it is told not to. Nothing in it takes time.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/http/server.h"
#include "unit/helpers.h"

namespace dice::loadgen::test {

enum class Broken {
  nothing,
  // answers
  total_wrong,
  error_code_wrong,
  // traces
  span_dropped,
  span_twice,
  span_reparented,
  span_kind_wrong,
  span_value_wrong,
  span_status_missing,
  rolls_in_sequence,
  propagation_to_roller_cut,
  propagation_to_die_service_cut,
  die_service_not_exporting,
  nothing_exported,
  // logs
  log_line_missing,
  log_line_twice,
  log_span_id_foreign,
  logs_not_shipped,
  roller_logs_not_shipped,
  // metrics
  counter_off_by_one,
  histogram_off_by_one,
  gauge_stuck,
  scrape_missing,
  scrape_stale,
  exemplars_missing,
  spans_dropped_by_exporter,
  collector_down,
  collector_silent,
  // not broken, but not to be compared
  roller_of_two_processes,
};

class FakeSystem {
 public:
  explicit FakeSystem(Broken broken = Broken::nothing);
  ~FakeSystem();

  std::string url() const;
  /// Of the three services.
  std::vector<std::string> metrics_urls() const;
  /// Speaks as Loki and as Prometheus, too.
  std::string backends_url() const;
  /// With a file of log lines for each service.
  std::filesystem::path logs() const;

 private:
  struct Part;
  struct Work;

  Part& part(const std::string& service) { return *parts_.at(service); }
  bool is(Broken broken) const { return broken_ == broken; }
  void add_api();
  void add_backends();
  Result roll(const Request& request, bool batch);
  Result roll_in_roller(const Work& work, Span& server);
  Result batch_in_roller(const Work& work, Span& server);
  bool ask_die_service(const Work& work, const TraceContext& parent);
  void count_roll(const std::string& die, const char* mode, const char* result, int value);
  Result trace(const std::string& id);
  std::string scrape(const std::string& service);
  std::vector<std::string> log_lines(const std::vector<std::string>& ids);
  Result loki(const Request& request);
  Result prometheus(const Request& request);

  const Broken broken_;
  dice::test::TemporaryFolder folder_;
  SteadyClock clock_;
  ThreadPool workers_{{}};
  /// The services by name, "backends", and "lost", whose spans and lines nobody can read.
  std::map<std::string, std::unique_ptr<Part>> parts_;
  std::map<std::string, std::string> first_scrapes_;
  Mutex mutex_;
  int sync_rolls_ GUARDED_BY(mutex_) = 0;
  int scrapes_ GUARDED_BY(mutex_) = 0;
  std::atomic<int> scrapes_of_roller_ = 0;
  std::unique_ptr<Server> frontend_;
  std::unique_ptr<Server> backends_;
  std::uint16_t port_ = 0;
  std::uint16_t backends_port_ = 0;
};

}  // namespace dice::loadgen::test
