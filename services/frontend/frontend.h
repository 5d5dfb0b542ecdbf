// frontend: the web page, its API, and traces.
#pragma once

#include <optional>
#include <string>

#include "common/concurrency/admission.h"
#include "common/http/client.h"
#include "common/service.h"
#include "contract/roll.h"
#include "frontend/dice_list.h"
#include "frontend/fault_relay.h"
#include "frontend/logs.h"
#include "frontend/memories.h"
#include "frontend/metrics.h"
#include "frontend/traces.h"

namespace dice {

class Frontend {
 public:
  struct Options {
    std::string die_service_url;
    std::string dice_roller_url;
    std::string grafana_url;
    Seconds roll_timeout{10};
    Seconds roll_async_timeout{60};
    int max_async_rolls = 20;
    /// Maximum length of a response from dice-roller or die-service.
    std::size_t max_body_bytes = 64UL << 10U;
    Memories::Options memories;
    Traces::Options traces;
    Logs::Options logs;
    DiceList::Options dice_list;
  };

  static Options declare(Settings& settings);

  /// `service` must outlive this object; `name` is the service's name in traces.
  Frontend(const Options& options, Service& service, const std::string& name);

 private:
  void add_api();
  /// For the page, under /api: looking at a trace must not create one, and must work while faults are injected.
  void add_uninstrumented(const char* path, Handler handler);
  Answer handle_roll(const Request& request);
  Answer handle_roll_async(const Request& request);
  /// Answers with what `find` returns for the trace in the path.
  template <typename Source>
  Answer handle_trace(const Request& request, Source& source);
  /// Converts dice-roller's body to this service's; empty if it does not follow the contract.
  using Translate = std::optional<std::string> (*)(const std::string& body, const std::string& trace_id);
  Work call_roller(const Request& request, const RollRequest& wanted, Seconds timeout, Translate translate);

  const Options options_;
  Service& service_;
  Telemetry& telemetry_;
  FrontendMetrics metrics_;
  Client die_service_;
  Client dice_roller_;
  /// Limits concurrent requests for traces and their log lines, because assembling them takes much memory.
  Admission trace_requests_;
  Memories memories_;
  Traces traces_;
  Logs logs_;
  /// Only with FAULTS_ENABLED.
  std::optional<FaultRelay> fault_relay_;
  DiceList dice_list_;
};

}  // namespace dice
