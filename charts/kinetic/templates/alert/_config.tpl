{{/* What the alert service runs by. */}}
{{- define "kinetic.alert.config" -}}
kubernetes: {namespaces: {{ include "kinetic.namespaces" . }}}
data: /var/lib/kinetic
admin: 0.0.0.0:8183
{{- with .Values.alert.mail.from }}
mail: {from: {{ . | quote }}}
{{- end }}
{{- end }}
