{{/* The placements with all that follows by itself filled in, as JSON. */}}
{{- define "kinetic.placements" -}}
{{- $trial := list }}
{{- if .Values.rabbitmq.enabled }}
  {{- $trial = list (dict "name" (include "kinetic.part" (list . "rabbitmq")) "cluster" (include "kinetic.part" (list . "rabbitmq"))) }}
{{- end }}
{{- $namespace := .Release.Namespace }}
{{- $placements := .Values.placements }}
{{- if and .Values.rabbitmq.enabled (not $placements) }}{{ $placements = list .Values.rabbitmq.placement }}{{ end }}
{{- $complete := list }}
{{- range $index, $placement := $placements }}
  {{- $brokers := list }}
  {{- range default $trial .brokers }}
    {{- $broker := omit . "cluster" }}
    {{- if .cluster }}
      {{- $host := printf "%s.%s.svc" .cluster $namespace }}
      {{- $own := dict "nodes" (list (printf "%s:5672" $host)) "admin" (dict "url" (printf "http://%s:15672" $host)) }}
      {{- $broker = mergeOverwrite (merge $own (dict "credentialsSecret" (printf "%s-default-user" .cluster))) $broker }}
    {{- end }}
    {{- $brokers = append $brokers $broker }}
  {{- end }}
  {{- if not $brokers }}
    {{- fail (printf "placements[%d].brokers: name a broker, or enable the trial one with rabbitmq.enabled" $index) }}
  {{- end }}
  {{- $complete = append $complete (merge (dict "brokers" $brokers) (omit . "brokers")) }}
{{- end }}
{{- $complete | toJson }}
{{- end }}

{{/* Every broker of every placement, as JSON. */}}
{{- define "kinetic.brokers" -}}
{{- $brokers := list }}
{{- range (include "kinetic.placements" . | fromJsonArray) }}{{ $brokers = concat $brokers .brokers }}{{ end }}
{{- $brokers | toJson }}
{{- end }}

{{/* Within the cluster: the operator calls it so. */}}
{{- define "kinetic.door" -}}
kinetic-redirector-{{ (last .).region }}-{{ (last .).provider }}.{{ (first .).Release.Namespace }}.svc
{{- end }}
