#!/bin/bash
# run.sh [PYTEST ARGUMENT...]: runs the tests of this folder, without chaos/, on the kind cluster $CLUSTER (default: dice), with new
# images.
# Without such a cluster, it says what is missing and exits with 0.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
cluster=${CLUSTER:-dice}
skip() {
  echo "cluster tests: skipped, $*"
  exit 0
}
for program in docker kind helm kubectl; do
  command -v "$program" >/dev/null || skip "$program is missing"
done
docker info >/dev/null 2>&1 || skip "docker is not reachable"
# Not grep -q: it ends at the first match, and with pipefail the program before it could fail for that.
kind get clusters 2>/dev/null | grep -x "$cluster" >/dev/null || skip "there is no kind cluster $cluster; create it with make up"
mkdir -p build
export KUBECONFIG=$PWD/build/kubeconfig-e2e
kind get kubeconfig --name "$cluster" >"$KUBECONFIG" 2>/dev/null || skip "the kind cluster $cluster is stopped"
kubectl get --raw /readyz --request-timeout=10s >/dev/null 2>&1 || skip "the kind cluster $cluster is not reachable"

make images
tag=$(awk '$1 == "appVersion:" { print $2 }' charts/dice/Chart.yaml)
kind load docker-image --name "$cluster" dice/{frontend,dice-roller,die-service,loadgen}:"$tag"
[ $# -gt 0 ] || set -- tests/cluster --ignore tests/cluster/chaos
build/venv/bin/python -m pytest -q -rs -x -p no:cacheprovider "$@"
