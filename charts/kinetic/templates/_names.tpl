{{- define "kinetic.name" -}}
{{- if contains "kinetic" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-kinetic" (.Release.Name | trunc 32 | trimSuffix "-") }}{{ end }}
{{- end }}

{{/* Of a part of the release: list . "operator". */}}
{{- define "kinetic.part" -}}
{{ include "kinetic.name" (first .) }}-{{ last . }}
{{- end }}

{{/* Its account. */}}
{{- define "kinetic.account" -}}
{{- $values := index (first .).Values (last .) }}
{{- default (include "kinetic.part" .) $values.serviceAccount.name }}
{{- end }}

{{- define "kinetic.reference" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{- define "kinetic.image" -}}
{{- include "kinetic.reference" (merge (dict "tag" (default .Chart.AppVersion .Values.image.tag)) (omit .Values.image "tag")) }}
{{- end }}

{{/* The labels that select a part's pods. */}}
{{- define "kinetic.selector" -}}
app.kubernetes.io/name: kinetic
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/instance: {{ (first .).Release.Name }}
{{- end }}

{{- define "kinetic.labels" -}}
{{- $root := first . -}}
{{ include "kinetic.selector" . }}
app.kubernetes.io/part-of: kinetic
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* An object's labels and annotations: list . "operator" [annotations…]. */}}
{{- define "kinetic.metadata" -}}
{{- $root := first . -}}
labels: {{- include "kinetic.labels" (list $root (index . 1)) | nindent 2 }}
{{- $annotations := deepCopy $root.Values.commonAnnotations }}
{{- range slice . 2 }}{{ $annotations = merge (deepCopy (. | default dict)) $annotations }}{{ end }}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The namespaces that are looked after, as JSON; empty for all of them. */}}
{{- define "kinetic.namespaces" -}}
{{- if .Values.watchAllNamespaces }}[]{{ else }}{{ default (list .Release.Namespace) .Values.watchNamespaces | uniq | toJson }}{{ end }}
{{- end }}
