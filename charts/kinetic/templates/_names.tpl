{{- define "kinetic.name" -}}
{{- if contains "kinetic" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-kinetic" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "kinetic.serviceAccount" -}}
{{- default (include "kinetic.name" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "kinetic.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{- define "kinetic.selector" -}}
app.kubernetes.io/name: kinetic
app.kubernetes.io/component: operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kinetic.labels" -}}
{{ include "kinetic.selector" . }}
app.kubernetes.io/part-of: kinetic
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The namespaces that are looked after, as a list; empty for all of them. */}}
{{- define "kinetic.namespaces" -}}
{{- if .Values.watchAllNamespaces }}[]{{ else }}{{ default (list .Release.Namespace) .Values.watchNamespaces | toJson }}{{ end }}
{{- end }}

{{/* What the operator may do where resources are. */}}
{{- define "kinetic.rules" -}}
- apiGroups: [kinetic.dev]
  resources: [customers, topologies, alerts]
  verbs: [get, list, watch, patch]
- apiGroups: [kinetic.dev]
  resources: [customers/status, topologies/status, alerts/status]
  verbs: [get, patch]
- apiGroups: [kinetic.dev]
  resources: [customers/finalizers, topologies/finalizers, alerts/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
