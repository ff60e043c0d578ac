{{/* All variables of a service's container: dict root, key, service. What the user adds comes last. */}}
{{- define "weir.environment" -}}
{{- $made := include "weir.madeVariables" . | fromYamlArray -}}
{{- $added := dict -}}
{{- range $name, $value := .root.Values.env }}{{ $_ := set $added $name $value }}{{ end -}}
{{- range $name, $value := .service.env }}{{ $_ := set $added $name $value }}{{ end -}}
{{- include "weir.refuseReserved" (dict "key" .key "env" $added) -}}
{{ toYaml $made }}
{{- include "weir.variables" $added }}
{{- end -}}

{{/* The variables that the chart sets. */}}
{{- define "weir.madeVariables" -}}
{{- $values := .root.Values -}}
{{- $root := .root -}}
- name: WEIR_INSTANCE
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: WEIR_ISSUER, value: {{ include "weir.issuer" $root | quote }}}
- {name: WEIR_JWKS_URL, value: "{{ include "weir.gatewayUrl" $root }}/.well-known/jwks.json"}
- {name: WEIR_LOG_LEVEL, value: {{ $values.logLevel | quote }}}
- {name: WEIR_SHUTDOWN_GRACE, value: {{ .service.drainSeconds | quote }}}
{{ include "weir.secretVariable" (dict "name" "WEIR_EVENTS_REDIS_URL" "secret" (include "weir.redisSecret" (dict "root" $root "role" "events")) "key" "url") }}
{{- with $values.tracing.otlpEndpoint }}
- {name: WEIR_OTLP_ENDPOINT, value: {{ . | quote }}}
- {name: WEIR_TRACE_SAMPLE_RATIO, value: {{ $values.tracing.sampleRatio | quote }}}
- {name: WEIR_TRACE_RATE, value: {{ $values.tracing.perSecond | quote }}}
{{- end }}
{{- if eq .key "gateway" }}
{{ include "weir.gatewayVariables" . }}
{{- else }}
- {name: WEIR_GRPC_ADDRESS, value: "0.0.0.0:{{ .service.port }}"}
- {name: WEIR_METRICS_ADDRESS, value: "0.0.0.0:9090"}
{{- with $values.gateway.tls.existingSecret }}
# Read by whatever fetches the keys of tokens from the gateway.
- {name: SSL_CERT_FILE, value: /etc/weir/gateway-authority/ca.crt}
{{- end }}
{{- end }}
{{- include "weir.grpcTlsVariables" . }}
{{- if eq .key "inference" }}
- {name: WEIR_WHEN_UNLOGGED, value: {{ .service.whenUnlogged }}}
- {name: WEIR_ANSWER_CACHE_ITEMS, value: {{ .service.answerCacheItems | int | quote }}}
{{- if $values.logKeys.existingPublicSecret }}
- {name: WEIR_INPUT_SEALING_KEY_FILE, value: /etc/weir/log-public/input-sealing-key.pem}
{{- end }}
{{- end }}
{{- if has .key (list "inference" "drift") }}
- {name: WEIR_MODEL_REPOSITORY, value: /models}
{{- end }}
{{- if eq .key "drift" }}
- {name: WEIR_DRIFT_WINDOW_ROWS, value: {{ .service.window.rows | int | quote }}}
- {name: WEIR_DRIFT_WINDOW_SECONDS, value: {{ .service.window.seconds | int | quote }}}
- {name: WEIR_DRIFT_MINIMUM_ROWS, value: {{ .service.window.minimumRows | int | quote }}}
- {name: WEIR_DRIFT_FALSE_DISCOVERY_RATE, value: {{ .service.falseDiscoveryRate | quote }}}
{{- range $kind, $effect := .service.smallestEffects }}
- {name: WEIR_DRIFT_SMALLEST_{{ upper $kind }}, value: {{ $effect | quote }}}
{{- end }}
{{- with .service.webhook.url }}
- {name: WEIR_DRIFT_WEBHOOK_URL, value: {{ . | quote }}}
{{- end }}
{{- if .service.webhook.existingSecret }}
- {name: WEIR_DRIFT_WEBHOOK_SECRET_FILE, value: /etc/weir/webhook/webhook-secret}
{{- end }}
{{- end }}
{{- if eq .key "predictionLog" }}
{{ include "weir.secretVariable" (dict "name" "WEIR_DATABASE_URL" "secret" (include "weir.postgresSecret" $root) "key" "service-url") }}
- {name: WEIR_RETENTION_CLASSES, value: {{ .service.retention.classes | toJson | quote }}}
- {name: WEIR_DEFAULT_RETENTION_CLASS, value: {{ .service.retention.defaultClass }}}
- {name: WEIR_AUDIT_DAYS, value: {{ .service.retention.auditDays | int | quote }}}
- {name: WEIR_DEAD_LETTER_DAYS, value: {{ .service.retention.deadLetterDays | int | quote }}}
{{- if $values.logKeys.existingSecret }}
- {name: WEIR_INPUT_SEALING_PRIVATE_KEY_FILE, value: /etc/weir/log-keys/input-sealing-private-key.pem}
- {name: WEIR_MASTER_KEYS_FILE, value: /etc/weir/log-keys/master-keys.json}
- {name: WEIR_SUBJECT_SECRET_FILE, value: /etc/weir/log-keys/subject-secret}
- {name: WEIR_AUDIT_SIGNING_KEY_FILE, value: /etc/weir/log-keys/audit-signing-key.pem}
{{- end }}
{{- end }}
{{- end -}}

