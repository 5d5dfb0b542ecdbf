// The three services in this process, over real sockets on free ports: the programs' own object code without main.
#pragma once

#include <rapidjson/document.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/service.h"

namespace dice::test {

using Variables = std::map<std::string, std::string>;

/// One service, configured as by environment variables.
class RunningService {
 public:
  enum class Kind { die_service, dice_roller, frontend };

  /// `clock` must outlive it; null = the real clock.
  RunningService(Kind kind, Variables variables, Clock* clock = nullptr);
  ~RunningService();

  std::uint16_t port() const;
  std::uint16_t metrics_port() const;
  std::string url() const;
  std::string metrics_url() const;

  /// As on SIGTERM.
  void stop();
  /// For die-service: as on SIGHUP.
  void reload();

  /// The log file; readable while this object lives.
  std::string log_file() const;
  /// Every line logged so far, parsed; fails the test on a line that is not JSON.
  std::vector<rapidjson::Document> log() const;
  /// The lines with this message and, unless empty, this trace id.
  std::vector<rapidjson::Document> log(const std::string& message, const std::string& trace_id = "") const;

  /// The value of a series of /metrics, written as there: name{label="value",…}; 0 if there is none.
  double metric(const std::string& series) const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// All three, wired to each other. `variables` are for each of them, `roller_clock` is for dice-roller.
struct System {
  explicit System(const Variables& variables = {}, Clock* roller_clock = nullptr);

  RunningService die_service;
  RunningService dice_roller;
  RunningService frontend;
};

/// Rolls take no time, nothing is exported.
Variables quick(Variables more = {});

/// `services/die-service/dice.yaml`.
std::string shipped_dice();

/// A parsed body.
rapidjson::Document json(const std::string& text);
/// The "code" of an error body, "" if it is none.
std::string error_code(const std::string& body);
std::string trace_id(const std::string& body);

}  // namespace dice::test
