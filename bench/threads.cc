// bench-threads BATCHES ROLLS: the least that a thread per roll takes. All threads wait; each batch's thread, once it
// is told to, wakes those of its rolls, which sleep up to a second. Prints by how many milliseconds the batches took
// longer than their longest roll: the median and the 99th percentile.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <latch>
#include <random>
#include <semaphore>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

struct Roll {
  std::binary_semaphore wake{0};
  Milliseconds work{};
  Milliseconds took{};
};

struct Batch {
  explicit Batch(std::size_t size) : rolls(size), done(static_cast<std::ptrdiff_t>(size)) {}

  std::deque<Roll> rolls;
  std::binary_semaphore sent{0};
  Clock::time_point sent_at;
  std::latch done;
  Milliseconds overhead{};
};

void run(Roll& roll, Batch& batch, std::latch& waiting) {
  waiting.count_down();
  roll.wake.acquire();
  const auto start = Clock::now();
  std::this_thread::sleep_for(roll.work);
  roll.took = Clock::now() - start;
  batch.done.count_down();
}

void run(Batch& batch, std::latch& waiting) {
  waiting.count_down();
  batch.sent.acquire();
  for (auto& roll : batch.rolls) roll.wake.release();
  batch.done.wait();
  batch.overhead = Clock::now() - batch.sent_at - std::ranges::max_element(batch.rolls, {}, &Roll::took)->took;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto batches = std::strtoul(argv[1], nullptr, 10);
  const auto rolls = std::strtoul(argv[2], nullptr, 10);
  std::mt19937 random;
  std::uniform_real_distribution<double> work(0, 1000);
  std::vector<double> overheads;
  for (int wave = 0; wave < 3; ++wave) {
    std::latch waiting(static_cast<std::ptrdiff_t>(batches * (rolls + 1)));
    std::deque<Batch> all;
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < batches; ++i) {
      auto& batch = all.emplace_back(rolls);
      threads.emplace_back([&] { run(batch, waiting); });
      for (auto& roll : batch.rolls) {
        roll.work = Milliseconds(work(random));
        threads.emplace_back([&] { run(roll, batch, waiting); });
      }
    }
    waiting.wait();
    std::this_thread::sleep_for(Milliseconds(100));  // until they really wait
    for (auto& batch : all) {
      batch.sent_at = Clock::now();
      batch.sent.release();
    }
    threads.clear();
    for (const auto& batch : all) overheads.push_back(batch.overhead.count());
  }
  std::ranges::sort(overheads);
  std::printf("%.2f %.2f\n", overheads[overheads.size() / 2], overheads[overheads.size() * 99 / 100]);
}
