#include "common/http/router.h"

#include <doctest/doctest.h>

namespace dice {
namespace {

using Parameters = std::map<std::string, std::string>;

constexpr auto kNone = Router::Match::kNone;

TEST_CASE("router: a route is found by path and method, and HEAD matches GET") {
  Router router;
  CHECK(router.add(Method::get, "/dice") == 0);
  CHECK(router.add(Method::put, "/dice") == 1);
  CHECK(router.add(Method::post, "/other") == 2);
  CHECK(router.match(Method::get, "/dice").route == 0);
  CHECK(router.match(Method::put, "/dice").route == 1);
  CHECK(router.match(Method::head, "/dice").route == 0);
  CHECK(router.match(Method::head, "/other").route == kNone);
  const auto wrong = router.match(Method::del, "/dice");
  CHECK(wrong.route == kNone);
  CHECK(wrong.path == "/dice");
  CHECK(wrong.allow == "GET, HEAD, PUT, OPTIONS");
  CHECK(router.match(Method::get, "/other").allow == "POST, OPTIONS");
  CHECK(router.match(Method::options, "*").allow == "GET, HEAD, POST, PUT, OPTIONS");
}

TEST_CASE("router: a name in braces matches one non-empty segment; an exact path takes precedence") {
  Router router;
  router.add(Method::get, "/dice/{identifier}");
  router.add(Method::get, "/dice/all");
  router.add(Method::get, "/{a}/b/{c}");
  CHECK(router.match(Method::get, "/dice/fair").parameters == Parameters{{"identifier", "fair"}});
  CHECK(router.match(Method::get, "/dice/fair").path == "/dice/{identifier}");
  CHECK(router.match(Method::get, "/dice/%2F%20").parameters == Parameters{{"identifier", "/ "}});
  CHECK(router.match(Method::get, "/dice/all").route == 1);
  CHECK(router.match(Method::get, "/dice/all").parameters.empty());
  CHECK(router.match(Method::get, "/x/b/y").parameters == Parameters{{"a", "x"}, {"c", "y"}});
}

TEST_CASE("router: without a matching route, the path is empty") {
  Router router;
  router.add(Method::get, "/dice/{identifier}");
  router.add(Method::get, "/");
  for (const auto* path : {"/dice", "/dice/", "/dice/fair/", "/dice/fair/more", "/Dice/fair", "//", "/dice//fair",
                           "/dice/%FF", "/dice/%4", "x"}) {
    CAPTURE(path);
    CHECK(router.match(Method::get, path).path.empty());
    CHECK(router.match(Method::get, path).route == kNone);
  }
  CHECK(router.match(Method::get, "/").path == "/");
  // As sent: dot segments are not resolved.
  CHECK(router.match(Method::get, "/dice/..").parameters == Parameters{{"identifier", ".."}});
}

}  // namespace
}  // namespace dice
