// Where traces are read back from.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "loadgen/sources/backend.h"
#include "loadgen/trace.h"

namespace dice::loadgen {

/// Traces by id: the frontend's API, or Tempo's, whose path is the same.
class TraceSource {
 public:
  /// `kind` is `kFrontend.name` or "Tempo".
  TraceSource(const std::string& kind, const std::string& url);

  const std::string& name() const { return client_.name(); }
  /// Why spans may be missing although nothing is broken; may be empty.
  std::string detail() const;
  /// Nothing while the trace is not found.
  std::expected<std::optional<Trace>, SourceError> find(const std::string& trace_id);

 private:
  const bool is_frontend_;
  Client client_;
};

}  // namespace dice::loadgen
