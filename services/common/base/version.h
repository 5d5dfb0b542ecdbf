// The version and the commit of the build.
#pragma once

namespace dice {

/// The project's version, from CMakeLists.txt.
extern const char* const version;
/// The git commit of the build, "unknown" outside a checkout.
extern const char* const commit;

}  // namespace dice
