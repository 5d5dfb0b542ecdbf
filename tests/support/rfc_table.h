// A table of requests and the responses that RFC 9110 and 9112 require.
#pragma once

#include <string>
#include <vector>

namespace dice::test {

struct RfcRow {
  /// "9112 5.1": the RFC and its section.
  const char* paragraph;
  std::string sent;
  /// The statuses of the answers, in order.
  std::vector<int> came;
  /// Whether the connection stays open afterwards; otherwise, the server closes it.
  bool kept = false;
  /// The first response is to a HEAD request.
  bool head = false;
  /// The client closes its side after the last byte; the response does not arrive before that.
  bool ended = false;
};

/// For a port that has GET /healthz, and GET and PUT /debug/faults.
const std::vector<RfcRow>& rfc_table();

}  // namespace dice::test
