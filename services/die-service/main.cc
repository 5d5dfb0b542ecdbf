#include <unistd.h>

#include <iostream>

#include "common/base/process.h"
#include "common/service.h"
#include "contract/names.h"
#include "die-service/die_service.h"

int main(int argc, char** argv) {
  dice::prepare_process();
  dice::Settings settings(dice::process_environment());
  const auto options = dice::Service::declare(settings, dice::kDieService.name, dice::kDieService.port);
  const auto file = settings.text("DIE_SPECIFICATIONS", "dice.yaml", "File of die specifications, YAML or JSON.");
  const auto healthcheck = [&options] { return dice::Service::check_health(options); };
  if (const auto code = settings.finish(argc, argv, dice::kDieService.about(), healthcheck)) return *code;

  auto specifications = dice::read_specifications(file);
  if (!specifications) {
    std::cerr << specifications.error() << "\n";
    return 1;
  }
  dice::LogSink sink(STDOUT_FILENO);
  dice::Telemetry telemetry(sink, options.logging, options.tracing);
  dice::SteadyClock clock;
  dice::Service service(options, telemetry, clock);
  dice::DieService die_service(service, file, *specifications);
  if (const auto ports = service.start(); !ports) {
    std::cerr << ports.error() << "\n";
    return 1;
  }
  return service.run([&] { die_service.reload(); }, [&] { die_service.reload_if_changed(); });
}
