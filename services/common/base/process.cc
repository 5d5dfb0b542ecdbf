#include "common/base/process.h"

#include <malloc.h>
#include <sys/resource.h>

#include <csignal>
#include <thread>

#include "common/base/signals.h"

namespace dice {

void prepare_process() {
  block_signals();
  (void)std::signal(SIGPIPE, SIG_IGN);
  // By default the C library has eight heaps per core, each with fragments of its own: memory grows under load.
  if (const auto cores = std::thread::hardware_concurrency(); cores > 0) {
    (void)::mallopt(M_ARENA_MAX, static_cast<int>(cores));  // NOLINT(concurrency-mt-unsafe): there is one thread
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

std::size_t descriptor_limit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

}  // namespace dice
