// Fault injection from the page: GET and PUT /api/faults/{service}.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/concurrency/admission.h"
#include "common/http/client.h"
#include "common/service.h"

namespace dice {

/// Passes a service's faults on to its metrics port. What a page sets ends by itself, and only our own page may set it.
class FaultRelay {
 public:
  /// Adds the routes, which are never faulted themselves. `metrics_urls` has the other services, by name; `own` are the
  /// frontend's faults. `service` and `own` must outlive this object.
  FaultRelay(Service& service, Faults& own, const std::map<std::string, std::string>& metrics_urls);

 private:
  Answer get(const Request& request);
  Answer put(const Request& request);
  Answer relay(const std::string& method, const std::string& service, const Request& request);

  Faults& own_;
  const Logger log_;
  /// By the name of the service.
  std::map<std::string, std::unique_ptr<Client>, std::less<>> services_;
  /// Their threads are shared with scrapes.
  Admission requests_;
};

}  // namespace dice
