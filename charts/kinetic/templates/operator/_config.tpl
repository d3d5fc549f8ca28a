{{/* What the operator runs by; the pre-delete hook, too. */}}
{{- define "kinetic.operator.config" -}}
namespace: {{ .Release.Namespace }}
watchNamespaces: {{ include "kinetic.namespaces" . }}
trustDomain: {{ .Values.trustDomain }}
masterKeyVersion: {{ .Values.masterKeyVersion }}
rotation: {{ toJson .Values.rotation }}
{{- if .Values.issuer.name }}
issuer: {{ toJson .Values.issuer }}
{{- end }}
image: {{ include "kinetic.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
admin: 0.0.0.0:8080
{{- $placements := list }}
{{- range (include "kinetic.placements" . | fromJsonArray) }}
  {{- $brokers := list }}
  {{- range .brokers }}
    {{- $admin := merge (dict "credentials" (printf "/etc/kinetic/brokers/%s" .name)) .admin }}
    {{- $brokers = append $brokers (merge (dict "admin" $admin) (omit . "admin" "credentialsSecret")) }}
  {{- end }}
  {{- $placements = append $placements (merge (dict "brokers" $brokers) (omit . "brokers")) }}
{{- end }}
placements: {{- $placements | toYaml | nindent 2 }}
{{- end }}

{{- define "kinetic.operator.mounts" -}}
- {name: config, mountPath: /etc/kinetic/config, readOnly: true}
{{- range (include "kinetic.brokers" . | fromJsonArray) }}
- {name: broker-{{ .name }}, mountPath: /etc/kinetic/brokers/{{ .name }}, readOnly: true}
{{- end }}
{{- with .Values.operator.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "kinetic.operator.volumes" -}}
- name: config
  configMap: {name: {{ include "kinetic.part" (list . "operator") }}}
{{- range (include "kinetic.brokers" . | fromJsonArray) }}
- name: broker-{{ .name }}
  secret:
    secretName: {{ .credentialsSecret }}
    defaultMode: 288
    items: [{key: username, path: username}, {key: password, path: password}]
{{- end }}
{{- with .Values.operator.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
