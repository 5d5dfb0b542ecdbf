// Log lines with any text in message and fields.
#include "loadgen/model/log_line.h"

#include <fcntl.h>

#include "common/base/utf8.h"
#include "common/telemetry/logging.h"
#include "fuzz/targets.h"

namespace dice::fuzz {

void log_line(std::string_view input) {
  static LogSink sink(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  TraceMemory memory({.bytes = 1UL << 20U, .trace_bytes = 1UL << 20U});
  const Logger log(sink, "fuzz", LogLevel::debug, &memory);
  TraceContext context;
  context.trace_id[0] = context.span_id[0] = 1;
  log.log(LogLevel::info, "message", &context, {{"path", input}, {"count", std::int64_t{7}}});

  const auto lines = memory.find(context.trace_id);
  require(lines.size() == 1 && is_one_line(*lines.front()), "it is not one line");
  const auto line = loadgen::parse_log_line(*lines.front());
  require(line && line->fields.size() == 9, "it does not have nine fields");
  require(line->field("path") == to_utf8(input) && line->field("count") == "7", "a field has another value");
  require(line->message() == "message" && line->service() == "fuzz" && line->trace_id() == to_hex(context.trace_id),
          "a forged field");

  const auto clean = to_utf8(input);
  require(is_utf8(clean) && is_utf8(input) == (clean == input), "not repaired");
  require(is_utf8(shortened(clean, 7)) && utf8_prefix(clean, 7).size() <= 7, "badly shortened");
}

}  // namespace dice::fuzz
