{{/* What the alert service runs by. It comes to the front doors as everybody does, by certificate. */}}
{{- define "kinetic.alert.config" -}}
kubernetes: {namespaces: {{ include "kinetic.namespaces" . }}}
doors:
{{- range (include "kinetic.placements" . | fromJsonArray) }}
  - {region: {{ .region }}, provider: {{ .provider }}, amqp: "amqps://{{ include "kinetic.door" (list $ .) }}:5671"}
{{- end }}
tls: {cert: /etc/kinetic/tls/tls.crt, key: /etc/kinetic/tls/tls.key, ca: /etc/kinetic/tls/ca.crt}
data: /var/lib/kinetic
admin: 0.0.0.0:8183
{{- with .Values.alert.mail.from }}
mail: {from: {{ . | quote }}}
{{- end }}
{{- end }}

{{/* Whether it runs: without a front door there is nothing to come to. */}}
{{- define "kinetic.alert.runs" -}}
{{- if and .Values.alert.enabled (include "kinetic.placements" . | fromJsonArray) }}true{{ end }}
{{- end }}
