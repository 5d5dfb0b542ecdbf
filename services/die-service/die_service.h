// die-service: the routes, and the reload.
#pragma once

#include <map>
#include <string>

#include "common/service.h"
#include "die-service/metrics.h"
#include "die-service/specifications.h"

namespace dice {

class DieService {
 public:
  /// `service` outlives it. `specifications` are what `file` held.
  DieService(Service& service, std::string file, const Specifications& specifications);

  /// Reads the file again; a bad one changes nothing but the log and a metric. One thread at a time.
  void reload();
  /// The same, if the file has changed.
  void reload_if_changed();

 private:
  Result list();
  Result die(const std::string& identifier);
  /// Sets the metrics of the dice in force.
  void show(const Specifications& specifications);

  const std::string file_;
  const Logger log_;
  DieServiceMetrics metrics_;
  std::map<std::string, prometheus::Gauge*> error_rates_;
  SpecificationStore store_;
  FileWatch watch_;
};

}  // namespace dice
