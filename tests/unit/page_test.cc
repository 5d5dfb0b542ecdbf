#include "frontend/page.h"

#include <doctest/doctest.h>

namespace dice {
namespace {

TEST_CASE("page: Accept-Encoding allows gzip or not") {
  for (const auto* allows : {"gzip", "GZip", "gzip, deflate, br, zstd", "br ,\tx-gzip", "*", "identity, *;q=0.1",
                             "gzip;q=1.0", "gzip ; Q=0.001", "*;q=0, gzip", ",gzip,"}) {
    CAPTURE(allows);
    CHECK(accepts_gzip(allows));
  }
  for (const auto* forbids : {"", "identity", "br", "gzip;q=0", "gzip;q=0.000", "gzip ; q=0.", "*;q=0", "*, gzip;q=0",
                              "gzip;q=0, *", "gzipped", "*;q=0.0, identity"}) {
    CAPTURE(forbids);
    CHECK_FALSE(accepts_gzip(forbids));
  }
}

}  // namespace
}  // namespace dice
