// The files of the page.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "frontend/assets.h"
#include "support/http.h"
#include "support/system.h"

namespace dice::test {
namespace {

const Headers kGzip = {{"Accept-Encoding", "gzip, deflate, br"}};

TEST_CASE("page: every file is served as it is and compressed, with a strict content security policy") {
  const RunningService frontend(RunningService::Kind::frontend, quick({{"GRAFANA_URL", "http://grafana:3000/"}}));
  CHECK(assets().size() >= 4);
  for (const auto& asset : assets()) {
    CAPTURE(asset.path);
    for (const bool gzip : {false, true}) {
      const auto& form = gzip ? asset.gzip : asset.plain;
      auto reply = request(frontend.port(), "GET", std::string(asset.path), gzip ? kGzip : Headers{});
      CHECK(reply.status == 200);
      CHECK(reply.body == form.content);
      CHECK(!reply.body.empty());
      CHECK(reply.body.starts_with("\x1f\x8b") == gzip);
      CHECK(reply.headers["content-encoding"] == (gzip ? "gzip" : ""));
      CHECK(reply.headers["content-type"] == asset.content_type);
      CHECK(reply.headers["content-security-policy"].starts_with(
          "default-src 'none'; script-src 'self'; style-src 'self'"));
      CHECK(reply.headers["x-content-type-options"] == "nosniff");
      CHECK(reply.headers["cache-control"] == "no-cache");
      CHECK(reply.headers["vary"] == "Accept-Encoding");
      CHECK(reply.headers["etag"] == form.etag);
    }
    CHECK(asset.plain.etag != asset.gzip.etag);
  }
  CHECK(json(get(frontend.port(), "/api/config").body)["grafana_url"] == "http://grafana:3000");
}

TEST_CASE("page: what the client has already is not sent again") {
  const RunningService frontend(RunningService::Kind::frontend, quick());
  const auto tag = get(frontend.port(), "/style.css").headers["etag"];
  const auto compressed = get(frontend.port(), "/style.css", kGzip).headers["etag"];
  REQUIRE(tag.size() > 2);
  REQUIRE(tag != compressed);
  Connection kept(frontend.port());
  for (const auto& same :
       {tag, "W/" + tag, "\"other\", W/" + tag + ",\"a,b\"", std::string("*"), "\"other\"\r\nIf-None-Match: " + tag}) {
    for (const auto* method : {"GET", "HEAD"}) {
      CAPTURE(method);
      CAPTURE(same);
      kept.send(std::string(method) + " /style.css HTTP/1.1\r\nHost: x\r\nIf-None-Match: " + same + "\r\n\r\n");
      auto reply = kept.receive(true);
      CHECK(reply.status == 304);
      CHECK(reply.headers["etag"] == tag);
      CHECK(reply.headers["vary"] == "Accept-Encoding");
      CHECK(reply.headers["cache-control"] == "no-cache");
      CHECK(reply.headers.contains("date"));
      CHECK(reply.headers.contains("content-security-policy"));
      for (const auto* absent : {"content-length", "content-type", "content-encoding", "transfer-encoding"}) {
        CHECK_FALSE(reply.headers.contains(absent));
      }
    }
  }
  for (const auto& other : {compressed, std::string("\"other\""), tag.substr(1), std::string("W/*"), std::string()}) {
    CAPTURE(other);
    kept.send("GET /style.css HTTP/1.1\r\nHost: x\r\nIf-None-Match: " + other + "\r\n\r\n");
    CHECK(kept.receive().status == 200);
  }
  CHECK(request(frontend.port(), "GET", "/style.css", {kGzip[0], {"If-None-Match", compressed}}).status == 304);
  CHECK(request(frontend.port(), "GET", "/style.css", {kGzip[0], {"If-None-Match", tag}}).status == 200);
}

TEST_CASE("page: HEAD gets the headers of GET") {
  const RunningService frontend(RunningService::Kind::frontend, quick());
  for (const auto& headers : {Headers{}, kGzip}) {
    auto got = request(frontend.port(), "GET", "/app.js", headers);
    Connection client(frontend.port());
    client.send("HEAD /app.js HTTP/1.1\r\nHost: x\r\n" +
                (headers.empty() ? "" : headers[0].first + ": " + headers[0].second + "\r\n") + "\r\n");
    auto head = client.receive(true);
    CHECK(head.status == 200);
    for (const auto* name : {"content-length", "content-type", "content-encoding", "etag", "vary"}) {
      CAPTURE(name);
      CHECK(head.headers[name] == got.headers[name]);
    }
  }
}

TEST_CASE("page: what a first visit loads is at most 20 KB") {
  std::size_t bytes = 0;
  const auto& page = *std::ranges::find(assets(), "/", &Asset::path);
  for (const auto& asset : assets()) {
    // The scripts load others when they are needed.
    if (&asset != &page && !page.plain.content.contains('"' + std::string(asset.path.substr(1)) + '"')) continue;
    MESSAGE(asset.path << ": " << asset.gzip.content.size() << " of " << asset.plain.content.size() << " bytes");
    bytes += asset.gzip.content.size();
  }
  MESSAGE("together: " << bytes << " bytes");
  CHECK(bytes <= 20'000);
}

}  // namespace
}  // namespace dice::test
