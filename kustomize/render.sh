#!/bin/bash
# Prints kustomize/base/dice.yaml as the chart makes it.
set -eu -o pipefail
cd "$(dirname "$0")/.."
helm=$(tools/go-tool.sh helm)
echo "# Made from charts/dice by make manifests. Changes belong there, in base/values.yaml or in an overlay."
"$helm" template dice charts/dice --namespace dice --values kustomize/base/values.yaml --kube-version 1.34.0
