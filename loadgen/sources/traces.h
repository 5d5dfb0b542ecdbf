// Source of traces: the frontend, or Tempo.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "loadgen/sources/backend.h"
#include "loadgen/trace.h"

namespace dice::loadgen {

/// Reads traces by id from the API of the frontend or of Tempo, which have the same path.
class TraceSource {
 public:
  /// `kind` is `kFrontend.name` or "Tempo".
  TraceSource(const std::string& kind, const std::string& url);

  const std::string& name() const { return client_.name(); }
  /// The spans that have ended; empty if none is found (yet).
  std::expected<std::optional<Trace>, SourceError> find(const std::string& trace_id);

 private:
  Client client_;
};

}  // namespace dice::loadgen
