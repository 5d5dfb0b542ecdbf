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

bool CircuitBreaker::succeeded() {
  const Lock lock(mutex_);
  // A late success of a call from before the breaker opened says nothing about now.
  if (state_ == State::open) return false;
  const bool closed = state_ == State::half_open;
  state_ = State::closed;
  failures_ = 0;
  probing_ = false;
  return closed;
}

bool CircuitBreaker::failed(TimePoint now) {
  const Lock lock(mutex_);
  if (options_.failures <= 0 || state_ == State::open) return false;
  if (state_ == State::closed && ++failures_ < options_.failures) return false;
  state_ = State::open;
  opened_at_ = now;
  failures_ = 0;
  probing_ = false;
  return true;
}

CircuitBreaker::State CircuitBreaker::state() const {
  const Lock lock(mutex_);
  return state_;
}

}  // namespace dice
