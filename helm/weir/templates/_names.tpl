{{- define "weir.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of a part: dict root, part. */}}
{{- define "weir.part" -}}
{{ include "weir.name" .root }}-{{ .part }}
{{- end -}}

{{- define "weir.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: weir
{{ include "weir.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "weir.selector" -}}
app.kubernetes.io/name: weir-{{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{/* The services: what differs between them and is no choice of the user's. Merged with values by
     weir.service. */}}
{{- define "weir.services" -}}
gateway: {part: gateway, module: gateway, port: 8080, portName: http, health: "", metrics: http}
inference: {part: inference, module: inference, port: 50051, portName: grpc, health: weir.inference.v1.InferenceService, metrics: metrics}
predictionLog: {part: prediction-log, module: prediction_log, port: 50051, portName: grpc, health: weir.predictions.v1.PredictionLogService, metrics: metrics}
drift: {part: drift, module: drift, port: 50051, portName: grpc, health: weir.drift.v1.DriftService, metrics: metrics}
{{- end -}}

{{/* One service with all its keys: dict root, key. Gives YAML. */}}
{{- define "weir.service" -}}
{{- $fixed := get (include "weir.services" .root | fromYaml) .key -}}
{{- mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (get .root.Values .key)) $fixed | toYaml -}}
{{- end -}}

{{- define "weir.image" -}}
{{- $values := .root.Values -}}
{{- with $values.global.imageRegistry }}{{ . }}/{{ end -}}
{{ $values.image.repository }}/{{ .part }}:{{ $values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{- define "weir.storeImage" -}}
{{- with .root.Values.global.imageRegistry }}{{ . }}/{{ end -}}
{{ .image.repository }}:{{ .image.tag }}
{{- end -}}

{{- define "weir.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "weir.gatewayHost" -}}
{{ include "weir.part" (dict "root" . "part" "gateway") }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* Where pods reach the gateway. */}}
{{- define "weir.gatewayUrl" -}}
http{{ if .Values.gateway.tls.existingSecret }}s{{ end }}://{{ include "weir.gatewayHost" . }}:{{ .Values.service.port }}
{{- end -}}

{{/* The issuer of access tokens. */}}
{{- define "weir.issuer" -}}
{{- if .Values.publicUrl -}}
{{ .Values.publicUrl | trimSuffix "/" }}
{{- else if and .Values.ingress.enabled .Values.ingress.host -}}
http{{ if .Values.ingress.tlsSecret }}s{{ end }}://{{ .Values.ingress.host }}
{{- else if .Values.httpRoute.enabled -}}
{{ required "publicUrl is needed with httpRoute" .Values.publicUrl }}
{{- else -}}
http{{ if .Values.gateway.tls.existingSecret }}s{{ end }}://{{ include "weir.gatewayHost" . }}
{{- end -}}
{{- end -}}

{{/* Where a gRPC service is called: all pods behind one name, balanced by the client. */}}
{{- define "weir.target" -}}
dns:///{{ include "weir.part" . }}.{{ .root.Release.Namespace }}.svc:50051
{{- end -}}

{{- define "weir.identitySecret" -}}
{{ .Values.identity.existingSecret | default (printf "%s-identity" (include "weir.name" .)) }}
{{- end -}}
{{- define "weir.clientsSecret" -}}
{{ .Values.identity.existingClientsSecret | default (printf "%s-clients" (include "weir.name" .)) }}
{{- end -}}
{{- define "weir.postgresSecret" -}}
{{- if .Values.postgresql.existingSecret }}{{ .Values.postgresql.existingSecret }}
{{- else if .Values.postgresql.bundled }}{{ include "weir.name" . }}-postgresql
{{- else }}{{ fail "postgresql.existingSecret is needed where postgresql.bundled is false" }}{{ end -}}
{{- end -}}
{{/* dict root, role (events or quota). */}}
{{- define "weir.redisSecret" -}}
{{- $redis := get .root.Values.redis .role -}}
{{- if $redis.existingSecret }}{{ $redis.existingSecret }}
{{- else if $redis.bundled }}{{ include "weir.name" .root }}-redis-{{ .role }}
{{- else }}{{ fail (printf "redis.%s.existingSecret is needed where redis.%s.bundled is false" .role .role) }}{{ end -}}
{{- end -}}

{{/* The value of a Secret that exists already, else a new one: dict root, secret, key, new. In
     rendering without a cluster every value is new. */}}
{{- define "weir.kept" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace .secret -}}
{{- $data := $found.data | default dict -}}
{{- if hasKey $data .key }}{{ get $data .key }}{{ else }}{{ .new | b64enc }}{{ end -}}
{{- end -}}

{{- define "weir.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}
{{- define "weir.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Whether a service is counted by an autoscaler: its merged values. */}}
{{- define "weir.autoscaled" -}}
{{- if ne .autoscaling.by "none" }}true{{ end -}}
{{- end -}}
