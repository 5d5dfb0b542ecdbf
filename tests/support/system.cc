#include "support/system.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "dice-roller/roller.h"
#include "die-service/die_service.h"
#include "frontend/frontend.h"
#include "support/http.h"

namespace dice::test {
namespace {

Environment environment_of(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end() || found->second.empty()) return std::nullopt;
    return found->second;
  };
}

/// Without moving the offset, which the writer shares.
std::size_t size_of(int descriptor) {
  struct stat info{};
  return ::fstat(descriptor, &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
}

constexpr const char* kNames[] = {"die-service", "dice-roller", "frontend"};

Variables with_ports(Variables variables) {
  variables.insert({{"PORT", "0"}, {"METRICS_PORT", "0"}, {"DIE_SPECIFICATIONS", shipped_dice()}});
  return variables;
}

}  // namespace

struct RunningService::Implementation {
  Implementation(Kind kind, const Variables& variables, Clock* clock)
      : settings(environment_of(with_ports(variables))),
        options(Service::declare(settings, kNames[static_cast<int>(kind)], 0)),
        descriptor(memfd_create("log", MFD_CLOEXEC)),
        sink(descriptor),
        telemetry(sink, options.logging, options.tracing),
        service(options, telemetry, clock != nullptr ? *clock : real_clock) {
    switch (kind) {
      case Kind::die_service: {
        const auto file = settings.text("DIE_SPECIFICATIONS", "", "");
        die_service.emplace(service, file, read_specifications(file).value());
        break;
      }
      case Kind::dice_roller: roller.emplace(Roller::declare(settings), service); break;
      case Kind::frontend:
        auto frontend_options = Frontend::declare(settings);
        frontend_options.dice_list.retry = Seconds(0.01);
        frontend.emplace(frontend_options, service, options.tracing.service);
        break;
    }
    REQUIRE(settings.errors().empty());
    ports = service.start().value();
  }

  Settings settings;
  Service::Options options;
  int descriptor;
  LogSink sink;
  Telemetry telemetry;
  SteadyClock real_clock;
  Service service;
  std::optional<DieService> die_service;
  std::optional<Roller> roller;
  std::optional<Frontend> frontend;
  Service::Ports ports{};
  bool stopped = false;
};

RunningService::RunningService(Kind kind, Variables variables, Clock* clock)
    : implementation_(std::make_unique<Implementation>(kind, variables, clock)) {}

RunningService::~RunningService() { stop(); }

void RunningService::stop() {
  if (!std::exchange(implementation_->stopped, true)) implementation_->service.stop();
}

void RunningService::reload() { implementation_->die_service.value().reload(); }

std::uint16_t RunningService::port() const { return implementation_->ports.main; }
std::uint16_t RunningService::metrics_port() const { return implementation_->ports.metrics; }
std::string RunningService::url() const { return "http://127.0.0.1:" + std::to_string(port()); }
std::string RunningService::metrics_url() const { return "http://127.0.0.1:" + std::to_string(metrics_port()); }

std::string RunningService::log_file() const { return "/proc/self/fd/" + std::to_string(implementation_->descriptor); }

std::vector<rapidjson::Document> RunningService::log() const {
  implementation_->sink.flush();
  std::string text(size_of(implementation_->descriptor), '\0');
  REQUIRE(::pread(implementation_->descriptor, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  std::vector<rapidjson::Document> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(json(line));
    REQUIRE_MESSAGE(lines.back().IsObject(), line);
  }
  return lines;
}

std::vector<rapidjson::Document> RunningService::log(const std::string& message, const std::string& trace_id) const {
  auto lines = log();
  std::erase_if(lines, [&](const auto& line) {
    return line["message"] != message.c_str() ||
           (!trace_id.empty() && (!line.HasMember("trace_id") || line["trace_id"] != trace_id.c_str()));
  });
  return lines;
}

double RunningService::metric(const std::string& series) const {
  std::istringstream stream(get(metrics_port(), "/metrics").body);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  return 0;
}

System::System(const Variables& variables, Clock* roller_clock)
    : die_service(RunningService::Kind::die_service, variables),
      dice_roller(
          RunningService::Kind::dice_roller,
          [&] {
            auto more = variables;
            more.insert({{"DIE_SERVICE_URL", die_service.url()}});
            return more;
          }(),
          roller_clock),
      frontend(RunningService::Kind::frontend, [&] {
        auto more = variables;
        more.insert({{"DIE_SERVICE_URL", die_service.url()},
                     {"DICE_ROLLER_URL", dice_roller.url()},
                     {"DIE_SERVICE_METRICS_URL", die_service.metrics_url()},
                     {"DICE_ROLLER_METRICS_URL", dice_roller.metrics_url()}});
        return more;
      }()) {}

Variables quick(Variables more) {
  more.insert({{"ROLL_DELAY_MAX_SECONDS", "0"}, {"OTEL_TRACES_EXPORTER", "none"}});
  return more;
}

std::string shipped_dice() { return DICE_SOURCE_DIR "/services/die-service/dice.yaml"; }

rapidjson::Document json(const std::string& text) {
  rapidjson::Document document;
  document.Parse(text.data(), text.size());
  return document;
}

std::string error_code(const std::string& body) {
  const auto document = json(body);
  if (!document.IsObject() || !document.HasMember("error")) return "";
  return document["error"]["code"].GetString();
}

std::string trace_id(const std::string& body) {
  const auto document = json(body);
  if (!document.IsObject() || !document.HasMember("trace_id")) return "";
  return document["trace_id"].GetString();
}

}  // namespace dice::test
