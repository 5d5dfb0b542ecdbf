#pragma once

namespace dice {

/// The project's version, from CMakeLists.txt.
extern const char* const version;
/// The git commit it was built from, "unknown" outside a checkout.
extern const char* const commit;

}  // namespace dice
