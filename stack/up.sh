#!/bin/bash
# up.sh [up|down]: creates the kind cluster `dice` if it does not exist, builds the images, and installs the stack and the chart.
# The page and Grafana are then on this machine's ports 8400 and 3000: by node ports, which kind.yaml maps, or, on a cluster
# without these, forwarded until Ctrl-C. `down` removes the releases, and the cluster if `up` created it. Variables as in
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

there() { kind get clusters 2>/dev/null | grep -x dice >/dev/null; }

# Leaves the user's kubectl context unchanged.
use_cluster() {
  mkdir -p build
  export KUBECONFIG=$PWD/build/kubeconfig
  kind get kubeconfig --name dice >"$KUBECONFIG"
}

# mapped NODE_PORT PORT: whether PORT of this machine leads to that port of the cluster's nodes.
mapped() { docker port dice-control-plane "$1/tcp" 2>/dev/null | grep ":$2\$" >/dev/null; }

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
  local port images ids page=() node_ports=
  if there && mapped 30840 8400 && mapped 30300 3000; then
    node_ports=true
  else
    for port in 8400 3000; do
      ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || fail "port $port of this machine is in use"
    done
    if ! there; then
      kind create cluster --config stack/kind.yaml --wait 5m
      node_ports=true
    fi
  fi
  use_cluster

  make images
  mapfile -t images < <(make image-names)
  kind load docker-image --name dice "${images[@]}"
  [ ! -f build/stack/images.tar ] || stack/images.sh load

  if [ "$node_ports" ]; then
    export GRAFANA_NODE_PORT=30300
    page=(--set "frontend.externalService.enabled=true,frontend.externalService.type=NodePort,frontend.externalService.nodePort=30840")
  fi
  stack/install.sh
  # New images under the same tag restart the pods.
  ids=$(docker image inspect --format '{{.Id}}' "${images[@]}" | sha256sum | cut -c 1-12)
  helm upgrade --install dice charts/dice --namespace "$NAMESPACE" --create-namespace --values stack/dice.yaml \
    --set canary.enabled=true "${page[@]}" --set-string "podAnnotations.images=$ids" --wait --timeout 5m >/dev/null

  echo "The page:  http://localhost:8400"
  [ "$GRAFANA" != true ] || echo "Grafana:   http://localhost:3000  (admin, admin)"
  if [ "$node_ports" ]; then
    echo "make down removes the cluster."
    return
  fi
  trap 'kill $(jobs -p) 2>/dev/null' EXIT
  trap 'exit 0' INT TERM
  forward "$NAMESPACE" dice-frontend 8400:8400 &
  [ "$GRAFANA" != true ] || forward monitoring kps-grafana 3000:80 &
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
