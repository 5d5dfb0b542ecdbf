// frontend: the page, the API for people and load, and traces to look at.
#pragma once

#include <string>

#include "common/http/client.h"
#include "common/service.h"
#include "frontend/dice_list.h"
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
    Traces::Options traces;
    DiceList::Options dice_list;
  };

  static Options declare(Settings& settings);

  /// `service` outlives it; `name` is the service's name in traces.
  Frontend(const Options& options, Service& service, const std::string& name);

 private:
  void add_page();
  void add_api();
  void handle_roll(Responder responder);
  void handle_roll_async(Responder responder);
  void handle_trace(Responder responder);
  /// dice-roller's answer with the trace id beside it.
  Result ask_roller(const Request& request, const std::string& path, const std::string& route, Seconds timeout);

  const Options options_;
  Service& service_;
  Telemetry& telemetry_;
  FrontendMetrics metrics_;
  Client die_service_;
  Client dice_roller_;
  Traces traces_;
  DiceList dice_list_;
};

}  // namespace dice
