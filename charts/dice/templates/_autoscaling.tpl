{{/*
PromQL with which KEDA decides on the number of pods. A query returns nothing if Prometheus does not scrape the service at all,
which KEDA takes as an error: 0 would remove pods.
*/}}

{{/* Label matchers for the pods of one service of this release, as scraped by the ServiceMonitor: (dict "root" $ "component" …). */}}
{{- define "dice.series" -}}
namespace="{{ .root.Release.Namespace }}",service="{{ include "dice.metricsName" . }}"
{{- end }}

{{/* Requests per second, without probes and scrapes: (dict "root" $ "component" … "own" .Values.frontend). */}}
{{- define "dice.requestTriggers" -}}
{{- $series := include "dice.series" . -}}
- name: requests
  threshold: {{ .own.autoscaling.target }}
  query: >-
    sum(rate(http_requests_total{ {{- $series }},route!~"/healthz|/readyz|/metrics|/debug/.*"}[1m]))
    or 0 * sum(dice_build_info{ {{- $series }}})
{{- end }}

{{/*
Rolls at work, which maxRollThreads limits. With rejections, as many as there would be without: an accepted request causes as much
work as a rejected one would have.
*/}}
{{- define "dice.rollTriggers" -}}
{{- $series := include "dice.series" (dict "root" . "component" "dice-roller") }}
{{- $threshold := divf (mulf .Values.diceRoller.autoscaling.target .Values.diceRoller.maxRollThreads) 100 }}
- name: rolls
  threshold: {{ $threshold }}
  query: sum(roll_admission_in_use{ {{- $series }}})
- name: rejections
  threshold: {{ $threshold }}
  query: >-
    sum(roll_admission_in_use{ {{- $series }}})
    * (1 + (sum(rate(roll_admission_rejected_total{ {{- $series }},reason="overloaded"}[1m])) or vector(0))
    / clamp_min(sum(rate(http_requests_total{ {{- $series }},route=~"/roll|/roll-async",error_code!="overloaded"}[1m]))
    or vector(0), 1e-9))
{{- end }}
