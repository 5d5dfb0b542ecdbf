#include <cstdio>
#include <utility>

#include "common/telemetry/span_exporter.h"

namespace dice {
namespace {

class ConsoleExporter final : public SpanExporter {
 public:
  explicit ConsoleExporter(SpanSource source) : source_(std::move(source)) {}

  Result send(std::span<const EncodedSpan> spans, const Proceed& /*proceed*/) override {
    const auto line = to_otlp_json(source_, spans) + "\n";
    if (std::fwrite(line.data(), 1, line.size(), stderr) == line.size()) return {};
    return {.kind = Result::Kind::failed, .reason = "cannot write to standard error"};
  }

 private:
  const SpanSource source_;
};

}  // namespace

std::unique_ptr<SpanExporter> make_console_exporter(SpanSource source) {
  return std::make_unique<ConsoleExporter>(std::move(source));
}

}  // namespace dice
