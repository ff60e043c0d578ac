{{/* Variables of a service's container: dict root, key, service. The last of a name holds, so what the
     user set comes last. */}}
{{- define "weir.environment" -}}
{{- $values := .root.Values -}}
{{- $root := .root -}}
- name: WEIR_INSTANCE
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: WEIR_ISSUER, value: {{ include "weir.issuer" $root | quote }}}
- {name: WEIR_JWKS_URL, value: "http://{{ include "weir.gatewayHost" $root }}:{{ $values.service.port }}/.well-known/jwks.json"}
- {name: WEIR_SHUTDOWN_GRACE, value: {{ .service.drainSeconds | quote }}}
{{ include "weir.secretVariable" (dict "name" "WEIR_EVENTS_REDIS_URL" "secret" (include "weir.redisSecret" (dict "root" $root "role" "events")) "key" "url") }}
{{- with $values.otlpEndpoint }}
- {name: WEIR_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- if eq .key "gateway" }}
{{ include "weir.secretVariable" (dict "name" "WEIR_QUOTA_REDIS_URL" "secret" (include "weir.redisSecret" (dict "root" $root "role" "quota")) "key" "url") }}
- {name: WEIR_HTTP_HOST, value: "0.0.0.0"}
- {name: WEIR_HTTP_PORT, value: "8080"}
- {name: WEIR_TRUSTED_PROXIES, value: {{ $values.gateway.trustedProxies | quote }}}
- {name: WEIR_REPLICAS, value: {{ ternary .service.autoscaling.maxReplicas .service.replicas (ne "" (include "weir.autoscaled" .service)) | quote }}}
- {name: WEIR_INFERENCE_TARGET, value: {{ include "weir.target" (dict "root" $root "part" "inference") | quote }}}
- {name: WEIR_PREDICTION_LOG_TARGET, value: {{ include "weir.target" (dict "root" $root "part" "prediction-log") | quote }}}
- {name: WEIR_DRIFT_TARGET, value: {{ include "weir.target" (dict "root" $root "part" "drift") | quote }}}
- {name: WEIR_SIGNING_KEYS_DIR, value: /etc/weir/identity}
- {name: WEIR_PEPPER_FILE, value: /etc/weir/identity/pepper}
- {name: WEIR_CLIENTS_FILE, value: /etc/weir/clients/clients.yaml}
{{- else }}
- {name: WEIR_GRPC_ADDRESS, value: "0.0.0.0:{{ .service.port }}"}
- {name: WEIR_METRICS_ADDRESS, value: "0.0.0.0:9090"}
{{- end }}
{{- if has .key (list "inference" "drift") }}
- {name: WEIR_MODEL_REPOSITORY, value: /models}
{{- end }}
{{- if and (eq .key "inference") $values.logKeys.existingPublicSecret }}
- {name: WEIR_INPUT_SEALING_KEY_FILE, value: /etc/weir/log-public/input-sealing-key.pem}
{{- end }}
{{- if eq .key "predictionLog" }}
{{ include "weir.secretVariable" (dict "name" "WEIR_DATABASE_URL" "secret" (include "weir.postgresSecret" $root) "key" "service-url") }}
{{- if $values.logKeys.existingSecret }}
- {name: WEIR_INPUT_SEALING_PRIVATE_KEY_FILE, value: /etc/weir/log-keys/input-sealing-private-key.pem}
- {name: WEIR_MASTER_KEYS_FILE, value: /etc/weir/log-keys/master-keys.json}
- {name: WEIR_SUBJECT_SECRET_FILE, value: /etc/weir/log-keys/subject-secret}
- {name: WEIR_AUDIT_SIGNING_KEY_FILE, value: /etc/weir/log-keys/audit-signing-key.pem}
{{- end }}
{{- end }}
{{- include "weir.settings" $values.settings }}
{{- include "weir.settings" .service.settings }}
{{- with .service.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Files of a service: dict root, key. */}}
{{- define "weir.mounts" -}}
{{- if eq .key "gateway" }}
- {name: identity, mountPath: /etc/weir/identity, readOnly: true}
- {name: clients, mountPath: /etc/weir/clients, readOnly: true}
{{- end }}
{{- if and (eq .key "inference") .root.Values.logKeys.existingPublicSecret }}
- {name: log-public, mountPath: /etc/weir/log-public, readOnly: true}
{{- end }}
{{- if and (eq .key "predictionLog") .root.Values.logKeys.existingSecret }}
- {name: log-keys, mountPath: /etc/weir/log-keys, readOnly: true}
{{- end }}
{{- if and (has .key (list "inference" "drift")) (eq .root.Values.models.source "claim") }}
- {name: models, mountPath: /models, readOnly: true}
{{- end }}
{{- end -}}

{{- define "weir.volumes" -}}
{{- if eq .key "gateway" }}
- name: identity
  secret: {secretName: {{ include "weir.identitySecret" .root }}, defaultMode: 0440}
- name: clients
  secret: {secretName: {{ include "weir.clientsSecret" .root }}, defaultMode: 0440}
{{- end }}
{{- if and (eq .key "inference") .root.Values.logKeys.existingPublicSecret }}
- name: log-public
  secret: {secretName: {{ .root.Values.logKeys.existingPublicSecret }}, defaultMode: 0440}
{{- end }}
{{- if and (eq .key "predictionLog") .root.Values.logKeys.existingSecret }}
- name: log-keys
  secret: {secretName: {{ .root.Values.logKeys.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- if and (has .key (list "inference" "drift")) (eq .root.Values.models.source "claim") }}
- name: models
  persistentVolumeClaim: {claimName: {{ required "models.existingClaim is needed where models.source is claim" .root.Values.models.existingClaim }}, readOnly: true}
{{- end }}
{{- end -}}
