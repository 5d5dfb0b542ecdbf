#!/bin/bash
# Runs the tests of a build folder: `cpp`: the C++ tests; `all`: also the Python tests; `stops`: the process tests, STOP_ROUNDS
# times.
set -eu -o pipefail
build=$1
what=$2
cd "$(dirname "$0")/.."
export TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp halt_on_error=1 second_deadlock_stack=1"
export ASAN_OPTIONS="detect_stack_use_after_return=1 strict_string_checks=1"
export UBSAN_OPTIONS="print_stacktrace=1"

if [ "$what" = stops ]; then
  exec ctest --test-dir "$build" --output-on-failure --no-tests=error --timeout 1800 -R integration.process
fi
ctest --test-dir "$build" --output-on-failure --no-tests=error --timeout 240
[ "$what" = all ] || exit 0
export DICE_BIN=$PWD/$build/bin
build/venv/bin/python -m pytest -q -p no:cacheprovider -rs tests/tools tests/docs tests/instructions tests/browser tests/charts tests/dashboards
