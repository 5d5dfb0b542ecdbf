#!/bin/bash
# Runs each fuzz target of a build folder, or only those named, for so many seconds; ends with an error if one finds something.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
build=$1
seconds=$2
shift 2

if [ "${FUZZ_ONE:-}" = "" ]; then
  [ $# -gt 0 ] || set -- "$build"/bin/fuzz-*
  echo "Targets: $#, for $seconds s each, $(nproc) at a time"
  printf '%s\n' "$@" | FUZZ_ONE=1 xargs -P "$(nproc)" -n 1 "$0" "$build" "$seconds"
  exit
fi

target=${1##*fuzz-}
program=$build/bin/fuzz-$target
found=$build/found/$target
mkdir -p "$found" "$build/corpus/$target"
case $target in
  connection | parser) dictionary=http ;;
  dice_file | metrics | query | settings | trace | trace_context) dictionary=$target ;;
  *) dictionary=json ;;
esac
# Each search for leaks stops all threads. Where there are some, it is left to the tests with sanitizers.
case $target in
  connection | log_line) leaks=0 ;;
  *) leaks=1 ;;
esac
# Otherwise, freed memory that is kept to find uses of it reaches the limit in a quarter of an hour.
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:quarantine_size_mb=16:allocator_release_to_os_interval_ms=1000
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_SYMBOLIZER_PATH=/usr/lib/llvm-19/bin/llvm-symbolizer
# New inputs are kept in the build folder, so that the next run goes on from there.
if "$program" -max_total_time="$seconds" -max_len=4096 -timeout=60 -rss_limit_mb=1024 -print_final_stats=1 \
  -detect_leaks="$leaks" -dict="tests/fuzz/$dictionary.dict" -artifact_prefix="$found/" "$build/corpus/$target" "tests/fuzz/corpus/$target" \
  >"$found/log" 2>&1; then
  awk -v target="$target" '/^#[0-9]+.* cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
    /^stat::number_of_executed_units/ { runs = $2 } /^stat::average_exec_per_sec/ { rate = $2 }
    END { printf "%-13s %10d runs, %6d a second, %5d edges covered\n", target, runs, rate, cov }' "$found/log"
else
  grep -v '^#[0-9]' "$found/log" | head -n 40
  input=$(sed -n 's/.*Test unit written to //p' "$found/log")
  printf '\n%s: found %s; to see it again: %s %s\n' "$target" "${input:-something, see $found/log}" "$program" "$input"
  echo "Once it is fixed, the input belongs in tests/fuzz/corpus/$target."
  exit 1
fi
