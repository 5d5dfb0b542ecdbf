// OTLP/JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
#pragma once

#include <rapidjson/document.h>

namespace dice {

/// Turns the JSON that a protobuf library prints for a trace (ids in base64, enumerations as names; Tempo's
/// `/api/traces/{id}`, where the list is called `batches`) into OTLP/JSON: `resourceSpans`, ids in hex, enumerations as
/// numbers. What is standard already stays as it is. False when it is not the shape of a trace at all.
bool to_otlp_json(rapidjson::Document& trace);

}  // namespace dice
