#!/bin/bash
# Formatting, clang-tidy and shellcheck over what is committed. Prints what is wrong; silent about what is right.
set -eu -o pipefail
cd "$(dirname "$0")/.."
failed=0

echo "clang-format"
git ls-files '*.h' '*.cc' | xargs clang-format-19 --dry-run --Werror || failed=1

echo "shellcheck"
git ls-files '*.sh' '.ci/*' | xargs shellcheck || failed=1

# Only what can't be in a committed file: registries' hosts, and paths of one machine.
echo "foreign names"
if git grep -nIE 'https?://(deb|ftp|proxy|registry|index)\.[a-z.]+/|(^|[^a-zA-Z0-9_.-])/(wor[k]|hom[e]|roo[t])/[a-z.]' -- . ':!tests/lint.sh'; then
  failed=1
fi

[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
echo "clang-tidy"
git ls-files 'services/*.cc' 'loadgen/*.cc' |
  xargs -P "$(nproc)" -n 2 clang-tidy-19 -p build/release --quiet 2>/dev/null || failed=1

exit $failed