{{- define "weir.gatewayVariables" -}}
{{- $values := .root.Values -}}
{{- $gateway := .service -}}
{{ include "weir.secretVariable" (dict "name" "WEIR_QUOTA_REDIS_URL" "secret" (include "weir.redisSecret" (dict "root" .root "role" "quota")) "key" "url") }}
- {name: WEIR_HTTP_HOST, value: "0.0.0.0"}
- {name: WEIR_HTTP_PORT, value: "8080"}
{{- if $gateway.tls.existingSecret }}
- {name: WEIR_TLS_CERTIFICATE_FILE, value: /etc/weir/tls/tls.crt}
- {name: WEIR_TLS_KEY_FILE, value: /etc/weir/tls/tls.key}
{{- end }}
- {name: WEIR_TRUSTED_PROXIES, value: {{ join "," $gateway.trustedProxies | quote }}}
- {name: WEIR_FORWARDED_HEADER, value: {{ $gateway.forwardedHeader }}}
- {name: WEIR_CORS_ORIGINS, value: {{ join "," $gateway.corsOrigins | quote }}}
- {name: WEIR_DEFAULT_MODEL, value: {{ $gateway.defaultModel | quote }}}
- {name: WEIR_QUOTA_PER_MINUTE, value: {{ $gateway.quota.perMinute | int | quote }}}
- {name: WEIR_QUOTA_PER_HOUR, value: {{ $gateway.quota.perHour | int | quote }}}
- {name: WEIR_INFERENCE_CALLS, value: {{ $gateway.coalescing.calls | int | quote }}}
- {name: WEIR_INFERENCE_ITEMS_PER_CALL, value: {{ $gateway.coalescing.itemsPerCall | int | quote }}}
- {name: WEIR_INFERENCE_ITEMS, value: {{ $gateway.coalescing.items | int | quote }}}
- {name: WEIR_IDEMPOTENCY_LIFETIME, value: {{ $gateway.idempotencySeconds | int | quote }}}
- {name: WEIR_BREAKER_PAUSE, value: {{ $gateway.breakerPauseSeconds | quote }}}
# Each one's local share of a quota, while the quota Redis is away.
- {name: WEIR_REPLICAS, value: {{ ternary $gateway.autoscaling.maxReplicas $gateway.replicas (ne "none" $gateway.autoscaling.by) | int | quote }}}
- {name: WEIR_INFERENCE_TARGET, value: {{ include "weir.target" (dict "root" .root "part" "inference") | quote }}}
- {name: WEIR_PREDICTION_LOG_TARGET, value: {{ include "weir.target" (dict "root" .root "part" "prediction-log") | quote }}}
- {name: WEIR_DRIFT_TARGET, value: {{ include "weir.target" (dict "root" .root "part" "drift") | quote }}}
- {name: WEIR_SIGNING_KEYS_DIR, value: {{ ternary "/etc/weir/signing-keys" "/etc/weir/identity" $values.identity.rotation.enabled }}}
- {name: WEIR_PEPPER_FILE, value: /etc/weir/identity/pepper}
- {name: WEIR_CLIENTS_FILE, value: /etc/weir/clients/clients.yaml}
{{- if $values.identity.bootstrap.existingSecret }}
- {name: WEIR_BOOTSTRAP_SECRET_FILE, value: /etc/weir/bootstrap/bootstrap-secret}
{{- end }}
{{- if $gateway.trustedIssuers.file }}
- {name: WEIR_TRUSTED_ISSUERS_FILE, value: /etc/weir/trusted-issuers/trusted-issuers.yaml}
{{- end }}
{{- end -}}

