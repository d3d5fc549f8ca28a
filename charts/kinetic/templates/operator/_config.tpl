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
  {{- $wanted := include "kinetic.over" (list $.Values.redirector (default dict .redirector)) | fromJson }}
  {{- $door := dict "replicas" $wanted.replicas "service" (include "kinetic.picked" (list $wanted.service "type" "loadBalancerClass" "annotations") | fromJson) }}
  {{- $_ := set $door "pod" (include "kinetic.made.pod" (set $wanted "imagePullSecrets" $.Values.imagePullSecrets) | fromJson) }}
  {{- $_ := set $door "container" (include "kinetic.made.container" $wanted | fromJson) }}
  {{- $placements = append $placements (merge (dict "brokers" $brokers "redirector" $door) (omit . "brokers" "redirector")) }}
{{- end }}
placements: {{- $placements | toYaml | nindent 2 }}
analyzer:
  pod: {{ include "kinetic.made.pod" .Values.analyzer }}
  container: {{ include "kinetic.made.container" .Values.analyzer }}
  sidecar: {{ include "kinetic.made.container" .Values.analyzer.sidecar }}
{{- end }}

{{/* What is said of a pod that the operator makes, as JSON. */}}
{{- define "kinetic.made.pod" -}}
{{- include "kinetic.picked" (list . "podLabels" "podAnnotations" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" "runtimeClassName" "imagePullSecrets" "podSecurityContext" "extraVolumes") }}
{{- end }}

{{/* And of its container. */}}
{{- define "kinetic.made.container" -}}
{{- include "kinetic.picked" (list . "resources" "securityContext" "extraEnv" "extraVolumeMounts") }}
{{- end }}

{{/* Fields that are not empty, as JSON: list VALUES "field"…. */}}
{{- define "kinetic.picked" -}}
{{- $values := first . }}{{ $picked := dict }}
{{- range rest . }}
  {{- $field := . }}
  {{- with index $values $field }}{{ $_ := set $picked $field . }}{{ end }}
{{- end }}
{{- $picked | toJson }}
{{- end }}

{{/* A dict put over another, field by field, as JSON: list BASE OVER. Helm's own would keep the 2 of the one against a 0 of the other. */}}
{{- define "kinetic.over" -}}
{{- $whole := deepCopy (first .) }}
{{- range $field, $value := last . }}
  {{- $own := index $whole $field }}
  {{- if and (kindIs "map" $own) (kindIs "map" $value) }}
    {{- $value = include "kinetic.over" (list $own $value) | fromJson }}
  {{- end }}
  {{- $_ := set $whole $field $value }}
{{- end }}
{{- $whole | toJson }}
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
