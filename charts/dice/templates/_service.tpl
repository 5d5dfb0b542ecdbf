{{/*
A service: ServiceAccount, Deployment, Services, PodDisruptionBudget, ScaledObject.

(dict "root" $ "component" … "own" .Values.frontend "port" 8400 "metricsPort" 9400 "env" (dict …) "triggers" (list …))
and optionally "volumes", "volumeMounts". A trigger: (dict "name" … "query" "PromQL for all pods" "threshold" "per pod").
*/}}
{{- define "dice.service" -}}
{{- $values := include "dice.merged" . | fromJson }}
{{- $name := include "dice.objectName" . }}
{{- $env := mergeOverwrite (dict
      "LOG_LEVEL" $values.logLevel
      "SHUTDOWN_DELAY_SECONDS" $values.shutdown.delaySeconds
      "SHUTDOWN_GRACE_SECONDS" $values.shutdown.graceSeconds
      "SHUTDOWN_FLUSH_SECONDS" $values.shutdown.flushSeconds
      "METRICS_ON_MAIN_PORT" "false") .env }}
{{- $context := mergeOverwrite (omit . "env") (dict "values" $values "env" $env "deployment" $name) }}
{{- include "dice.serviceAccount" $context }}
---
apiVersion: apps/v1
kind: Deployment
{{ include "dice.metadata" (dict "root" .root "component" .component) }}
spec:
  {{- if and (not $values.autoscaling.enabled) (not (kindIs "invalid" $values.replicaCount)) }}
  replicas: {{ $values.replicaCount }}
  {{- end }}
  # A new pod becomes ready before an old one stops.
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector:
    matchLabels:
      {{- include "dice.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      {{- include "dice.podMetadata" $context | nindent 6 }}
    spec:
      {{- include "dice.podSpec" $context | nindent 6 }}
      # A shutdown takes at most the sum of the three plus one second; the rest is for the kubelet.
      {{- with $values.shutdown }}
      terminationGracePeriodSeconds: {{ add (ceil (addf .delaySeconds .graceSeconds .flushSeconds)) 5 }}
      {{- end }}
      {{- with $values.topologySpreadConstraints }}
      topologySpreadConstraints:
        {{- range . }}
        {{- $selector := dict "labelSelector" (dict "matchLabels" (include "dice.selectorLabels" $context | fromYaml))
            "matchLabelKeys" (list "pod-template-hash") }}
        - {{ mergeOverwrite $selector . | toYaml | nindent 10 | trim }}
        {{- end }}
      {{- end }}
      containers:
        - {{ include "dice.container" $context | nindent 10 | trim }}
          ports:
            - {name: http, containerPort: {{ .port }}, protocol: TCP}
            - {name: metrics, containerPort: {{ .metricsPort }}, protocol: TCP}
          startupProbe:
            httpGet: {path: /readyz, port: http}
            {{- toYaml $values.probes.startup | nindent 12 }}
          livenessProbe:
            httpGet: {path: /healthz, port: metrics}
            {{- toYaml $values.probes.liveness | nindent 12 }}
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            {{- toYaml $values.probes.readiness | nindent 12 }}
          {{- with .volumeMounts }}
          volumeMounts:
            {{- toYaml . | nindent 12 }}
          {{- end }}
      {{- with .volumes }}
      volumes:
        {{- toYaml . | nindent 8 }}
      {{- end }}
---
apiVersion: v1
kind: Service
{{ include "dice.metadata" (dict "root" .root "component" .component) }}
spec:
  type: ClusterIP
  selector:
    {{- include "dice.selectorLabels" . | nindent 4 }}
  ports:
    - {name: http, port: {{ .port }}, targetPort: http, protocol: TCP, appProtocol: http}
---
# Its name resolves to the addresses of all pods, starting and terminating ones included: each has its own counters, recent spans
# and log lines.
apiVersion: v1
kind: Service
{{ include "dice.metadata" (dict "root" .root "component" .component "name" (include "dice.metricsName" .)) }}
spec:
  type: ClusterIP
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "dice.selectorLabels" . | nindent 4 }}
  ports:
    - {name: metrics, port: {{ .metricsPort }}, targetPort: metrics, protocol: TCP, appProtocol: http}
{{- if $values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
{{ include "dice.metadata" (dict "root" .root "component" .component) }}
spec:
  maxUnavailable: {{ $values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "dice.selectorLabels" . | nindent 6 }}
{{- end }}
{{- with $values.autoscaling }}
{{- if .enabled }}
{{- if lt (int .maxReplicas) (int .minReplicas) }}
{{- fail (printf "autoscaling.maxReplicas (%v) of %s must be at least minReplicas (%v)" .maxReplicas $.component .minReplicas) }}
{{- end }}
{{- $prometheus := required (printf "autoscaling.enabled of %s requires telemetry.prometheusUrl, from which KEDA reads the load" $.component)
    (empty $.root.Values.telemetry.prometheusUrl | ternary nil $.root.Values.telemetry.prometheusUrl) }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
{{ include "dice.metadata" (dict "root" $.root "component" $.component) }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicaCount: {{ .minReplicas }}
  maxReplicaCount: {{ .maxReplicas }}
  # While Prometheus cannot tell the load, no replicas are removed.
  fallback: {failureThreshold: 3, replicas: {{ .minReplicas }}, behavior: currentReplicasIfHigher}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml .behavior | nindent 8 }}
  triggers:
    {{- range $.triggers }}
    - type: prometheus
      name: {{ .name }}
      metricType: AverageValue
      metadata:
        serverAddress: {{ $prometheus | quote }}
        threshold: {{ .threshold | quote }}
        ignoreNullValues: "false"
        query: >-
          {{ .query }}
    {{- end }}
{{- end }}
{{- end }}
{{- end }}
