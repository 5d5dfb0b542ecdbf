#include <unistd.h>

#include <iostream>

#include "common/base/process.h"
#include "common/http/client.h"
#include "common/service.h"
#include "contract/names.h"
#include "frontend/frontend.h"

int main(int argc, char** argv) {
  dice::prepare_process();
  dice::Settings settings(dice::process_environment());
  auto options = dice::Service::declare(settings, dice::kFrontend.name, dice::kFrontend.port);
  const auto frontend_options = dice::Frontend::declare(settings);
  const auto healthcheck = [&options] { return dice::Service::check_health(options); };
  if (const auto code = settings.finish(argc, argv, dice::kFrontend.about(), healthcheck)) return *code;

  options.descriptors_per_request = dice::Client::kDescriptors;
  options.descriptors = dice::Memories::kDescriptors;
  dice::LogSink sink(STDOUT_FILENO);
  dice::Telemetry telemetry(sink, options.logging, options.tracing);
  dice::SteadyClock clock;
  dice::Service service(options, telemetry, clock);
  const dice::Frontend frontend(frontend_options, service, options.tracing.service);
  if (const auto ports = service.start(); !ports) {
    std::cerr << ports.error() << "\n";
    return 1;
  }
  return service.run({}, {});
}
