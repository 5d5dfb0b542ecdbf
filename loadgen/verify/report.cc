#include "loadgen/verify/report.h"

#include <algorithm>
#include <map>

#include "common/base/json.h"
#include "loadgen/statistics.h"

namespace dice::loadgen {
namespace {

bool failed(const Report::Case& one) { return !one.findings.empty(); }

struct Tally {
  std::size_t all = 0;
  std::size_t passed = 0;
  std::vector<double> seconds;
};

Tally tally(const Report& report, const std::string& signal) {
  Tally tally;
  for (const auto& one : report.cases) {
    if (one.signal != signal) continue;
    ++tally.all;
    tally.passed += failed(one) ? 0 : 1;
    if (one.seconds && signal != "answers") tally.seconds.push_back(*one.seconds);
  }
  return tally;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

}  // namespace

bool Report::passed() const { return std::ranges::none_of(cases, failed) && causes.empty(); }

std::string to_table(const Report& report) {
  constexpr std::size_t kSignal = 13;
  constexpr std::size_t kColumn = 14;
  /// Maximum requests shown per signal, so that the causes stay visible.
  constexpr std::size_t kShown = 5;
  std::string text = "\n" + pad("", kSignal) + pad("passed", kColumn) + pad("complete after: median", 24) + "worst\n";
  for (const std::string signal : kSignals) {
    const auto [all, passed, seconds] = tally(report, signal);
    if (all == 0) continue;
    const auto share = std::to_string(passed) + " of " + std::to_string(all);
    text += pad(signal, kSignal);
    if (seconds.empty()) {
      text += share;
    } else {
      const auto summary = summarize(seconds);
      text += pad(share, kColumn) + pad(show_seconds(summary.median), 24) + show_seconds(summary.max);
    }
    text += "\n";
  }
  for (const auto& line : report.not_checked) text += "not checked: " + line + "\n";
  if (report.windows > 1) {
    text += "checked " + std::to_string(report.windows) + " times, because replicas were replaced\n";
  }
  std::map<std::string, std::size_t> shown;
  for (const auto& one : report.cases) {
    if (!failed(one) || ++shown[one.signal] > kShown) continue;
    text += "\n" + one.signal + ": " + one.subject + (one.trace_id.empty() ? "" : "   trace " + one.trace_id) + "\n";
    std::size_t widths[] = {0, 0};
    for (const auto& finding : one.findings) {
      widths[0] = std::max(widths[0], finding.what.size());
      widths[1] = std::max(widths[1], finding.expected.size());
    }
    for (const auto& finding : one.findings) {
      text += "  " + pad(finding.what, widths[0]) + "  expected " + pad(finding.expected, widths[1]) + "  found " +
              finding.found + "\n";
    }
  }
  for (const auto& [signal, count] : shown) {
    if (count > kShown) text += "\n" + signal + ": " + std::to_string(count - kShown) + " more; --json shows all\n";
  }
  if (!report.causes.empty()) text += "\n";
  for (const auto& cause : report.causes) text += "CAUSE: " + cause.text + "\n";
  text += "\n" + std::string(report.passed() ? "All passed" : "NOT ALL PASSED") + ", " + report.target + ", " +
          show_seconds(report.seconds) + "\n";
  return text;
}

std::string to_json(const Report& report) {
  return json_object([&](JsonWriter& writer) {
    write_member(writer, "target", report.target);
    write_member(writer, "passed", report.passed());
    write_member(writer, "seconds", report.seconds);
    write_member(writer, "windows", report.windows);
    std::vector<std::string> causes;
    causes.reserve(report.causes.size());
    for (const auto& cause : report.causes) causes.push_back(cause.text);
    write_member(writer, "causes", causes);
    write_objects(writer, "broken", report.causes, [&writer](const Cause& cause) {
      write_member(writer, "signal", cause.signal);
      write_member(writer, "cause", name_of(cause.id));
    });
    write_member(writer, "not_checked", report.not_checked);
    write_key(writer, "signals");
    writer.StartObject();
    for (const std::string signal : kSignals) {
      const auto [all, passed, seconds] = tally(report, signal);
      if (all == 0) continue;
      write_key(writer, signal);
      writer.StartObject();
      write_member(writer, "checked", all);
      write_member(writer, "passed", passed);
      if (!seconds.empty()) {
        const auto summary = summarize(seconds);
        write_member(writer, "median_seconds", summary.median);
        write_member(writer, "worst_seconds", summary.max);
      }
      writer.EndObject();
    }
    writer.EndObject();
    write_objects(writer, "cases", report.cases, [&writer](const Report::Case& one) {
      write_member(writer, "signal", one.signal);
      write_member(writer, "subject", one.subject);
      if (!one.trace_id.empty()) write_member(writer, "trace_id", one.trace_id);
      write_member(writer, "passed", !failed(one));
      if (one.seconds) write_member(writer, "seconds", *one.seconds);
      write_objects(writer, "findings", one.findings, [&writer](const Finding& finding) {
        write_member(writer, "what", finding.what);
        write_member(writer, "expected", finding.expected);
        write_member(writer, "found", finding.found);
      });
    });
  });
}

std::string to_junit(const Report& report) {
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"loadgen verify\">\n";
  for (const std::string signal : kSignals) {
    const auto [all, passed, seconds] = tally(report, signal);
    if (all == 0) continue;
    text += "  <testsuite name=\"" + signal + "\" tests=\"" + std::to_string(all) + "\" failures=\"" +
            std::to_string(all - passed) + "\">\n";
    for (const auto& one : report.cases) {
      if (one.signal != signal) continue;
      text += "    <testcase classname=\"" + signal + "\" name=\"" + escaped(one.subject) + "\" time=\"" +
              fixed(one.seconds.value_or(0), 3) + "\"";
      if (!failed(one)) {
        text += "/>\n";
        continue;
      }
      text += ">\n      <failure message=\"" + escaped(sentence(one.findings.front())) + "\">";
      for (const auto& finding : one.findings) text += escaped(sentence(finding)) + "\n";
      text += escaped(one.trace_id.empty() ? "" : "trace " + one.trace_id) + "</failure>\n    </testcase>\n";
    }
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace dice::loadgen
