{{/* Whether any pod of the load generator is enabled. */}}
{{- define "dice.loadgen.enabled" -}}
{{- if or .Values.loadgen.job.enabled .Values.loadgen.cronjob.enabled .Values.tests.enabled }}true{{ end }}
{{- end }}

{{/* The metrics port of the load generator and the canary. */}}
{{- define "dice.loadgen.metricsPort" -}}
8404
{{- end }}

{{/* The variables with which `loadgen verify` finds the page, traces, log lines and metrics, as YAML. */}}
{{- define "dice.loadgen.verifyEnv" -}}
{{- $telemetry := .Values.telemetry -}}
LOADGEN_URL: {{ include "dice.url" (dict "root" . "component" "frontend" "port" 8400) }}
{{- with $telemetry.tempoUrl }}
LOADGEN_TEMPO: {{ . }}
{{- end }}
{{- with $telemetry.lokiUrl }}
LOADGEN_LOKI: {{ . }}
{{- end }}
{{- $services := list }}
{{- $urls := list }}
{{- range list "frontend" "dice-roller" "die-service" }}
{{- $services = append $services (include "dice.metricsName" (dict "root" $ "component" .)) }}
{{- $urls = append $urls (include "dice.metricsUrl" (dict "root" $ "component" .)) }}
{{- end }}
{{- if $telemetry.prometheusUrl }}
LOADGEN_PROMETHEUS: {{ $telemetry.prometheusUrl }}
LOADGEN_PROMETHEUS_SELECTOR: {{ printf `{namespace="%s",service=~"%s"}` .Release.Namespace (join "|" $services) | quote }}
{{- else }}
LOADGEN_METRICS: {{ join "," $urls }}
{{- end }}
{{- end }}

{{/* The pod's metadata and spec, without its name: (dict "root" $ "args" (list …) "env" (dict …) "ports" (list …)). */}}
{{- define "dice.loadgen.pod" -}}
{{- $values := include "dice.merged" (dict "root" .root "own" .root.Values.loadgen) | fromJson }}
{{- $context := dict "root" .root "component" "loadgen" "values" $values "env" .env -}}
metadata:
  {{- include "dice.podMetadata" $context | nindent 2 }}
spec:
  {{- include "dice.podSpec" $context | nindent 2 }}
  restartPolicy: Never
  containers:
    - {{ include "dice.container" $context | nindent 6 | trim }}
      args: {{ toJson .args }}
      {{- with .ports }}
      ports:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}

{{/* The pod of a Job or CronJob, which sends load: (dict "root" $ "env" (dict …)). */}}
{{- define "dice.loadgen.traffic" -}}
{{- $port := include "dice.loadgen.metricsPort" . | int }}
{{- $env := dict
    "LOADGEN_URL" (include "dice.url" (dict "root" .root "component" "frontend" "port" 8400))
    "LOADGEN_WAIT" 60
    "LOADGEN_METRICS_PORT" $port }}
{{- include "dice.loadgen.pod" (dict "root" .root "args" (list "traffic") "env" (mergeOverwrite $env .env)
    "ports" (list (dict "name" "metrics" "containerPort" $port "protocol" "TCP"))) }}
{{- end }}
