#include "common/concurrency/circuit_breaker.h"

namespace dice {

void CircuitBreaker::change(State state) {
  state_ = state;
  ++generation_;
  failures_ = 0;
  probing_ = false;
}

std::optional<CircuitBreaker::Ticket> CircuitBreaker::try_acquire(TimePoint now) {
  const Lock lock(mutex_);
  if (state_ == State::open && now - opened_at_ >= to_steady(options_.pause)) change(State::half_open);
  if (state_ == State::open || probing_) return std::nullopt;
  probing_ = state_ == State::half_open;
  return Ticket(this, generation_);
}

CircuitBreaker::Ticket::~Ticket() {
  if (owner_ == nullptr) return;
  const Lock lock(owner_->mutex_);
  if (owner_->generation_ == generation_) owner_->probing_ = false;
}

bool CircuitBreaker::Ticket::succeeded() && {
  auto& breaker = *std::exchange(owner_, nullptr);
  const Lock lock(breaker.mutex_);
  if (breaker.generation_ != generation_) return false;
  breaker.failures_ = 0;
  if (breaker.state_ == State::closed) return false;
  breaker.change(State::closed);
  return true;
}

bool CircuitBreaker::Ticket::failed(TimePoint now) && {
  auto& breaker = *std::exchange(owner_, nullptr);
  const Lock lock(breaker.mutex_);
  if (breaker.options_.failures <= 0 || breaker.generation_ != generation_) return false;
  if (breaker.state_ == State::closed && ++breaker.failures_ < breaker.options_.failures) return false;
  breaker.change(State::open);
  breaker.opened_at_ = now;
  return true;
}

CircuitBreaker::State CircuitBreaker::state() const {
  const Lock lock(mutex_);
  return state_;
}

}  // namespace dice
