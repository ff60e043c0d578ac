{{/* What a service reads from volumes: dict root, key. Gives a list of name, path and volume. */}}
{{- define "weir.files" -}}
{{- $values := .root.Values -}}
{{- $files := list -}}
{{- if eq .key "gateway" }}
{{- $files = append $files (include "weir.secretFiles" (dict "name" "identity" "secret" (include "weir.identitySecret" .root)) | fromYaml) }}
{{- $files = append $files (include "weir.secretFiles" (dict "name" "clients" "secret" (include "weir.clientsSecret" .root)) | fromYaml) }}
{{- if $values.identity.rotation.enabled }}
{{- $files = append $files (dict "name" "signing-keys" "path" "/etc/weir/signing-keys" "volume" (dict "persistentVolumeClaim" (dict "claimName" (include "weir.signingKeysClaim" .root)))) }}
{{- end }}
{{- with $values.identity.bootstrap.existingSecret }}
{{- $files = append $files (include "weir.secretFiles" (dict "name" "bootstrap" "secret" .) | fromYaml) }}
{{- end }}
{{- with $values.gateway.tls.existingSecret }}
{{- $files = append $files (include "weir.secretFiles" (dict "name" "tls" "secret" .) | fromYaml) }}
{{- end }}
{{- if $values.gateway.trustedIssuers.file }}
{{- $files = append $files (dict "name" "trusted-issuers" "path" "/etc/weir/trusted-issuers" "volume" (dict "configMap" (dict "name" (printf "%s-trusted-issuers" (include "weir.name" .root))))) }}
{{- end }}
{{- else if $values.gateway.tls.existingSecret }}
{{- /* The authority alone: nobody but the gateway needs its key. */}}
{{- $only := list (dict "key" "ca.crt" "path" "ca.crt") }}
{{- $files = append $files (include "weir.secretFiles" (dict "name" "gateway-authority" "secret" $values.gateway.tls.existingSecret "items" $only) | fromYaml) }}
{{- end }}
{{- if ne $values.grpc.tls "none" }}
{{- $secret := required (printf "grpc.secrets.%s is needed where grpc.tls is %s" .key $values.grpc.tls) (get $values.grpc.secrets .key) }}
{{- $files = append $files (include "weir.secretFiles" (dict "name" "grpc" "secret" $secret) | fromYaml) }}
{{- end }}
{{- if and (eq .key "inference") $values.logKeys.existingPublicSecret }}
{{- $files = append $files (include "weir.secretFiles" (dict "name" "log-public" "secret" $values.logKeys.existingPublicSecret) | fromYaml) }}
{{- end }}
{{- if and (eq .key "predictionLog") $values.logKeys.existingSecret }}
{{- $files = append $files (include "weir.secretFiles" (dict "name" "log-keys" "secret" $values.logKeys.existingSecret) | fromYaml) }}
{{- end }}
{{- if and (eq .key "drift") $values.drift.webhook.existingSecret }}
{{- $files = append $files (include "weir.secretFiles" (dict "name" "webhook" "secret" $values.drift.webhook.existingSecret) | fromYaml) }}
{{- end }}
{{- if has .key (list "inference" "drift") }}
{{- if eq $values.models.source "claim" }}
{{- $claim := required "models.existingClaim is needed where models.source is claim" $values.models.existingClaim }}
{{- $files = append $files (dict "name" "models" "path" "/models" "volume" (dict "persistentVolumeClaim" (dict "claimName" $claim "readOnly" true))) }}
{{- else if eq $values.models.source "objectStore" }}
{{- $files = append $files (dict "name" "models" "path" "/models" "volume" (dict "emptyDir" (dict "sizeLimit" $values.models.objectStore.size))) }}
{{- end }}
{{- end }}
{{- toYaml $files }}
{{- end -}}

{{/* A Secret's files under /etc/weir/<name>: dict name, secret, items. */}}
{{- define "weir.secretFiles" -}}
name: {{ .name }}
path: /etc/weir/{{ .name }}
volume:
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    {{- with .items }}
    items: {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end -}}

{{- define "weir.signingKeysClaim" -}}
{{ .Values.identity.rotation.existingClaim | default (printf "%s-signing-keys" (include "weir.name" .)) }}
{{- end -}}

{{/* Copies model packages from a bucket, for as long as the pod lives. What is new is there whole
     before routing.yaml names it, and what is gone goes after that. */}}
{{- define "weir.modelCopier" -}}
{{- $store := .Values.models.objectStore -}}
- name: models
  image: {{ include "weir.storeImage" (dict "root" . "image" $store.image) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  # A sidecar: it starts before the service, and goes on beside it.
  restartPolicy: Always
  command: [sh, -c]
  args:
    - |
      trap 'exit 0' TERM
      while true; do
        rclone copy "$SOURCE" /models --exclude '*/routing.yaml' &&
          rclone copy "$SOURCE" /models --include '*/routing.yaml' &&
          rclone sync "$SOURCE" /models &&
          touch /tmp/complete
        sleep {{ $store.interval | int }} & wait $!
      done
  securityContext: {{- include "weir.containerSecurity" . | nindent 4 }}
  env:
    - {name: SOURCE, value: {{ required "models.objectStore.path is needed where models.source is objectStore" $store.path | quote }}}
    - {name: RCLONE_CONFIG, value: /tmp/rclone.conf}
    - {name: XDG_CACHE_HOME, value: /tmp}
  {{- with $store.existingSecret }}
  envFrom: [{secretRef: {name: {{ . }}}}]
  {{- end }}
  # Ten minutes for the first copy.
  startupProbe: {exec: {command: [test, -e, /tmp/complete]}, periodSeconds: 2, failureThreshold: 300}
  resources: {{- toYaml $store.resources | nindent 4 }}
  volumeMounts:
    - {name: models, mountPath: /models}
    - {name: copying, mountPath: /tmp}
{{- end -}}
