#!/bin/bash
# install.sh [install|remove]: installs Prometheus, Grafana, Loki, Tempo and the Collector in the namespace `monitoring` of
# kubectl's current cluster. Can be run again at any time to update the installation.
#   NAMESPACE=dice         namespace of the services, whose log lines are collected
#   LOG_SHIPPER=collector  or alloy: the log shipper
#   GRAFANA=true           or false: do not install Grafana
#   GRAFANA_NODE_PORT=     port of each node for Grafana; default: none
#   CHARTS=build/stack     folder of packaged charts; missing charts are downloaded into it
set -eu -o pipefail
# shellcheck source=stack/lib.sh
. "$(dirname "$0")/lib.sh"
action=${1:-install}
NAMESPACE=${NAMESPACE:-dice}
LOG_SHIPPER=${LOG_SHIPPER:-collector}
GRAFANA=${GRAFANA:-true}
one_of action "$action" install remove
one_of LOG_SHIPPER "$LOG_SHIPPER" collector alloy
one_of GRAFANA "$GRAFANA" true false
[[ $NAMESPACE =~ ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$ ]] || fail "NAMESPACE=$NAMESPACE is not a namespace; allowed: a-z, 0-9 and, inside, -"
need helm kubectl
context=$(kubectl config current-context 2>/dev/null) || fail "kubectl has no current cluster: kubectl config current-context is empty"
kubectl get --raw /readyz --request-timeout=10s >/dev/null 2>&1 || fail "the cluster of kubectl's context $context is not reachable"

# The label of everything created here; only objects with this label are removed.
mine=app.kubernetes.io/part-of=dice-stack
ours() { [ -n "$(kubectl get "$1" --selector $mine --output name)" ]; }
in_monitoring() { kubectl --namespace monitoring "$@"; }

# release NAME [ARG...]: installs or upgrades a release without waiting.
release() {
  local name=$1 file
  shift
  file=$(chart "$name")
  echo "$name: $(basename "$file" .tgz)"
  helm upgrade --install "$name" "$file" --namespace monitoring --skip-crds --values "$stack/values/$name.yaml" "$@" >/dev/null
}

uninstall() { helm uninstall "$1" --namespace monitoring --ignore-not-found --wait >/dev/null; }

unhealthy() {
  in_monitoring get pods
  in_monitoring get events --field-selector type=Warning --sort-by .lastTimestamp | tail -n 5
  fail "not healthy after 10 minutes: $1"
}

install() {
  local each file crds
  if ! kubectl get namespace monitoring >/dev/null 2>&1; then
    # The agent reads files of the node, which a stricter default would forbid.
    kubectl create --filename - >/dev/null <<-YAML
	apiVersion: v1
	kind: Namespace
	metadata: {name: monitoring, labels: {${mine/=/: }, pod-security.kubernetes.io/enforce: privileged}}
	YAML
  elif ! ours namespace; then
    fail "the namespace monitoring of $context was not created by this script. To use it anyway: kubectl label namespace monitoring $mine"
  fi
  echo "Installing into the namespace monitoring of $context"

  # Helm never upgrades CRDs, so they are applied here, unless another operator installed them.
  file=$(chart kps)
  if ours crd || ! kubectl get crd servicemonitors.monitoring.coreos.com >/dev/null 2>&1; then
    echo "CRDs of the Prometheus Operator"
    crds=$(helm show crds "$file")
    kubectl apply --server-side --force-conflicts --filename - <<<"$crds" >/dev/null
    kubectl label --overwrite --filename - $mine <<<"$crds" >/dev/null
    kubectl wait --for condition=Established crd --selector $mine --timeout 1m >/dev/null
  fi
  release kps --set "grafana.enabled=$GRAFANA" \
    ${GRAFANA_NODE_PORT:+--set "grafana.service.type=NodePort,grafana.service.nodePort=$GRAFANA_NODE_PORT"}
  release loki
  release tempo
  release otel-gateway
  # Running both would store every line twice.
  if [ "$LOG_SHIPPER" = collector ]; then
    uninstall alloy
    release otel-logs --set "config.receivers.filelog.include={/var/log/pods/${NAMESPACE}_*/*/*.log}"
  else
    uninstall otel-logs
    release alloy --set "alloy.extraEnv[0].name=DICE_NAMESPACE,alloy.extraEnv[0].value=$NAMESPACE"
  fi

  for each in $(in_monitoring get deployments,daemonsets,statefulsets --output name); do
    in_monitoring rollout status "$each" --timeout 10m || unhealthy "$each"
  done
  # The operator creates its StatefulSet.
  each=prometheus/kps-kube-prometheus-stack-prometheus
  echo "Waiting for $each"
  in_monitoring wait --for condition=Available "$each" --timeout 10m >/dev/null || unhealthy "$each"
  echo "Everything is healthy after $SECONDS s"
}

remove() {
  local each
  echo "Removing the stack from $context, with all metrics, traces and logs, and the Prometheus Operator's CRDs with every ServiceMonitor and PrometheusRule"
  for each in $(releases | tac); do
    echo "$each"
    uninstall "$each"
  done
  # The operator creates this Service but does not remove it.
  kubectl --namespace kube-system delete service kps-kube-prometheus-stack-kubelet --ignore-not-found
  kubectl delete namespace --selector $mine
  kubectl delete crd --selector $mine
}

"$action"
