#!/bin/bash
# Prints where helm is: in PATH, else a pinned one that Go builds into build/tools, once; that takes minutes.
set -eu -o pipefail
version=v3.19.0
if command -v helm; then exit; fi

tools=$(cd "$(dirname "$0")/.." && pwd)/build/tools
mkdir -p "$tools"
exec 9>"$tools/.lock"
flock 9
if [ ! -x "$tools/helm" ]; then
  go=$(command -v go || { [ -x /usr/local/go/bin/go ] && echo /usr/local/go/bin/go; }) || {
    echo "no helm in PATH, and no Go to build one" >&2
    exit 1
  }
  echo "Building helm $version into build/tools" >&2
  GOBIN=$tools "$go" install "helm.sh/helm/v3/cmd/helm@$version" >"$tools/helm.log" 2>&1 || {
    tail -n 3 "$tools/helm.log" >&2
    echo "could not build helm $version" >&2
    exit 1
  }
fi
echo "$tools/helm"
