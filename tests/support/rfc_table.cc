#include "support/rfc_table.h"

namespace dice::test {
namespace {

using namespace std::string_literals;

const std::string kHost = "Host: x\r\n";

/// A GET of /healthz with these header lines.
std::string get(const std::string& lines) { return "GET /healthz HTTP/1.1\r\n" + lines + "\r\n"; }

std::string line(const std::string& request_line) { return request_line + "\r\n" + kHost + "\r\n"; }

/// A PUT of /debug/faults with these header lines and this body.
std::string put(const std::string& lines, const std::string& body) {
  return "PUT /debug/faults HTTP/1.1\r\n" + kHost + lines + "\r\n" + body;
}

std::string chunked(const std::string& body) { return put("Transfer-Encoding: chunked\r\n", body); }

/// A second request, which is answered only if the end of the first one was found correctly.
const std::string kNext = get(kHost);

}  // namespace

const std::vector<RfcRow>& rfc_table() {
  static const std::vector<RfcRow> rows = {
      // --- the message as a whole ---
      {"9112 2.2", get(kHost), {200}, true},
      {"9112 2.2", "\r\n" + get(kHost), {200}, true},
      {"9112 2.2", get(kHost) + "\r\n" + kNext, {200, 200}, true},
      {"9112 2.2", "\r\n\r\n" + get(kHost), {400}},
      {"9112 2.2", "GET /healthz HTTP/1.1\n" + kHost + "\r\n", {400}},
      {"9112 2.2", "GET /healthz HTTP/1.1\r\nHost: x\n\r\n", {400}},
      {"9112 2.2", "GET /healthz HTTP/1.1\rHost: x\r\r", {400}},
      {"9112 2.2", get("Host: x\r\nX-Test: a\rb\r\n"), {400}},
      {"9112 2.2", get("Host: x\r\nX-Test: a\r\rb\r\n"), {400}},
      {"9112 2.2", get(" \r\n" + kHost), {400}},
      {"9112 2.2", get(" X-Test: a\r\n" + kHost), {400}},
      {"9112 2.2", get("\tX-Test: a\r\n" + kHost), {400}},
      {"9112 2.2", "   \r\n\r\n", {400}},
      {"9112 2.2", "\x00\x01\x02\xFF\xFE\x80 \r\n\r\n"s, {400}},
      {"9112 2.2", "\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03"s, {400}},  // TLS
      {"9112 2.2", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Test: value", {400}, false, false, true},
      {"9112 2.2", "GET /hea", {400}, false, false, true},

      // --- version ---
      {"9112 2.3", line("GET /healthz"), {400}},
      {"9112 2.3", "GET /healthz\r\n\r\n", {400}},
      {"9112 2.3", line("GET /healthz HTTP/1"), {400}},
      {"9112 2.3", line("GET /healthz HTTP/1."), {400}},
      {"9112 2.3", line("GET /healthz HTTP/01.01"), {400}},
      {"9112 2.3", line("GET /healthz HTTP/1.10"), {400}},
      {"9112 2.3", line("GET /healthz HTTP/ 1.1"), {400}},
      {"9112 2.3", line("GET /healthz HTTP/1 .1"), {400}},
      {"9112 2.3", line("GET /healthz http/1.1"), {400}},
      {"9112 2.3", line("GET /healthz HTTPS/1.1"), {400}},
      {"9112 2.3", line("GET /healthz HTTP/9.9"), {400}},
      {"9112 2.3", line("GET /healthz HTTP/1.2"), {400}},
      {"9112 2.3", line("GET /healthz HTTP/2.0"), {400}},
      {"9113 3.4", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}},

      // --- request line ---
      {"9112 3", line("GET  /healthz HTTP/1.1"), {400}},
      {"9112 3", line("GET /healthz  HTTP/1.1"), {400}},
      {"9112 3", line("GET\t/healthz HTTP/1.1"), {400}},
      {"9112 3", line("GET /healthz HTTP/1.1 "), {400}},
      {"9112 3", line(" GET /healthz HTTP/1.1"), {400}},
      {"9112 3", line("GET HTTP/1.1"), {400}},
      {"9112 3", line("GET /health z HTTP/1.1"), {400}},
      {"9112 3", line("/healthz HTTP/1.1"), {400}},
      {"9112 3", line("GET /" + std::string(7'900, 'a') + " HTTP/1.1"), {404}, true},
      {"9112 3", line("GET /" + std::string(100'000, 'a') + " HTTP/1.1"), {414}},
      {"9112 3", line(std::string(100'000, 'A') + " / HTTP/1.1"), {501}},
      {"9110 9.1", line("FROB /healthz HTTP/1.1"), {501}},
      {"9110 9.1", line("get /healthz HTTP/1.1"), {501}},
      {"9110 9.1", line("G@T /healthz HTTP/1.1"), {400}},
      {"9110 9.3.6", line("CONNECT example.test:443 HTTP/1.1"), {501}},
      {"9110 9.3.8", line("TRACE /healthz HTTP/1.1"), {405}, true},
      {"9110 9.3.8", "TRACE /healthz HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nhello", {405}, true},

      // --- target ---
      {"9112 3.2", line("GET /healthz#part HTTP/1.1"), {400}},
      {"9112 3.2", line("GET /healthz\0x HTTP/1.1"s), {400}},
      {"9112 3.2", line("GET /caf\xC3\xA9 HTTP/1.1"), {400}},
      {"9112 3.2", line("GET /\xC0\xAF HTTP/1.1"), {400}},
      {"9112 3.2", line("GET healthz HTTP/1.1"), {400}},
      {"9112 3.2.2", line("GET http://x/healthz HTTP/1.1"), {200}, true},
      {"9112 3.2.2", line("GET HTTP://other:8080/healthz HTTP/1.1"), {200}, true},
      {"9112 3.2.2", line("GET https://[::1]/healthz HTTP/1.1"), {200}, true},
      {"9112 3.2.2", line("GET http:///healthz HTTP/1.1"), {400}},
      {"9112 3.2.2", line("GET http://user@x/healthz HTTP/1.1"), {400}},
      {"9112 3.2.2", line("GET ftp://x/healthz HTTP/1.1"), {400}},
      {"9112 3.2.2", "GET http://x/healthz HTTP/1.1\r\n\r\n", {400}},  // Host is required even so
      {"9112 3.2.4", line("OPTIONS * HTTP/1.1"), {204}, true},
      {"9112 3.2.4", line("GET * HTTP/1.1"), {400}},

      // --- Host ---
      {"9112 3.2", get(""), {400}},
      {"9112 3.2", get("Host: x\r\nHost: y\r\n"), {400}},
      {"9112 3.2", get("Host: x\r\nHost: x\r\n"), {400}},
      {"9112 3.2", get("Host: x\r\nhOST: x\r\n"), {400}},
      {"9112 3.2", get("Host:\r\n"), {400}},
      {"9112 3.2", get("Host:   \r\n"), {400}},
      {"9112 3.2", get("Host: user@x\r\n"), {400}},
      {"9112 3.2", get("Host: x/path\r\n"), {400}},
      {"9112 3.2", get("Host: x,y\r\n"), {400}},
      {"9112 3.2", get("Host: x y\r\n"), {400}},
      {"9112 3.2", get("Host: x:port\r\n"), {400}},
      {"9112 3.2", get("Host: x:99999\r\n"), {400}},
      {"9112 3.2", get("Host: x:1:2\r\n"), {400}},
      {"9112 3.2", get("Host: [::1\r\n"), {400}},
      {"9112 3.2", get("Host: \xFF\r\n"), {400}},
      {"9112 3.2", get("Host: x:8400\r\n"), {200}, true},
      {"9112 3.2", get("Host: x:\r\n"), {200}, true},
      {"9112 3.2", get("Host: [::1]:8400\r\n"), {200}, true},
      {"9112 3.2", get("Host:x\r\n"), {200}, true},
      {"9112 3.2", get("Host: x \t\r\n"), {200}, true},
      {"9112 3.2", "GET /healthz HTTP/1.0\r\n\r\n", {200}},

      // --- header lines ---
      {"9112 5", get(kHost + ": value\r\n"), {400}},
      {"9112 5", get(kHost + "X[Test]: value\r\n"), {400}},
      {"9112 5", get(kHost + "X\tTest: value\r\n"), {400}},
      {"9112 5", get(kHost + "X-T\xC3\xABst: value\r\n"), {400}},
      {"9112 5", get(kHost + "X-Test\r\n"), {400}},
      {"9112 5", get(kHost + "X-Test:\r\nX-Empty:  \r\n"), {200}, true},
      {"9112 5.1", get(kHost + "X-Test : value\r\n"), {400}},
      {"9112 5.1", get(kHost + "X-Test\t: value\r\n"), {400}},
      {"9112 5.1", put("Content-Length : 2\r\n", "{}"), {400}},
      {"9112 5.1", put("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), {400}},
      {"9112 5.2", get(kHost + "X-Test: a\r\n b\r\n"), {400}},
      {"9112 5.2", get(kHost + "X-Test: a\r\n\tb\r\n"), {400}},
      {"9112 5.2", put("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), {400}},
      {"9112 5.2", put("Content-Length:\r\n 2\r\n", "{}"), {400}},
      {"9112 5.2", "OPTIONS /healthz HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n ,x\r\n\r\n", {400}},
      {"9110 5.3", put("Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 2\r\n", "{}"), {400}},
      {"9110 5.4", get(kHost + "X-Big: " + std::string(100'000, 'b') + "\r\n"), {431}},
      {"9110 5.4", get(kHost + std::string(100'000, 'b') + ": x\r\n"), {431}},
      {"9110 5.4",
       get(kHost +
           [] {
             std::string many;
             for (int i = 0; i < 200; ++i) many += "X-" + std::to_string(i) + ": v\r\n";
             return many;
           }()),
       {431}},
      {"9110 5.5", get(kHost + "X-Test: a\0b\r\n"s), {400}},
      {"9110 5.5", get(kHost + "X-Test: a\x07\x08\x0B\r\n"), {400}},
      {"9110 5.5", get(kHost + "X-Test: a\x7F\r\n"), {400}},
      {"9110 5.5", get(kHost + "X-Test: caf\xE9\r\n"), {200}, true},

      // --- values of unused headers are not checked ---
      {"9110 12.5.1", get(kHost + "Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\n"), {200}, true},
      {"9110 12.5.1", get(kHost + "Accept: *\r\n"), {200}, true},
      {"9110 12.5.1", get(kHost + "Accept:\r\n"), {200}, true},
      {"9111 5.2", get(kHost + "Cache-Control: frobnicate=1, ,\r\n"), {200}, true},
      {"9110 6.6.1", get(kHost + "Date: yesterday\r\n"), {200}, true},
      {"9110 8.3", get(kHost + "Content-Type: ///\r\n"), {200}, true},
      {"9110 14.2", get(kHost + "Range: bytes=9-0,x\r\n"), {200}, true},
      {"9110 14.2", put("Range: bytes=0-1\r\nContent-Length: 2\r\n", "{}"), {200}, true},
      {"9110 13.1.2", get(kHost + "If-None-Match: *\r\nIf-Modified-Since: never\r\n"), {200}, true},
      {"9110 11.6.2", get(kHost + "Authorization: Basic ====\r\n"), {200}, true},
      {"6265 5.4", get(kHost + "Cookie: ===;;;\r\nCookie: a=b\r\n"), {200}, true},
      {"9110 7.8", get(kHost + "Connection: Upgrade\r\nUpgrade: websocket\r\n"), {200}, true},
      {"9110 7.8", get(kHost + "Upgrade: h2c\r\n"), {200}, true},
      {"9110 7.8", "GET /healthz HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", {200}},
      {"9110 10.1.1", get(kHost + "Expect: something-else\r\n"), {200}, true},
      {"9110 5.6.2", get(kHost + "Content_Length: 5\r\nTransfer_Encoding: chunked\r\n") + kNext, {200, 200}, true},

      // --- Content-Length ---
      {"9112 6.2", put("Content-Length: 2\r\n", "{}") + kNext, {200, 200}, true},
      {"9112 6.2", put("Content-Length: 0\r\n", "") + kNext, {400, 200}, true},  // the route requires a JSON body
      {"9112 6.2", put("content-length:\t2 \r\n", "{}") + kNext, {200, 200}, true},
      {"9112 6.2", put("Content-Length:  2\r\n", "{}") + kNext, {200, 200}, true},
      {"9112 6.2", get(kHost + "Content-Length: 4\r\n") + "GET " + kNext, {200, 200}, true},
      {"9112 6.2", put("Content-Length: 5\r\n", "{}"), {400}, false, false, true},
      {"9112 6.2", put("Content-Length: 60000\r\n", ""), {400}, false, false, true},
      {"9112 6.2", put("Content-Length: 999999\r\n", ""), {413}},
      {"9112 6.3", put("", "") + kNext, {400, 200}, true},  // no length, so no body
      {"9112 6.3", put("Content-Length: abc\r\n", "{}"), {400}},
      {"9112 6.3", put("Content-Length: +2\r\n", "{}"), {400}},
      {"9112 6.3", put("Content-Length: -2\r\n", "{}"), {400}},
      {"9112 6.3", put("Content-Length: -0\r\n", ""), {400}},
      {"9112 6.3", put("Content-Length: 1_0\r\n", "{}        "), {400}},
      {"9112 6.3", put("Content-Length: 0x2\r\n", "{}"), {400}},
      {"9112 6.3", put("Content-Length: 0o2\r\n", "{}"), {400}},
      {"9112 6.3", put("Content-Length: 2 2\r\n", "{}"), {400}},
      {"9112 6.3", put("Content-Length: 2.0\r\n", "{}"), {400}},
      {"9112 6.3", put("Content-Length: 2;\r\n", "{}"), {400}},
      {"9112 6.3", put("Content-Length:\r\n", "{}"), {400}},
      {"9110 8.6", put("Content-Length: 99999999999999999999\r\n", "{}"), {400}},
      {"9110 8.6", put("Content-Length: 18446744073709551616\r\n", "{}"), {400}},
      {"9110 8.6", put("Content-Length: 2\r\nContent-Length: 3\r\n", "{} "), {400}},
      {"9110 8.6", put("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), {400}},
      {"9110 8.6", put("Content-Length: 2, 3\r\n", "{} "), {400}},
      {"9110 8.6", put("Content-Length: 2, 2\r\n", "{}"), {400}},
      {"9110 8.6", put("Content-Length: 02\r\n", "{}"), {400}},
      {"9110 8.6", put("Content-Length: 00\r\n", ""), {400}},
      {"9110 8.6", put("Content-Length: 0200\r\n", "{}"), {400}},
      {"9110 8.6", put("Content-Length: 0\r\nContent-Length: 35\r\n", kNext), {400}},

      // --- Transfer-Encoding ---
      {"9112 6.1", put("Transfer-Encoding: chunked\r\nContent-Length: 7\r\n", "2\r\n{}\r\n0\r\n\r\n") + kNext, {400}},
      {"9112 6.1", put("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nX"), {400}},
      {"9112 6.1", put("Content-Length: 2\r\nTransfer-Encoding: Chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 6.1", put("Content-Length: 2\r\nTransfer-Encoding: xchunked\r\n", "{}"), {400}},
      {"9112 6.1", put("Content-Length: 2\r\nTransfer-Encoding: identity\r\n", "{}"), {400}},
      {"9112 6.1", put("Content-Length: 2\r\nTransfer-Encoding:\r\n", "{}"), {400}},
      {"9112 6.1", put("Content-Length: 2\r\nTransfer-Encoding: chunked \r\n", "{}"), {400}},
      {"9112 6.1", put("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), {400}},
      {"9112 6.1", put("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), {400}},
      {"9112 6.1", put("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), {400}},
      {"9112 6.1",
       put("Transfer-Encoding: \x0B"
           "chunked\r\n",
           "0\r\n\r\n"),
       {400}},
      {"9112 6.1",
       put("Transfer-Encoding: \x0C"
           "chunked\r\n",
           "0\r\n\r\n"),
       {400}},
      {"9112 6.1", put("Transfer-Encoding: chunked\0\r\n"s, "0\r\n\r\n"), {400}},
      {"9112 6.1", put("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), {400}},
      {"9112 6.1", put("Transfer-Encoding:\r\n", ""), {400}},
      {"9112 6.1", put("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), {501}},
      {"9112 6.1",
       "PUT /debug/faults HTTP/1.0\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
       {400}},
      {"9112 6.3", put("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), {400}},
      {"9112 6.3", put("Transfer-Encoding: gzip\r\n", ""), {400}},
      {"9112 6.3", put("Transfer-Encoding: identity\r\n", ""), {400}},
      {"9112 7", put("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"), {400}},
      {"9110 5.6.1", put("Transfer-Encoding: , chunked,\r\n", "2\r\n{}\r\n0\r\n\r\n") + kNext, {200, 200}, true},
      {"9110 5.6.1", put("Transfer-Encoding:\tcHuNkEd\r\n", "2\r\n{}\r\n0\r\n\r\n") + kNext, {200, 200}, true},

      // --- chunks ---
      {"9112 7.1", chunked("2\r\n{}\r\n0\r\n\r\n") + kNext, {200, 200}, true},
      {"9112 7.1", chunked("1\r\n{\r\n1\r\n}\r\n0\r\n\r\n") + kNext, {200, 200}, true},
      {"9112 7.1", chunked("A\r\n{}        \r\n0\r\n\r\n") + kNext, {200, 200}, true},
      {"9112 7.1", chunked("a\r\n{}        \r\n0\r\n\r\n") + kNext, {200, 200}, true},
      {"9112 7.1", chunked("0002\r\n{}\r\n000\r\n\r\n") + kNext, {200, 200}, true},
      {"9112 7.1", chunked("0\r\n\r\n") + kNext, {400, 200}, true},  // the route requires a JSON body
      {"9112 7.1", chunked("2\r\n{}\r\n"), {400}, false, false, true},
      {"9112 7.1", chunked("0x2\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("+2\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("-2\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked(" 2\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("2 \r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("2_0\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("+0\r\n\r\nX"), {400}},
      {"9112 7.1", chunked("\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("g\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("FFFFFFFFFFFFFFFF0\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("FFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"), {413}},
      {"9112 7.1", chunked("20000\r\n"), {413}},
      {"9112 7.1", chunked("2\r\n{}    \r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("2\r\n{}0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("2\r\n{}\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("2\r\n{}\r0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("2\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1", chunked("2\r{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1.1", chunked("2;name=value;other=\"quoted \\\" \"\r\n{}\r\n0;last\r\n\r\n") + kNext, {200, 200}, true},
      {"9112 7.1.1", chunked("2;\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1.1", chunked("2;[=x\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1.1", chunked("2;a\0b\r\n{}\r\n0\r\n\r\n"s), {400}},
      {"9112 7.1.1", chunked("2;a=\"\0\"\r\n{}\r\n0\r\n\r\n"s), {400}},
      {"9112 7.1.1", chunked("2;a=\"\n\"\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1.1", chunked("2;a\rX\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1.1", chunked("2;a=" + std::string(100'000, 'x') + "\r\n{}\r\n0\r\n\r\n"), {400}},
      {"9112 7.1.2", chunked("2\r\n{}\r\n0\r\nX-Trailer: value\r\n\r\n") + kNext, {200, 200}, true},
      {"9112 7.1.2", chunked("2\r\n{}\r\n0\r\nHost: y\r\nAuthorization: z\r\n\r\n") + kNext, {200, 200}, true},
      {"9110 6.5.1", chunked("2\r\n{}\r\n0\r\nContent-Length: 50\r\n\r\n") + kNext, {400}},
      {"9110 6.5.1", chunked("2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n") + kNext, {400}},
      {"9112 7.1.2", chunked("2\r\n{}\r\n0\r\nX-Long: " + std::string(100'000, 'x') + "\r\n\r\n"), {400}},

      // --- methods ---
      {"9110 9.3.2", "HEAD /healthz HTTP/1.1\r\n" + kHost + "\r\n" + kNext, {200, 200}, true, true},
      {"9110 9.3.2",
       "HEAD /healthz HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nhello" + kNext,
       {200, 200},
       true,
       true},
      {"9110 9.3.7", line("OPTIONS /healthz HTTP/1.1") + kNext, {204, 200}, true},
      {"9110 9.3.7", "OPTIONS /healthz HTTP/1.1\r\n" + kHost + "Content-Length: 2\r\n\r\n{}" + kNext, {204, 200}, true},
      {"9110 15.5.6", line("DELETE /healthz HTTP/1.1") + kNext, {405, 200}, true},
      {"9110 15.5.6",
       "POST /healthz HTTP/1.1\r\n" + kHost + "Content-Length: 5\r\n\r\nhello" + kNext,
       {405, 200},
       true},
      {"9110 15.5.5", line("GET /nowhere HTTP/1.1") + kNext, {404, 200}, true},

      // --- connections ---
      {"9112 9.3", get(kHost + "Connection: keep-alive\r\n"), {200}, true},
      {"9112 9.3", "GET /healthz HTTP/1.0\r\n" + kHost + "\r\n", {200}},
      {"9112 9.3", "GET /healthz HTTP/1.0\r\n" + kHost + "Connection: keep-alive\r\n\r\n", {200}, true},
      {"9112 9.3.2", get(kHost) + kNext + kNext, {200, 200, 200}, true},
      {"9112 9.6", get(kHost + "Connection: close\r\n") + kNext, {200}},
      {"9112 9.6", get(kHost + "Connection: Close, x\r\n") + kNext, {200}},
      {"9112 9.6", get(kHost + "Connection: keep-alive\r\nConnection: close\r\n") + kNext, {200}},
      {"9110 10.1.1", put("Expect: 100-continue\r\nContent-Length: 2\r\n", "{}") + kNext, {200, 200}, true},
      {"9110 10.1.1", put("Expect: 100-Continue\r\nContent-Length: 999999\r\n", ""), {413}},
  };
  return rows;
}

}  // namespace dice::test
