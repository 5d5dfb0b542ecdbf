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
  // By default the C library has up to eight heaps per core, each with fragments of its own: memory grows under load.
  // The number of cores is 0 if it is unknown, and 0 is mallopt's default.
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  (void)::mallopt(M_ARENA_MAX, cores);  // NOLINT(concurrency-mt-unsafe): there is one thread
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
