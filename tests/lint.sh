#!/bin/bash
# Checks formatting, and runs clang-tidy and shellcheck on all committed files. Prints only problems.
set -eu -o pipefail
cd "$(dirname "$0")/.."
failed=0

echo "clang-format"
git ls-files '*.h' '*.cc' | xargs clang-format-19 --dry-run --Werror || failed=1

echo "shellcheck"
git ls-files '*.sh' '.ci/*' | xargs shellcheck || failed=1

# Names that must not be in committed files: registry hosts, and paths of a single machine.
echo "foreign names"
if git grep -nIE 'https?://(deb|ftp|proxy|registry|index)\.[a-z.]+/|(^|[^a-zA-Z0-9_.-])/(wor[k]|hom[e]|roo[t])/[a-z.]' -- . ':!tests/lint.sh'; then
  failed=1
fi

[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
echo "clang-tidy"
git ls-files 'services/*.cc' 'loadgen/*.cc' |
  xargs -P "$(nproc)" -n 2 clang-tidy-19 -p build/release --quiet 2>/dev/null || failed=1

exit $failed
