#include "common/concurrency/admission.h"

#include <algorithm>

namespace dice {

std::optional<Admission::Ticket> Admission::try_acquire(std::size_t units) {
  auto now = in_use_.load(std::memory_order_relaxed);
  do {
    if (units > limit_ || now > limit_ - units) return std::nullopt;
  } while (!in_use_.compare_exchange_weak(now, now + units, std::memory_order_acquire));
  return Ticket(this, units);
}

bool RateLimit::try_acquire(TimePoint now) {
  if (per_second_ <= 0) return true;
  constexpr double kMaxInterval = 1e6;  // seconds: far above any practical use, and far below the limits of the clock
  const auto interval = to_steady(Seconds(std::min(1 / per_second_, kMaxInterval)));
  const auto burst = std::max(to_steady(Seconds(1)), interval);
  const Lock lock(mutex_);
  const auto next = std::max(full_at_, now) + interval;
  if (next - now > burst) return false;
  full_at_ = next;
  return true;
}

}  // namespace dice
