#include "common/concurrency/circuit_breaker.h"

namespace dice {

bool CircuitBreaker::allow(TimePoint now) {
  const Lock lock(mutex_);
  if (state_ == State::open && now - opened_at_ >= options_.pause) {
    state_ = State::half_open;
    probing_ = false;
  }
  if (state_ == State::closed) return true;
  if (state_ == State::open || probing_) return false;
  probing_ = true;
  return true;
}

void CircuitBreaker::succeeded() {
  const Lock lock(mutex_);
  // A late success of a call from before the breaker opened says nothing about now.
  if (state_ == State::open) return;
  state_ = State::closed;
  failures_ = 0;
  probing_ = false;
}

void CircuitBreaker::failed(TimePoint now) {
  const Lock lock(mutex_);
  if (options_.failures <= 0 || state_ == State::open) return;
  if (state_ == State::closed && ++failures_ < options_.failures) return;
  state_ = State::open;
  opened_at_ = now;
  failures_ = 0;
  probing_ = false;
}

CircuitBreaker::State CircuitBreaker::state() const {
  const Lock lock(mutex_);
  return state_;
}

}  // namespace dice