{{/* TLS between the services: a server's files, or the gateway's as their client. */}}
{{- define "weir.grpcTlsVariables" -}}
{{- $grpc := .root.Values.grpc -}}
{{- $mutual := eq $grpc.tls "mutual" -}}
{{- if ne $grpc.tls "none" }}
{{- if ne .key "gateway" }}
- {name: WEIR_GRPC_TLS_CERTIFICATE_FILE, value: /etc/weir/grpc/tls.crt}
- {name: WEIR_GRPC_TLS_KEY_FILE, value: /etc/weir/grpc/tls.key}
{{- if $mutual }}
- {name: WEIR_GRPC_TLS_CLIENT_CA_FILE, value: /etc/weir/grpc/ca.crt}
- {name: WEIR_DELEGATE_CERTIFICATE_NAME, value: {{ $grpc.delegateCertificateName | quote }}}
{{- end }}
{{- end }}
# The gateway's calls, or a probe's.
- {name: WEIR_GRPC_CA_FILE, value: /etc/weir/grpc/ca.crt}
{{- if $mutual }}
- {name: WEIR_GRPC_CLIENT_CERTIFICATE_FILE, value: /etc/weir/grpc/tls.crt}
- {name: WEIR_GRPC_CLIENT_KEY_FILE, value: /etc/weir/grpc/tls.key}
{{- end }}
{{- end }}
{{- end -}}

