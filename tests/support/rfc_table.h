// What RFC 9110 and 9112 ask of a server that receives a request: what is sent, and what comes.
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
  /// Afterwards the connection is kept, else the server closes it.
  bool kept = false;
  /// The first answer is one to HEAD.
  bool head = false;
  /// The client ends its side after the last byte: the answer does not come before.
  bool ended = false;
};

/// To a port that has GET /healthz, and GET and PUT /debug/faults.
const std::vector<RfcRow>& rfc_table();

}  // namespace dice::test
