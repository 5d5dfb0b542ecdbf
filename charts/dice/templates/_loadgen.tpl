{{/* Whether any pod of the load generator is enabled. */}}
{{- define "dice.loadgen.enabled" -}}
{{- if or .Values.loadgen.job.enabled .Values.loadgen.cronjob.enabled .Values.tests.enabled }}true{{ end }}
{{- end }}

{{/* Whether a service has, or may scale to, several replicas. Then no single pod has all of its counters and spans. */}}
{{- define "dice.several" -}}
{{- range list .Values.frontend .Values.diceRoller .Values.dieService }}
{{- $values := include "dice.merged" (dict "root" $ "own" .) | fromJson }}
{{- if or $values.autoscaling.enabled (gt (int $values.replicaCount) 1) }}true{{ end }}
{{- end }}
{{- end }}

{{/* The pod's metadata and spec, without its name: (dict "root" $ "args" (list …) "env" (dict …)). */}}
{{- define "dice.loadgen.pod" -}}
{{- $values := include "dice.merged" (dict "root" .root "own" .root.Values.loadgen) | fromJson }}
{{- $env := mergeOverwrite (dict "LOADGEN_URL" (include "dice.url" (dict "root" .root "component" "frontend" "port" 8400))) .env }}
{{- $context := dict "root" .root "component" "loadgen" "values" $values "env" $env -}}
metadata:
  {{- include "dice.podMetadata" $context | nindent 2 }}
spec:
  {{- include "dice.podSpec" $context | nindent 2 }}
  restartPolicy: Never
  containers:
    - {{ include "dice.container" $context | nindent 6 | trim }}
      args: {{ toJson .args }}
{{- end }}

{{- define "dice.loadgen.job" -}}
backoffLimit: 0
template:
  {{- include "dice.loadgen.pod" (dict "root" . "args" (list "traffic") "env" (dict "LOADGEN_WAIT" 60)) | nindent 2 }}
{{- end }}
