{{/* What all pods have in common. Each is called with list . "operator" VALUES. */}}

{{- define "kinetic.pod.metadata" -}}
{{- $root := first . }}{{ $values := last . -}}
labels:
  {{- include "kinetic.labels" (list $root (index . 1)) | nindent 2 }}
  {{- with $values.podLabels }}{{ toYaml . | nindent 2 }}{{ end }}
{{- with merge (deepCopy (default dict $values.podAnnotations)) $root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* As the restricted Pod Security Standard wants it. */}}
{{- define "kinetic.pod.security" -}}
{{- $own := dict "runAsNonRoot" true "runAsUser" 65533 "runAsGroup" 65533 "fsGroup" 65533 "fsGroupChangePolicy" "OnRootMismatch" }}
{{- $_ := set $own "seccompProfile" (dict "type" "RuntimeDefault") }}
{{- range $key, $value := (last .).podSecurityContext }}{{ $_ := set $own $key $value }}{{ end }}
{{- toYaml $own }}
{{- end }}

{{- define "kinetic.container.security" -}}
{{- $own := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) }}
{{- range $key, $value := (last .).securityContext }}{{ $_ := set $own $key $value }}{{ end }}
{{- toYaml $own }}
{{- end }}

{{- define "kinetic.pod.scheduling" -}}
{{- $root := first . }}{{ $component := index . 1 }}{{ $values := last . -}}
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $selector := include "kinetic.selector" (list $root $component) | fromYaml }}
  {{- range . }}
  - {{- toYaml (merge (deepCopy .) (dict "labelSelector" (dict "matchLabels" $selector))) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The budget of a part's pods. */}}
{{- define "kinetic.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "kinetic.part" . }}
  {{- include "kinetic.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "kinetic.selector" . | nindent 6 }}
{{- end }}

{{/* A claim. It cannot be changed any more: no label of it may name a version. */}}
{{- define "kinetic.claim" -}}
- metadata:
    name: data
    labels: {{- include "kinetic.selector" . | nindent 6 }}
    {{- with (last .).annotations }}
    annotations: {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    accessModes: {{- toYaml (last .).accessModes | nindent 6 }}
    {{- with (last .).storageClassName }}
    storageClassName: {{ . }}
    {{- end }}
    resources: {requests: {storage: {{ (last .).size }}}}
{{- end }}
