#!/bin/bash
# up.sh [up|down]: creates the kind cluster `dice` if it does not exist, builds the images, installs the stack and the chart, and
# forwards the page and Grafana until Ctrl-C. `down` removes the releases, and the cluster if `up` created it. Variables as in
# install.sh.
set -eu -o pipefail
# shellcheck source=stack/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$stack/.."
action=${1:-up}
one_of action "$action" up down
GRAFANA=${GRAFANA:-true}
export NAMESPACE=${NAMESPACE:-dice} GRAFANA
need docker kind helm kubectl
docker info >/dev/null 2>&1 || fail "docker is not reachable: check that it is running and that you may use it"

there() { kind get clusters 2>/dev/null | grep -qx dice; }

# Leaves the user's kubectl context unchanged.
use_cluster() {
  mkdir -p build
  export KUBECONFIG=$PWD/build/kubeconfig
  kind get kubeconfig --name dice >"$KUBECONFIG"
}

# forward NAMESPACE SERVICE PORTS: forwards ports, and reconnects if the pod is replaced.
forward() {
  trap 'kill $! 2>/dev/null' EXIT
  trap exit INT TERM
  while true; do
    kubectl --namespace "$1" port-forward "service/$2" "$3" >/dev/null 2>&1 &
    wait $! || true
    sleep 1
  done
}

up() {
  local port images ids
  for port in 8400 3000; do
    ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || fail "port $port of this machine is in use"
  done
  there || kind create cluster --config stack/kind.yaml --wait 5m
  use_cluster

  make images
  mapfile -t images < <(make image-names)
  kind load docker-image --name dice "${images[@]}"
  [ ! -f build/stack/images.tar ] || stack/images.sh load

  stack/install.sh
  # New images under the same tag restart the pods.
  ids=$(docker image inspect --format '{{.Id}}' "${images[@]}" | sha256sum | cut -c 1-12)
  helm upgrade --install dice charts/dice --namespace "$NAMESPACE" --create-namespace --values stack/dice.yaml \
    --set-string "podAnnotations.images=$ids" --wait --timeout 5m >/dev/null

  trap 'kill $(jobs -p) 2>/dev/null' EXIT
  trap 'exit 0' INT TERM
  echo "The page:  http://localhost:8400"
  forward "$NAMESPACE" dice-frontend 8400:8400 &
  if [ "$GRAFANA" = true ]; then
    echo "Grafana:   http://localhost:3000  (admin, admin)"
    forward monitoring kps-grafana 3000:80 &
  fi
  echo "Ctrl-C stops forwarding; the cluster keeps running. make down removes it."
  wait
}

down() {
  there || fail "there is no kind cluster dice"
  use_cluster
  if [ -n "$(kubectl get nodes --selector dice-cluster=up --output name)" ]; then
    kind delete cluster --name dice
  else
    helm uninstall dice --namespace "$NAMESPACE" --ignore-not-found --wait
    stack/install.sh remove
    echo "The cluster dice was not created by make up and is kept"
  fi
  rm "$KUBECONFIG"
}

"$action"