{{/* Variables from a map of full names. */}}
{{- define "weir.variables" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  {{- if and (kindIs "map" $value) (hasKey $value "valueFrom") }}
  {{- toYaml $value | nindent 2 }}
  {{- else if kindIs "string" $value }}
  value: {{ $value | quote }}
  {{- else }}
  value: {{ $value | toJson | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "weir.secretVariable" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{- end -}}

{{/* Fails where a map of variables names what the chart sets: dict key, env. */}}
{{- define "weir.refuseReserved" -}}
{{- $reserved := include "weir.reserved" . | fromYaml -}}
{{- range $name, $value := .env }}
{{- if hasKey $reserved $name }}
{{- fail (printf "%s.env: %s is set by the chart; use %s" $.key $name (get $reserved $name)) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the chart sets, or leaves out for a reason, and the value that decides on it. */}}
{{- define "weir.reserved" -}}
SSL_CERT_FILE: gateway.tls
WEIR_ANSWER_CACHE_ITEMS: inference.answerCacheItems
WEIR_AUDIT_DAYS: predictionLog.retention.auditDays
WEIR_AUDIT_SIGNING_KEY_FILE: logKeys.existingSecret
WEIR_BOOTSTRAP_SECRET_FILE: identity.bootstrap.existingSecret
WEIR_BREAKER_PAUSE: gateway.breakerPauseSeconds
WEIR_CLIENTS_FILE: identity.existingClientsSecret
WEIR_CORS_ORIGINS: gateway.corsOrigins
WEIR_DATABASE_URL: postgresql.existingSecret
WEIR_DEAD_LETTER_DAYS: predictionLog.retention.deadLetterDays
WEIR_DEFAULT_MODEL: gateway.defaultModel
WEIR_DEFAULT_RETENTION_CLASS: predictionLog.retention.defaultClass
WEIR_DELEGATE_CERTIFICATE_NAME: grpc.delegateCertificateName
WEIR_DRIFT_FALSE_DISCOVERY_RATE: drift.falseDiscoveryRate
WEIR_DRIFT_MINIMUM_ROWS: drift.window.minimumRows
WEIR_DRIFT_SMALLEST_CATEGORY: drift.smallestEffects.category
WEIR_DRIFT_SMALLEST_NUMBER: drift.smallestEffects.number
WEIR_DRIFT_SMALLEST_RATIO: drift.smallestEffects.ratio
WEIR_DRIFT_SMALLEST_VECTOR: drift.smallestEffects.vector
WEIR_DRIFT_TARGET: the release's own service
WEIR_DRIFT_WEBHOOK_SECRET_FILE: drift.webhook.existingSecret
WEIR_DRIFT_WEBHOOK_URL: drift.webhook.url
WEIR_DRIFT_WINDOW_ROWS: drift.window.rows
WEIR_DRIFT_WINDOW_SECONDS: drift.window.seconds
WEIR_EVENTS_REDIS_URL: redis.events.existingSecret
WEIR_FORWARDED_HEADER: gateway.forwardedHeader
WEIR_GRPC_ADDRESS: the fixed port 50051
WEIR_GRPC_CA_FILE: grpc
WEIR_GRPC_CLIENT_CERTIFICATE_FILE: grpc
WEIR_GRPC_CLIENT_KEY_FILE: grpc
WEIR_GRPC_TLS_CERTIFICATE_FILE: grpc
WEIR_GRPC_TLS_CLIENT_CA_FILE: grpc
WEIR_GRPC_TLS_KEY_FILE: grpc
WEIR_HTTP_HOST: service
WEIR_HTTP_PORT: service.port
WEIR_IDEMPOTENCY_LIFETIME: gateway.idempotencySeconds
WEIR_INFERENCE_CALLS: gateway.coalescing.calls
WEIR_INFERENCE_ITEMS: gateway.coalescing.items
WEIR_INFERENCE_ITEMS_PER_CALL: gateway.coalescing.itemsPerCall
WEIR_INFERENCE_TARGET: the release's own service
WEIR_INPUT_SEALING_KEY_FILE: logKeys.existingPublicSecret
WEIR_INPUT_SEALING_PRIVATE_KEY_FILE: logKeys.existingSecret
WEIR_INSTANCE: the pod's name
WEIR_ISSUER: publicUrl
WEIR_JWKS_URL: the release's own gateway
WEIR_LOG_LEVEL: logLevel
WEIR_MASTER_KEYS_FILE: logKeys.existingSecret
WEIR_METRICS_ADDRESS: the fixed port 9090
WEIR_MODEL_REPOSITORY: models
WEIR_OTLP_ENDPOINT: tracing.otlpEndpoint
WEIR_PEPPER_FILE: identity.existingSecret
WEIR_PREDICTION_LOG_TARGET: the release's own service
WEIR_QUOTA_PER_HOUR: gateway.quota.perHour
WEIR_QUOTA_PER_MINUTE: gateway.quota.perMinute
WEIR_QUOTA_REDIS_URL: redis.quota.existingSecret
WEIR_REPLICAS: gateway.replicas or gateway.autoscaling
WEIR_RETENTION_CLASSES: predictionLog.retention.classes
WEIR_SHUTDOWN_GRACE: drainSeconds
WEIR_SIGNING_KEYS_DIR: identity
WEIR_SUBJECT_SECRET_FILE: logKeys.existingSecret
WEIR_TLS_CERTIFICATE_FILE: gateway.tls.existingSecret
WEIR_TLS_KEY_FILE: gateway.tls.existingSecret
WEIR_TRACE_RATE: tracing.perSecond
WEIR_TRACE_SAMPLE_RATIO: tracing.sampleRatio
WEIR_TRUSTED_ISSUERS_FILE: gateway.trustedIssuers.file
WEIR_TRUSTED_PROXIES: gateway.trustedProxies
WEIR_WHEN_UNLOGGED: inference.whenUnlogged
{{- end -}}
