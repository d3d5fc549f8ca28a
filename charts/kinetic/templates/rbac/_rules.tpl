{{/* What the operator may do where resources are. */}}
{{- define "kinetic.rules.operator" -}}
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
# Checkpoints.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
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
# Who signs, and tidies up.
- apiGroups: [kinetic.dev]
  resources: [enrollments]
  verbs: [get, list, watch, delete]
- apiGroups: [kinetic.dev]
  resources: [enrollments/status]
  verbs: [update]
{{- include "kinetic.rules.issuer" . }}
{{- end }}

{{/* A namespace that is deleted loses its Roles before its resources: who takes the finalizers off these needs a right that stays. No Secret is in it. */}}
{{- define "kinetic.rules.operator-finalizers" -}}
- apiGroups: [kinetic.dev]
  resources: [customers, topologies, alerts]
  verbs: [get, list, watch, patch]
- apiGroups: [kinetic.dev]
  resources: [customers/status, topologies/status, alerts/status]
  verbs: [get, patch]
{{- end }}

{{/* What is asked of cert-manager, where it issues. */}}
{{- define "kinetic.rules.issuer" -}}
{{- if .Values.issuer.name }}
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- end }}

{{/* In its own namespace: authority, master key, front doors, Lease. */}}
{{- define "kinetic.rules.operator-own" -}}
- apiGroups: [""]
  resources: [secrets, configmaps, services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- include "kinetic.rules.issuer" . }}
{{- end }}

{{/* What the front doors may: no Secret. */}}
{{- define "kinetic.rules.redirector" -}}
- apiGroups: [kinetic.dev]
  resources: [customers, topologies]
  verbs: [get, list, watch]
# Requests are taken in, and not decided.
- apiGroups: [kinetic.dev]
  resources: [enrollments]
  verbs: [get, list, watch, create]
{{- end }}

{{/* What the alert service may: no Secret. */}}
{{- define "kinetic.rules.alert" -}}
- apiGroups: [kinetic.dev]
  resources: [customers, topologies, alerts]
  verbs: [get, list, watch]
{{- end }}

{{/* What the pre-delete hook may, while it runs, where resources are. */}}
{{- define "kinetic.rules.uninstall" -}}
- apiGroups: [kinetic.dev]
  resources: [customers, topologies, alerts]
  verbs: [get, list, patch]
- apiGroups: [kinetic.dev]
  resources: [enrollments]
  verbs: [list, delete]
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [list, delete]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [list, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [list, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.issuer.name }}
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [list, delete]
{{- end }}
{{- end }}

{{- define "kinetic.rules.uninstall-own" -}}
- apiGroups: [""]
  resources: [secrets, configmaps, services]
  verbs: [list, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, delete]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update, delete]
{{- if .Values.issuer.name }}
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [list, delete]
{{- end }}
{{- end }}

{{/* A Role in a namespace, or a ClusterRole where that is none, and who has it: list . PART NAME NAMESPACE RULES ACCOUNT [annotations]. */}}
{{- define "kinetic.granted" -}}
{{- $root := first . }}{{ $part := index . 1 }}{{ $name := index . 2 }}{{ $namespace := index . 3 }}
{{- $annotations := ternary (last .) dict (eq (len .) 7) }}
{{- $kind := ternary "Role" "ClusterRole" (ne $namespace "") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $name }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  {{- include "kinetic.metadata" (list $root $part $annotations) | nindent 2 }}
rules: {{- include (index . 4) $root | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  {{- include "kinetic.metadata" (list $root $part $annotations) | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ $name }}}
subjects: [{kind: ServiceAccount, name: {{ index . 5 }}, namespace: {{ $root.Release.Namespace }}}]
{{- end }}

{{/* The same wherever resources are looked after: in each namespace, or in all at once. A cluster's roles of two releases must not be each other's. */}}
{{- define "kinetic.granted.everywhere" -}}
{{- $root := first . }}{{ $part := index . 1 }}{{ $rest := slice . 2 }}
{{- $name := include "kinetic.part" (list $root $part) }}
{{- if $root.Values.watchAllNamespaces }}
{{- include "kinetic.granted" (concat (list $root $part (printf "%s-%s" $root.Release.Namespace $name) "") $rest) }}
{{- end }}
{{- range (include "kinetic.namespaces" $root | fromJsonArray) }}
{{ include "kinetic.granted" (concat (list $root $part $name .) $rest) }}
{{- end }}
{{- end }}

{{/* An account: list . PART NAME VALUES.serviceAccount [annotations]. */}}
{{- define "kinetic.account.made" -}}
{{- $root := first . -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ index . 2 }}
  {{- include "kinetic.metadata" (list $root (index . 1) (last .)) | nindent 2 }}
# The pods that need a token ask for it.
automountServiceAccountToken: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
