#!/bin/bash
# go-tool.sh helm|kustomize|oras: prints the path of the tool: from PATH, or else a pinned version, built once with Go into
# build/tools, which takes minutes.
set -eu -o pipefail
name=${1:-}
case $name in
  helm) version=v3.17.4 package=helm.sh/helm/v3/cmd/helm ;;
  kustomize) version=v5.6.0 package=sigs.k8s.io/kustomize/kustomize/v5 ;;
  oras) version=v1.2.3 package=oras.land/oras/cmd/oras ;;
  *)
    echo "unknown tool '$name'; allowed: helm, kustomize, oras" >&2
    exit 2
    ;;
esac
if command -v "$name"; then exit; fi

tools=$(cd "$(dirname "$0")/.." && pwd)/build/tools
mkdir -p "$tools"
count=0
exec 9>"$tools/.lock"
flock 9
if [ ! -x "$tools/$name" ]; then
  # In PATH, or where Go's archive and Debian's packages install it.
  go=$(command -v go || find /usr/lib/go-*/bin /usr/local/go/bin -name go 2>/dev/null | sort -V | tail -n 1 || true)
  [ -n "$go" ] || {
    echo "no $name in PATH, and no Go to build one" >&2
    exit 1
  }
  echo "Building $name $version into build/tools" >&2
  GOTOOLCHAIN=auto GOBIN=$tools "$go" install -v "$package@$version" 2>&1 | tee "$tools/$name.log" |
    while IFS= read -r line; do echo "[$((count += 1))] $line"; done | "$(dirname "$0")/progress.sh" >&2 || {
    tail -n 3 "$tools/$name.log" >&2
    echo "could not build $name $version" >&2
    exit 1
  }
fi
echo "$tools/$name"
