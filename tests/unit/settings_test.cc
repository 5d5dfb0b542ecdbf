#include "common/config/settings.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "common/base/version.h"
#include "common/config/flags.h"
#include "common/service.h"
#include "dice-roller/roller.h"
#include "frontend/frontend.h"

namespace dice {
namespace {

using Variables = std::map<std::string, std::string>;

Settings with(Variables variables) {
  return Settings([variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

/// The only error after `read` with X set to `value`.
std::string error_of(const std::string& value, const std::function<void(Settings&)>& read) {
  auto settings = with({{"X", value}});
  read(settings);
  CAPTURE(value);
  REQUIRE(settings.errors().size() == 1);
  return settings.errors()[0];
}

struct Output {
  std::optional<int> code;
  std::string out;
  std::string err;
};

Output finish(const Settings& settings, std::vector<const char*> arguments = {}) {
  arguments.insert(arguments.begin(), "dice-roller");
  std::ostringstream out;
  std::ostringstream err;
  auto* const old_out = std::cout.rdbuf(out.rdbuf());
  auto* const old_err = std::cerr.rdbuf(err.rdbuf());
  const auto code = settings.finish(static_cast<int>(arguments.size()), arguments.data(), "dice-roller rolls dice.",
                                    [] { return 7; });
  std::cout.rdbuf(old_out);
  std::cerr.rdbuf(old_err);
  return {code, out.str(), err.str()};
}

void read_integer(Settings& settings) { CHECK(settings.integer("X", 7, 1, 20, "") == 7); }
void read_number(Settings& settings) { CHECK(settings.number("X", 0.5, 0, 1, "") == 0.5); }
void read_flag(Settings& settings) { CHECK(settings.flag("X", true, "")); }
void read_choice(Settings& settings) { CHECK(settings.choice("X", "a", {"a", "b"}, "") == "a"); }
void read_url(Settings& settings) { CHECK(settings.url("X", "http://d", "") == "http://d"); }

TEST_CASE("settings: unset options have their defaults") {
  auto settings = with({});
  CHECK(settings.text("T", "text", "") == "text");
  CHECK(settings.url("U", "", "").empty());
  CHECK(settings.integer("I", 7, 1, 20, "") == 7);
  CHECK(settings.number("N", 0.5, 0, 1, "") == 0.5);
  CHECK(settings.flag("F", true, ""));
  CHECK_FALSE(settings.flag("G", false, ""));
  CHECK(settings.choice("C", "b", {"a", "b"}, "") == "b");
  CHECK(settings.errors().empty());
  CHECK_FALSE(finish(settings).code);
}

TEST_CASE("settings: values are read, including the bounds") {
  auto settings = with({{"T", "x"},
                        {"U", "https://h:1/"},
                        {"LOW", "1"},
                        {"HIGH", "20"},
                        {"N", "1e-3"},
                        {"ONE", "1"},
                        {"F", "false"},
                        {"C", "b"}});
  CHECK(settings.text("T", "", "") == "x");
  CHECK(settings.url("U", "", "") == "https://h:1");
  CHECK(settings.integer("LOW", 7, 1, 20, "") == 1);
  CHECK(settings.integer("HIGH", 7, 1, 20, "") == 20);
  CHECK(settings.number("N", 0.5, 0, 1, "") == 0.001);
  CHECK(settings.number("ONE", 0.5, 0, 1, "") == 1);
  CHECK_FALSE(settings.flag("F", true, ""));
  CHECK(settings.choice("C", "a", {"a", "b"}, "") == "b");
  CHECK(settings.errors().empty());
}

TEST_CASE("settings: the error for an invalid whole number has its name, its value and what is allowed") {
  for (const std::string value :
       {"0", "21", "-1", "1.0", "1e1", " 5", "5 ", "+5", "0x5", "five", "99999999999999999999"}) {
    CHECK(error_of(value, read_integer) == "X: \"" + value + "\" is not allowed; allowed: a whole number from 1 to 20");
  }
  CHECK(error_of("-2", [](Settings& settings) {
          CHECK(settings.integer("X", -1, -1, std::numeric_limits<std::int64_t>::max(), "") == -1);
        }) == "X: \"-2\" is not allowed; allowed: a whole number of at least -1");
}

TEST_CASE("settings: the error for an invalid number has its name, its value and what is allowed") {
  for (const std::string value : {"-0.1", "1.0001", "nan", "inf", "-inf", "1,5", "0.5s", " 0.5", "half", "1e999"}) {
    CHECK(error_of(value, read_number) == "X: \"" + value + "\" is not allowed; allowed: a number from 0 to 1");
  }
}

TEST_CASE("settings: the error for an invalid flag has its name, its value and what is allowed") {
  for (const std::string value : {"TRUE", "yes", "1", "0", "on", "true "}) {
    CHECK(error_of(value, read_flag) == "X: \"" + value + "\" is not allowed; allowed: true, false");
  }
}

TEST_CASE("settings: the error for an invalid choice has its name, its value and what is allowed") {
  for (const std::string value : {"c", "A", "a,b", "a "}) {
    CHECK(error_of(value, read_choice) == "X: \"" + value + "\" is not allowed; allowed: a, b");
  }
}

TEST_CASE("settings: the error for an invalid URL has its name, its value, what is wrong and what is allowed") {
  const std::string scheme = "it does not start with http:// or https://";
  const std::string host = "its host is not a name or an address";
  const std::string port = "its port is not a whole number from 1 to 65535";
  const std::string user = "it has a user name";
  const std::string query = "it has a query or a fragment";
  const std::string character = "it has a character that a URL cannot have";
  struct {
    std::string value, why, shown = value;
  } const cases[] = {
      {"localhost:8402", scheme},
      {"ftp://h", scheme},
      {"file:///etc/passwd", scheme},
      {"unix:/run/socket", scheme},
      {"http:/h", scheme},
      {"//h", scheme},
      {"HTTP", scheme},
      {" http://h", scheme},
      {"http://", host},
      {"https://", host},
      {"http:///", host},
      {"http:///path", host},
      {"https:////", host},
      {"http://:80", host},
      {"http://[::1", host},
      {"http://[::1:80", host},
      {"http://[]", host},
      {"http://[::g]", host},
      {"http://[::1%25eth0]", host},
      {"http://[127.0.0.1]", host},
      {"http://::1", host},
      {"http://h[0]", host},
      {"http://a,b", host},
      {"http://h%20", host},
      {"http://h:", port},
      {"http://h:/", port},
      {"http://h:0", port},
      {"http://h:65536", port},
      {"http://h:99999", port},
      {"http://h:-1", port},
      {"http://h:+1", port},
      {"http://h:80x", port},
      {"http://h:1:2", port},
      {"http://[::1]80", port},
      {"http://[::1]x:80", port},
      {"http://h?q", query},
      {"http://h/?q=1", query},
      {"http://h#f", query},
      {"http://h/p#f", query},
      {"http://a b", character},
      {"http://h/a b", character},
      {"http://h/<b>", character},
      {"http://h\\p", character},
      {"http://\"", character},
      {"http://h/{id}", character},
      {"http://w\xC3\xBCrfel", character},
      {"http://a\nb", character,
       "http://a\xEF\xBF\xBD"
       "b"},
      {"http://h/\x1B[31m", character, "http://h/\xEF\xBF\xBD[31m"},
      // A password is not shown.
      {"http://u:secret@h", user, "http://…@h"},
      {"http://secret@h:80/p", user, "http://…@h:80/p"},
      {"http://u:sec?ret@h", user, "http://…@h"},
      {"http://u:sec/ret@h", port, "http://…@h"},
      {"u:secret@h", scheme, "…@h"},
      {"ftp://u:secret@h", scheme, "ftp://…@h"},
  };
  for (const auto& [value, why, shown] : cases) {
    CHECK(error_of(value, read_url) ==
          "X: \"" + shown + "\" is not allowed, because " + why + "; allowed: http[s]://HOST[:PORT][/PATH]");
  }
}

TEST_CASE("settings: trailing slashes of URLs are removed") {
  for (const auto& [value, expected] :
       Variables{{"http://h", "http://h"},
                 {"http://h:8402/", "http://h:8402"},
                 {"https://h//", "https://h"},
                 {"http://[::1]:80", "http://[::1]:80"},
                 {"https://[2001:DB8::7]/", "https://[2001:DB8::7]"},
                 {"http://127.0.0.1:1", "http://127.0.0.1:1"},
                 {"http://die-service_0.dice.svc.:65535", "http://die-service_0.dice.svc.:65535"},
                 {"http://h/a%20b/@c:d/", "http://h/a%20b/@c:d"},
                 {"http://h/v1/traces", "http://h/v1/traces"}}) {
    auto settings = with({{"X", value}});
    CHECK(settings.url("X", "", "") == expected);
    CHECK(settings.errors().empty());
  }
}

TEST_CASE("settings: all errors are reported together on standard error, and the exit code is 2") {
  auto settings = with({{"A", "x"}, {"B", "maybe"}, {"C", "3"}});
  (void)settings.integer("A", 1, 0, 9, "");
  (void)settings.flag("B", true, "");
  (void)settings.integer("C", 1, 0, 9, "");
  settings.error("D", "4", "at least C");
  const auto output = finish(settings);
  CHECK(output.code == 2);
  CHECK(output.out.empty());
  CHECK(output.err ==
        "A: \"x\" is not allowed; allowed: a whole number from 0 to 9\n"
        "B: \"maybe\" is not allowed; allowed: true, false\n"
        "D: \"4\" is not allowed; allowed: at least C\n");
}

TEST_CASE("settings: --help lists every option with its default, help and allowed values, whatever is set") {
  auto settings = with({{"PORT", "broken"}});
  (void)settings.integer("PORT", 8401, 0, 65535, "Port of the API.");
  (void)settings.number("RATE", 0.25, 0, 1, "A share.");
  (void)settings.flag("ON", true, "A switch.");
  (void)settings.choice("LEVEL", "info", {"info", "warn"}, "A level.");
  (void)settings.url("TEMPO_URL", "", "An address.");
  (void)settings.text("NAME", "n", "A name.");
  for (const auto* argument : {"--help", "-h"}) {
    const auto output = finish(settings, {argument});
    CHECK(output.code == 0);
    CHECK(output.err.empty());
    CHECK(output.out.starts_with("dice-roller rolls dice.\n"));
    for (const auto* part :
         {"PORT = 8401", "Port of the API.", "a whole number from 0 to 65535", "RATE = 0.25", "A share.",
          "a number from 0 to 1", "ON = true", "true, false", "LEVEL = info", "info, warn", "TEMPO_URL = (unset)",
          "An address.", "http[s]://HOST[:PORT][/PATH]", "NAME = n", "A name."}) {
      CAPTURE(part);
      CHECK(output.out.find(part) != std::string::npos);
    }
  }
}

TEST_CASE("settings: exit codes: --version 0, --healthcheck that of the check, an unknown argument 2") {
  CHECK(finish(with({}), {"--healthcheck"}).code == 7);
  const auto version = finish(with({}), {"--version"});
  CHECK(version.code == 0);
  CHECK(version.out.starts_with(std::string(dice::version) + " ("));
  const auto unknown = finish(with({}), {"--port=1"});
  CHECK(unknown.code == 2);
  CHECK(unknown.out.empty());
  CHECK(unknown.err == "unknown argument \"--port=1\"; allowed: --healthcheck, --help, --version\n");
}

TEST_CASE("settings: each element of a list is checked, and each invalid one reported") {
  const auto even = [](std::string& text) { return text.ends_with('2'); };
  auto settings = with({{"A", "2,12"}, {"B", "1,2,3"}});
  CHECK(settings.list("A", {}, even, "even", "") == std::vector<std::string>{"2", "12"});
  CHECK(settings.list("C", {"2", "4"}, even, "even", "") == std::vector<std::string>{"2", "4"});
  CHECK(settings.errors().empty());
  (void)settings.list("B", {}, even, "even", "");
  CHECK(settings.errors() ==
        std::vector<std::string>{"B: \"1\" is not allowed; allowed: even", "B: \"3\" is not allowed; allowed: even"});
  CHECK(settings.options()[1].default_value == "2,4");
}

TEST_CASE("settings: each URL of a list is checked, and each invalid one reported") {
  auto settings = with({{"A", "http://h/,https://[::1]:1"}, {"B", "http://h,h,http://u:secret@h"}});
  CHECK(settings.urls("A", {}, "") == std::vector<std::string>{"http://h", "https://[::1]:1"});
  CHECK(settings.urls("C", {"http://c"}, "") == std::vector<std::string>{"http://c"});
  CHECK(settings.errors().empty());
  CHECK(settings.urls("B", {}, "") == std::vector<std::string>{"http://h"});
  REQUIRE(settings.errors().size() == 2);
  CHECK(settings.errors()[0].starts_with("B: \"h\" is not allowed, because it does not start with http://"));
  CHECK(settings.errors()[1].starts_with("B: \"http://…@h\" is not allowed, because it has a user name"));
}

TEST_CASE("settings: the value in an error or a warning is printable and shortened") {
  const std::string value = "1\n\x1B[31m" + std::string(1'000, 'x');
  const auto shown = "1\xEF\xBF\xBD\xEF\xBF\xBD[31m" + std::string(189, 'x') + "…";
  CHECK(error_of(value, read_integer) == "X: \"" + shown + "\" is not allowed; allowed: a whole number from 1 to 20");
  auto settings = with({{"OTEL_X", value}});
  (void)settings.integer("OTEL_X", 7, 1, 20, "");
  REQUIRE(settings.warnings().size() == 1);
  CHECK(settings.warnings()[0].value == shown);
  CHECK(finish(settings, {"a\nb"})
            .err.starts_with("unknown argument \"a\xEF\xBF\xBD"
                             "b\"; "));
}

TEST_CASE("flags: a value follows the flag or =, a switch has none, and a flag takes precedence over its variable") {
  const Flags flags({"--max-batch", "5", "--url=http://h/?a=b", "--json", "--empty=", "--seed", "-1"}, "X_",
                    [](const std::string& name) -> std::optional<std::string> { return "variable " + name; });
  const auto value = flags.environment();
  CHECK(value("--max-batch") == "5");
  CHECK(value("--url") == "http://h/?a=b");
  CHECK(value("--json") == "true");
  CHECK_FALSE(value("--empty"));
  CHECK(value("--seed") == "-1");
  CHECK(value("--min-size") == "variable X_MIN_SIZE");
}

TEST_CASE("flags: unknown flags and missing values are reported") {
  const Flags flags({"stray", "--json", "--die", "--dye", "red", "green"}, "X_",
                    [](const auto&) { return std::nullopt; });
  Settings settings(flags.environment());
  CHECK(settings.flag("--json", false, ""));
  (void)settings.text("--die", "fair", "");
  CHECK(flags.errors(settings.options()) ==
        std::vector<std::string>{"unknown argument \"stray\"", "unknown argument \"green\"", "--die requires a value",
                                 "unknown flag \"--dye\""});
  CHECK(flags.errors({}).size() == 5);
}

TEST_CASE("settings: an empty variable of the process counts as unset") {
  const auto environment = process_environment();
  setenv("DICE_TEST_VARIABLE", "", 1);
  CHECK_FALSE(environment("DICE_TEST_VARIABLE"));
  setenv("DICE_TEST_VARIABLE", "x", 1);
  CHECK(environment("DICE_TEST_VARIABLE") == "x");
  unsetenv("DICE_TEST_VARIABLE");
  CHECK_FALSE(environment("DICE_TEST_VARIABLE"));
}

TEST_CASE("settings: the variables and defaults are those of the contract, without duplicates") {
  auto settings = with({});
  const auto service = Service::declare(settings, "dice-roller", 8401);
  const auto roller = Roller::declare(settings);
  CHECK(service.port == 8401);
  CHECK(service.metrics_port == 9401);
  CHECK(service.metrics_on_main_port);
  CHECK_FALSE(service.faults_enabled);
  CHECK(service.tracing.service == "dice-roller");
  CHECK(service.tracing.exporter == "otlp");
  CHECK(service.tracing.otlp.endpoint == "http://localhost:4318/v1/traces");
  CHECK(service.tracing.memory.entries == 20'000);
  CHECK(roller.max_async_rolls == 20);
  CHECK(roller.delay.min == Seconds(0));
  CHECK(roller.delay.max == Seconds(1));
  CHECK(roller.strategy == Strategy::all_or_nothing);
  CHECK(roller.max_roll_threads == 1024);
  CHECK(roller.rate_limit == 0);
  CHECK_FALSE(roller.seed);
  std::map<std::string, std::string> defaults;
  for (const auto& option : settings.options()) {
    CHECK(defaults.emplace(option.name, option.default_value).second);
    CHECK_FALSE(option.help.empty());
    CHECK_FALSE(option.allowed.empty());
  }
  for (const auto& [name, value] : Variables{{"PORT", "8401"},
                                             {"METRICS_PORT", "9401"},
                                             {"METRICS_ON_MAIN_PORT", "true"},
                                             {"FAULTS_ENABLED", "false"},
                                             {"LOG_LEVEL", "info"},
                                             {"MAX_ASYNC_ROLLS", "20"},
                                             {"ROLL_STRATEGY", "all-or-nothing"},
                                             {"ROLL_DELAY_MIN_SECONDS", "0"},
                                             {"ROLL_DELAY_MAX_SECONDS", "1"},
                                             {"ROLL_SEED", "-1"},
                                             {"MAX_ROLL_THREADS", "1024"},
                                             {"RATE_LIMIT_RPS", "0"},
                                             {"TRACE_MEMORY_SPANS", "20000"},
                                             {"OTEL_SERVICE_NAME", "dice-roller"},
                                             {"OTEL_TRACES_EXPORTER", "otlp"},
                                             {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"},
                                             {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"},
                                             {"OTEL_TRACES_SAMPLER", "parentbased_always_on"},
                                             {"OTEL_TRACES_SAMPLER_ARG", "1"},
                                             {"OTEL_SDK_DISABLED", "false"}}) {
    CAPTURE(name);
    REQUIRE(defaults.contains(name));
    CHECK(defaults[name] == value);
  }
  for (const auto* name :
       {"OTEL_RESOURCE_ATTRIBUTES", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "DIE_BREAKER_FAILURES", "SHUTDOWN_DELAY_SECONDS", "SHUTDOWN_GRACE_SECONDS"}) {
    CAPTURE(name);
    CHECK(defaults.contains(name));
  }
}

TEST_CASE("settings: the frontend waits longer for a batch than for a roll") {
  auto settings = with({});
  const auto frontend = Frontend::declare(settings);
  CHECK(frontend.roll_async_timeout > frontend.roll_timeout);
  CHECK(frontend.traces.tempo_url.empty());
}

TEST_CASE("settings: dice-roller's variables set its options") {
  auto settings = with({{"ROLL_STRATEGY", "best-effort"},
                        {"ROLL_SEED", "0"},
                        {"MAX_ASYNC_ROLLS", "100"},
                        {"ROLL_DELAY_MIN_SECONDS", "0.5"},
                        {"ROLL_DELAY_MAX_SECONDS", "0.5"}});
  const auto roller = Roller::declare(settings);
  CHECK(settings.errors().empty());
  CHECK(roller.strategy == Strategy::best_effort);
  CHECK(roller.seed == 0);
  CHECK(roller.max_async_rolls == 100);
  CHECK(roller.delay.min == Seconds(0.5));
  CHECK(roller.delay.max == Seconds(0.5));
}

TEST_CASE("settings: a maximum delay below the minimum is an error") {
  auto settings = with({{"ROLL_DELAY_MIN_SECONDS", "2"}});
  (void)Roller::declare(settings);
  REQUIRE(settings.errors().size() == 1);
  CHECK(settings.errors()[0].starts_with("ROLL_DELAY_MAX_SECONDS: \"1"));
  CHECK(settings.errors()[0].ends_with("allowed: at least ROLL_DELAY_MIN_SECONDS"));
}

TEST_CASE("settings: OTEL_* flags and choices are case-insensitive") {
  auto settings = with({{"OTEL_F", "TRUE"}, {"OTEL_G", "False"}, {"OTEL_C", "Two"}, {"OTEL_L", " A, b ,a"}});
  CHECK(settings.flag("OTEL_F", false, ""));
  CHECK_FALSE(settings.flag("OTEL_G", true, ""));
  CHECK(settings.choice("OTEL_C", "one", {"one", "two"}, "") == "two");
  CHECK(settings.choices("OTEL_L", "c", {"a", "b", "c"}, "") == std::vector<std::string>{"a", "b"});
  CHECK(settings.errors().empty());
  CHECK(settings.warnings().empty());
}

TEST_CASE("settings: an invalid OTEL_* value causes a warning and is ignored") {
  const auto warning_of = [](const std::string& value, const std::function<void(Settings&)>& read) {
    auto settings = with({{"OTEL_X", value}});
    read(settings);
    CAPTURE(value);
    CHECK(settings.errors().empty());
    REQUIRE(settings.warnings().size() == 1);
    CHECK(settings.warnings()[0].name == "OTEL_X");
    CHECK(settings.warnings()[0].value == value);
    return settings.warnings()[0].used;
  };
  for (const std::string value : {"yes", "1", "on", "true "}) {
    CHECK(warning_of(value, [](Settings& settings) { CHECK_FALSE(settings.flag("OTEL_X", true, "")); }) == "false");
  }
  CHECK(warning_of("three", [](Settings& settings) {
          CHECK(settings.choice("OTEL_X", "one", {"one", "two"}, "") == "one");
        }) == "one");
  for (const std::string value : {"0", "21", "1.5", "many"}) {
    CHECK(warning_of(value, [](Settings& settings) { CHECK(settings.integer("OTEL_X", 7, 1, 20, "") == 7); }) == "7");
  }
  for (const std::string value : {"-1", "half", "nan"}) {
    CHECK(warning_of(value, [](Settings& settings) { CHECK(settings.number("OTEL_X", 0.5, 0, 1, "") == 0.5); }) ==
          "0.5");
  }
  auto secret = with({{"OTEL_X", "http://u:secret@h"}});
  CHECK(secret.url("OTEL_X", "", "").empty());
  REQUIRE(secret.warnings().size() == 1);
  CHECK(secret.warnings()[0].value == "http://…@h");
  CHECK(warning_of("collector:4317", [](Settings& settings) {
          CHECK(settings.url("OTEL_X", "http://d", "") == "http://d");
        }) == "http://d");
  CHECK(warning_of("a,x", [](Settings& settings) {
          CHECK(settings.choices("OTEL_X", "b", {"a", "b"}, "") == std::vector<std::string>{"a"});
        }) == "a");
  CHECK(warning_of("x", [](Settings& settings) {
          CHECK(settings.choices("OTEL_X", "a,b", {"a", "b"}, "") == std::vector<std::string>{"a", "b"});
        }) == "a, b");
}

/// Without an error.
TracingOptions tracing_with(Variables variables) {
  auto settings = with(std::move(variables));
  auto options = TracingOptions::declare(settings, "s");
  CHECK(settings.errors().empty());
  return options;
}

TEST_CASE("settings: variables that an operator injects for all programs do not prevent the start") {
  const auto options = tracing_with({{"OTEL_SDK_DISABLED", "TRUE"},
                                     {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                                     {"OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote"},
                                     {"OTEL_TRACES_SAMPLER_ARG", "endpoint=http://x"},
                                     {"OTEL_TRACES_EXPORTER", "otlp,zipkin"},
                                     {"OTEL_PROPAGATORS", "tracecontext,baggage,b3"},
                                     {"OTEL_BSP_SCHEDULE_DELAY", "soon"}});
  CHECK(options.disabled);
  CHECK(options.exporter == "otlp");
  CHECK(options.sampler == "parentbased_always_on");
  CHECK(options.sampler_ratio == 1);
  CHECK(options.queue.schedule_delay == std::chrono::seconds(5));
  std::set<std::string> names;
  for (const auto& warning : options.warnings) names.insert(warning.name);
  CHECK(names == std::set<std::string>{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
                                       "OTEL_TRACES_EXPORTER", "OTEL_PROPAGATORS", "OTEL_BSP_SCHEDULE_DELAY"});
}

TEST_CASE("settings: exporters are a list") {
  for (const auto& [value, exporter] : Variables{{"otlp", "otlp"},
                                                 {"console", "console"},
                                                 {"otlp,console", "otlp,console"},
                                                 {"Console, OTLP", "otlp,console"},
                                                 {"none", "none"},
                                                 {"none,otlp", "otlp"},
                                                 {"jaeger", "otlp"}}) {
    CAPTURE(value);
    CHECK(tracing_with({{"OTEL_TRACES_EXPORTER", value}}).exporter == exporter);
  }
}

TEST_CASE("settings: the variables for traces override those for all signals") {
  const auto options = tracing_with({{"OTEL_EXPORTER_OTLP_TIMEOUT", "7"},
                                     {"OTEL_EXPORTER_OTLP_HEADERS", "a=1"},
                                     {"OTEL_EXPORTER_OTLP_COMPRESSION", "none"},
                                     {"OTEL_EXPORTER_OTLP_CERTIFICATE", "ca"},
                                     {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "key"},
                                     {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "9"},
                                     {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"},
                                     {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "GZIP"},
                                     {"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "other"}});
  CHECK(options.otlp.timeout == std::chrono::milliseconds(9));
  CHECK(options.otlp.headers == std::vector<std::pair<std::string, std::string>>{{"b", "2"}});
  CHECK(options.otlp.gzip);
  CHECK(options.otlp.certificate == "other");
  CHECK(options.otlp.client_key == "key");
  CHECK(options.otlp.client_certificate.empty());
  CHECK(options.warnings.empty());
  CHECK(tracing_with({{"OTEL_BSP_EXPORT_TIMEOUT", "5"}}).otlp.timeout == std::chrono::milliseconds(5));
}

TEST_CASE("settings: export headers are percent-encoded; an invalid one is ignored, and its value is not shown") {
  const auto options = tracing_with({{"OTEL_EXPORTER_OTLP_HEADERS", "a=1, b = x%20y%3D ,secret,c=%zz,d e=1,f=a%0Ab"}});
  CHECK(options.otlp.headers == std::vector<std::pair<std::string, std::string>>{{"a", "1"}, {"b", "x y="}});
  REQUIRE(options.warnings.size() == 1);
  CHECK(options.warnings[0].name == "OTEL_EXPORTER_OTLP_HEADERS");
  CHECK(options.warnings[0].value.find("secret") == std::string::npos);
}

TEST_CASE("settings: span limits: the specific variables override the general ones") {
  const auto none = tracing_with({});
  CHECK(none.limits.value_length == -1);
  CHECK(none.limits.attributes == 128);
  CHECK(none.queue.retry_bytes == 8UL << 20U);
  const auto general =
      tracing_with({{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10"}, {"OTEL_ATTRIBUTE_COUNT_LIMIT", "11"}});
  CHECK(general.limits.value_length == 10);
  CHECK(general.limits.attributes == 11);
  const auto special = tracing_with({{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10"},
                                     {"OTEL_ATTRIBUTE_COUNT_LIMIT", "11"},
                                     {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "20"},
                                     {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "21"},
                                     {"OTEL_SPAN_EVENT_COUNT_LIMIT", "22"},
                                     {"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "23"},
                                     {"TELEMETRY_RETRY_QUEUE_BYTES", "0"}});
  CHECK(special.limits.value_length == 20);
  CHECK(special.limits.attributes == 21);
  CHECK(special.limits.events == 22);
  CHECK(special.limits.event_attributes == 23);
  CHECK(special.queue.retry_bytes == 0);
}

TEST_CASE("settings: /v1/traces is appended to the collector's URL, unless the full URL is given") {
  auto settings = with({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"}});
  CHECK(TracingOptions::declare(settings, "s").otlp.endpoint == "http://collector:4318/v1/traces");
  auto whole = with({{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector/elsewhere"}});
  CHECK(TracingOptions::declare(whole, "s").otlp.endpoint == "http://collector/elsewhere");
}

}  // namespace
}  // namespace dice
