#include "common/http/faults.h"

namespace dice {

void Faults::set(Setting setting) {
  const Lock lock(mutex_);
  setting_ = setting;
  due_ = 0;
  active_ = setting.active();
}

Faults::Setting Faults::get() const {
  const Lock lock(mutex_);
  return setting_;
}

Faults::Fault Faults::next() {
  if (!active_.load(std::memory_order_relaxed)) return {};
  const Lock lock(mutex_);
  Fault fault{setting_.active(), Seconds(setting_.delay_seconds), false};
  // The small amount compensates for rounding: ten times 0.1 is slightly less than 1.
  due_ += setting_.error_rate + 1e-12;
  if (due_ >= 1) {
    due_ -= 1;
    fault.fails = true;
  }
  return fault;
}

}  // namespace dice
