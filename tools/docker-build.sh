#!/bin/bash
# docker-build.sh ARGUMENT...: runs docker build on this folder with a progress line; shows its output if it fails.
set -eu -o pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The output of ninja and apt in the build looks like `#13 58.07 [31/78] Building …` and `#7 0.434   12 % Retrieving …`.
DOCKER_BUILDKIT=1 docker build --progress plain "$@" . 2>&1 | tee "$log" |
  sed -un -e 's/^#[0-9]* [0-9.]* *\(\[[0-9]*\/[0-9]*\] .*\)/\1/p' -e 's/^#[0-9]* [0-9.]* *\([0-9]*\) % \(.*\)/dlstatus::\1:\2/p' |
  tools/progress.sh || {
  tail -n 40 "$log" >&2
  exit 1
}
