// Fault injection from the page: GET and PUT /api/faults/{service}.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/concurrency/admission.h"
#include "common/concurrency/thread_pool.h"
#include "common/http/replicas.h"
#include "common/service.h"

namespace dice {

/// Passes faults on to the metrics ports of all replicas of a service. What a page sets ends by itself, and only our
/// own page may set it.
class FaultRelay {
 public:
  /// Adds the routes, which are never faulted themselves. `metrics_urls` has the replicas of each service, by its name;
  /// `own` are the faults of this process, which stands for the frontend if that is missing. `service` and `own` must
  /// outlive this object.
  FaultRelay(Service& service, Faults& own, const std::map<std::string, std::vector<std::string>>& metrics_urls);

 private:
  Answer get(const Request& request);
  Answer put(const Request& request);
  /// Whether `service` is this process, and no other.
  bool is_own(const std::string& service) const;
  Answer relay(const std::string& method, const std::string& service, const Request& request);
  /// GET: the first response. PUT: one of those of all replicas that responded, an error if there is one.
  Result ask(const std::string& method, Replicas& replicas, const Request& request);

  Faults& own_;
  const Logger log_;
  /// By the name of the service.
  std::map<std::string, std::unique_ptr<Replicas>, std::less<>> services_;
  /// Their threads are shared with scrapes.
  Admission requests_;
  ThreadPool threads_;
};

}  // namespace dice
