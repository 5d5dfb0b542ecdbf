// A parsed response of the frontend. Fields that are missing or have another type are empty.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "common/http/client.h"

namespace dice::loadgen {

struct Answer {
  /// 0 = no response; `error_code` and `error_message` say why.
  int status = 0;
  bool is_json_object = false;
  std::optional<std::string> error_code;
  std::optional<std::string> error_message;
  std::optional<std::string> trace_id;

  std::optional<std::vector<std::string>> identifiers;
  std::optional<std::int64_t> roll;
  std::optional<std::int64_t> total;
  std::optional<std::vector<std::int64_t>> rolls;
  std::optional<std::int64_t> count;
  struct Failed {
    std::int64_t index = -1;
    std::string error;
  };
  std::optional<std::vector<Failed>> failed;

  /// Headers.
  std::string allow;
  std::string traceresponse;

  bool succeeded() const { return status >= 200 && status < 300; }
  /// "200", "500 batch_failed", "no answer: …"
  std::string outcome() const;
};

Answer parse_answer(const std::expected<ClientResponse, Error>& response);

}  // namespace dice::loadgen
