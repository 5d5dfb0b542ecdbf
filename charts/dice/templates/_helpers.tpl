{{/* Names and labels. A "component" is frontend, dice-roller, die-service, loadgen or canary. */}}

{{- define "dice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Truncated to leave room for the suffix: "-die-service-metrics" in 63 characters, "-loadgen" in a CronJob's 52. */}}
{{- define "dice.fullname" -}}
{{- $name := include "dice.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 43 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 43 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 43 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* (dict "root" $ "component" …): dice-frontend, dice-roller, dice-die-service, dice-loadgen, dice-canary. */}}
{{- define "dice.objectName" -}}
{{- printf "%s-%s" (include "dice.fullname" .root) (trimPrefix "dice-" .component) }}
{{- end }}

{{- define "dice.selectorLabels" -}}
app.kubernetes.io/name: {{ include "dice.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* Labels of an object; without a component for objects shared by all components. */}}
{{- define "dice.labels" -}}
{{- $labels := include "dice.podLabels" . | fromYaml }}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") }}
{{- toYaml $labels }}
{{- end }}

{{/* Labels of a pod, without those that change with the chart. The chart's override the user's: selectors rely on them. */}}
{{- define "dice.podLabels" -}}
{{- $own := include "dice.selectorLabels" . | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/part-of" (include "dice.name" .root) }}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion }}
{{- mergeOverwrite (deepCopy .root.Values.commonLabels) (deepCopy (.labels | default dict)) $own | toYaml }}
{{- end }}

{{/* metadata: (dict "root" $ "component" … "name" … "labels" (dict …) "annotations" (dict …)); all but root optional. */}}
{{- define "dice.metadata" -}}
metadata:
  name: {{ if .name }}{{ .name }}{{ else }}{{ include "dice.objectName" . }}{{ end }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "dice.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* A service's address inside the cluster: (dict "root" $ "component" … "port" …). */}}
{{- define "dice.url" -}}
http://{{ include "dice.objectName" . }}:{{ .port }}
{{- end }}

{{/* The name of the headless Service of a component's metrics ports, which stands for all its pods. */}}
{{- define "dice.metricsName" -}}
{{ include "dice.objectName" . }}-metrics
{{- end }}

{{/* The metrics ports of all pods of a service: (dict "root" $ "component" …). */}}
{{- define "dice.metricsUrl" -}}
http://{{ include "dice.metricsName" . }}:{{ get (dict "frontend" 9400 "dice-roller" 9401 "die-service" 9402) .component }}
{{- end }}

{{/* The shared values, overridden by a component's own, as JSON: (dict "root" $ "own" .Values.frontend). */}}
{{- define "dice.merged" -}}
{{- $shared := pick .root.Values "image" "imagePullSecrets" "replicaCount" "autoscaling" "podDisruptionBudget" "logLevel" "env"
    "shutdown" "resources" "probes" "podSecurityContext" "securityContext" "serviceAccount" "podLabels" "podAnnotations"
    "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
{{- mergeOverwrite (deepCopy $shared) (deepCopy .own) | toJson }}
{{- end }}

{{- define "dice.image" -}}
{{- $image := .values.image }}
{{- with $image.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $image.repository }}/{{ .program | default .component }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "dice.serviceAccountName" -}}
{{- if .values.serviceAccount.create }}{{ include "dice.objectName" . }}{{ else }}{{ .values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "dice.serviceAccount" -}}
{{- if .values.serviceAccount.create }}
---
apiVersion: v1
kind: ServiceAccount
{{ include "dice.metadata" (dict "root" .root "component" .component "annotations" .values.serviceAccount.annotations) }}
automountServiceAccountToken: false
{{- end }}
{{- end }}

{{/* Environment by name: strings, numbers, or {valueFrom: …}. Numbers are written in full, not as 1e+06. */}}
{{- define "dice.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
  {{- else }}
  value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Common start of every pod spec. */}}
{{- define "dice.podSpec" -}}
serviceAccountName: {{ include "dice.serviceAccountName" . }}
automountServiceAccountToken: false
# Variables generated from Service names could be mistaken for the programs' own.
enableServiceLinks: false
{{- with .values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  {{- toYaml .values.podSecurityContext | nindent 2 }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Common start of every container; `env` is the component's environment, which the user's overrides, and `program` the image's
name, if it is not the component's.
*/}}
{{- define "dice.container" -}}
{{- $telemetry := .root.Values.telemetry -}}
name: {{ .component }}
image: {{ include "dice.image" . | quote }}
imagePullPolicy: {{ .values.image.pullPolicy }}
securityContext:
  {{- toYaml .values.securityContext | nindent 2 }}
env:
  # First, because other variables refer to them.
  - {name: K8S_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
  - {name: K8S_POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: K8S_POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
  - {name: K8S_NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
  {{- $attributes := list
      "service.namespace=$(K8S_NAMESPACE)"
      (printf "service.instance.id=$(K8S_NAMESPACE).$(K8S_POD).%s" .component)
      "k8s.namespace.name=$(K8S_NAMESPACE)"
      "k8s.pod.name=$(K8S_POD)"
      "k8s.pod.uid=$(K8S_POD_UID)"
      "k8s.node.name=$(K8S_NODE)"
      (printf "k8s.container.name=%s" .component) }}
  {{- with .deployment }}
  {{- $attributes = append $attributes (printf "k8s.deployment.name=%s" .) }}
  {{- end }}
  {{- range $key, $value := $telemetry.resourceAttributes }}
  {{- $attributes = append $attributes (printf "%s=%v" $key $value) }}
  {{- end }}
  {{- $env := dict "OTEL_SERVICE_NAME" .component "OTEL_RESOURCE_ATTRIBUTES" (join "," $attributes) }}
  {{- if $telemetry.otlpEndpoint }}
  {{- $_ := set $env "OTEL_EXPORTER_OTLP_ENDPOINT" $telemetry.otlpEndpoint }}
  {{- $_ := set $env "OTEL_TRACES_EXPORTER" "otlp" }}
  {{- else }}
  {{- $_ := set $env "OTEL_TRACES_EXPORTER" "none" }}
  {{- end }}
  {{- include "dice.env" (mergeOverwrite $env .env (deepCopy .values.env)) | trim | nindent 2 }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- end }}

{{- define "dice.podMetadata" -}}
labels:
  {{- include "dice.podLabels" (dict "root" .root "component" .component "labels" .values.podLabels) | nindent 2 }}
annotations:
  # The collector and Alloy use it as the service name of log lines.
  resource.opentelemetry.io/service.name: {{ .component }}
  kubectl.kubernetes.io/default-container: {{ .component }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
