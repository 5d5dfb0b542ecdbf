// The three services, with proxies that break one thing.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/concurrency/mutex.h"
#include "support/stub_server.h"
#include "support/system.h"
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
  traces_sampled_away,
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
  // not broken, but not comparable
  roller_of_two_processes,
};

/// Every face of the fair die is 3; the risky die is the shipped one. Nothing is exported; the exporter's counters are
/// faked as if everything were delivered, unless the test breaks just that.
class TamperedSystem {
 public:
  explicit TamperedSystem(Broken broken = Broken::nothing);

  std::string url() const { return api_.url(); }
  /// Traces of the three services.
  std::vector<std::string> metrics_urls() const;
  /// Acts as Loki, as Prometheus and as the metrics ports.
  std::string backends_url() const { return backends_.url(); }
  /// The log of each service.
  std::vector<std::filesystem::path> logs() const;
  /// Whether a response of the API was changed. Some changes require a failed roll, which is random.
  bool tampered() const { return tampered_; }

 private:
  using Reply = dice::test::Reply;

  bool is(Broken broken) const { return broken_ == broken; }
  const dice::test::RunningService& service(const std::string& name) const;
  Reply answer_api(const std::string& head);
  Reply answer_backends(const std::string& head);
  std::string tamper_trace(const std::string& json) const;
  std::string tamper_metrics(const std::string& service, const std::string& text);
  std::vector<std::string> log_lines(const std::vector<std::string>& ids) const;
  std::string scrape(const std::string& service);
  std::string loki(const std::string& query) const;
  std::string prometheus(bool exemplars, const std::string& query);

  const Broken broken_;
  const dice::test::TemporaryFolder folder_;
  std::atomic<bool> tampered_ = false;
  /// Set when a roll has been requested; counters are changed from then on.
  std::atomic<bool> rolled_ = false;
  std::atomic<int> scrapes_ = 0;
  Mutex mutex_;
  /// By service.
  std::map<std::string, std::string> first_scrapes_ GUARDED_BY(mutex_);
  // Each service calls those before it.
  dice::test::RunningService die_service_;
  dice::test::StubServer to_die_service_;
  dice::test::RunningService dice_roller_;
  dice::test::StubServer to_dice_roller_;
  dice::test::RunningService frontend_;
  dice::test::StubServer api_;
  dice::test::StubServer backends_;
};

}  // namespace dice::loadgen::test
