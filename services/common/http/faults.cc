#include "common/http/faults.h"

namespace dice {

void Faults::set(const Setting& setting) {
  const Lock lock(mutex_);
  setting_ = setting;
  end_ = setting.remaining ? clock_.now() + to_steady(*setting.remaining) : TimePoint::max();
  due_ = 0;
  active_ = setting.active();
}

Faults::Setting Faults::get() const {
  const Lock lock(mutex_);
  const auto now = clock_.now();
  if (!setting_.active() || now >= end_) return {};
  auto setting = setting_;
  if (setting.remaining) setting.remaining = end_ - now;
  return setting;
}

Faults::Fault Faults::next() {
  if (!active_.load(std::memory_order_relaxed)) return {};
  const Lock lock(mutex_);
  if (!setting_.active() || clock_.now() >= end_) return {};
  Fault fault{true, Seconds(setting_.delay_seconds), setting_.unavailable, setting_.unavailable};
  // The small amount compensates for rounding: ten times 0.1 is slightly less than 1.
  due_ += setting_.error_rate + 1e-12;
  if (due_ >= 1) {
    due_ -= 1;
    fault.fails = true;
  }
  return fault;
}

}  // namespace dice
