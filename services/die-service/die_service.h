// die-service: its routes, and reloading the dice file.
#pragma once

#include <map>
#include <string>

#include "common/service.h"
#include "die-service/metrics.h"
#include "die-service/specifications.h"

namespace dice {

class DieService {
 public:
  /// `service` must outlive this object. `specifications` are the contents of `file`.
  DieService(Service& service, std::string file, const Specifications& specifications);

  /// Reloads the file; an invalid file only changes a metric and is logged. Call from one thread at a time.
  void reload();
  /// Reloads the file if it has changed.
  void reload_if_changed();

 private:
  Result list();
  Result die(const std::string& identifier);
  /// Updates the metrics of the loaded dice.
  void show(const Specifications& specifications);

  const std::string file_;
  const Logger log_;
  DieServiceMetrics metrics_;
  std::map<std::string, prometheus::Gauge*> error_rates_;
  SpecificationStore store_;
  FileWatch watch_;
};

}  // namespace dice
