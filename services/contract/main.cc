// Prints the contract as JSON, for the tables in the docs, the dashboards and the Python tests.
#include <iostream>

#include "common/base/json.h"
#include "contract/cause.h"
#include "contract/error.h"
#include "contract/log_message.h"
#include "contract/metric.h"
#include "contract/names.h"
#include "contract/roll.h"
#include "contract/strategy.h"

namespace {

using dice::JsonWriter;
using dice::write_member;
using dice::write_objects;

}  // namespace

int main() {
  std::cout << dice::json_object([](JsonWriter& writer) {
    write_objects(writer, "services", dice::kServices, [&](const dice::ServiceName& row) {
      write_member(writer, "name", row.name);
      write_member(writer, "port", row.port);
      write_member(writer, "metrics_port", row.metrics_port());
      write_member(writer, "purpose", row.purpose);
    });
    write_member(writer, "roll_span_prefix", dice::kRollSpanPrefix);
    write_objects(writer, "strategies", dice::kStrategies, [&](const dice::StrategyRow& row) {
      write_member(writer, "name", row.name);
      write_member(writer, "meaning", row.meaning);
    });
    write_objects(writer, "parameters", dice::roll_parameters(), [&](const dice::ParameterRow& row) {
      write_member(writer, "name", row.name);
      write_member(writer, "routes", row.routes);
      write_member(writer, "allowed", row.allowed);
      write_member(writer, "default", row.default_value);
    });
    write_objects(writer, "errors", dice::errors(), [&](const dice::ErrorRow& row) {
      write_member(writer, "code", row.name);
      write_member(writer, "status", row.status);
      write_member(writer, "meaning", row.meaning);
    });
    write_objects(writer, "metrics", dice::metrics(), [&](const dice::MetricRow& row) {
      write_member(writer, "name", row.name);
      write_member(writer, "type", row.type);
      write_member(writer, "labels", row.labels);
      write_member(writer, "service", row.service);
      write_member(writer, "help", row.help);
      write_member(writer, "details", row.details);
    });
    write_objects(writer, "causes", dice::cause_rows(), [&](const dice::CauseRow& row) {
      write_member(writer, "name", row.name);
      write_member(writer, "signals", row.signals);
      write_member(writer, "meaning", row.meaning);
    });
    write_objects(writer, "log_messages", dice::log_messages(), [&](const dice::LogMessageRow& row) {
      write_member(writer, "message", row.text);
      write_member(writer, "level", dice::name_of(row.level));
      write_member(writer, "service", row.service);
      write_member(writer, "fields", row.fields);
    });
  }) << '\n';
}
