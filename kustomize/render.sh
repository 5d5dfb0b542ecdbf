#!/bin/bash
# Prints kustomize/base/dice.yaml, rendered from the chart.
set -eu -o pipefail
cd "$(dirname "$0")/.."
helm=$(tools/go-tool.sh helm)
echo "# Generated from charts/dice by make manifests. Change the chart, base/values.yaml or an overlay instead."
"$helm" template dice charts/dice --namespace dice --values kustomize/base/values.yaml --kube-version 1.34.0
