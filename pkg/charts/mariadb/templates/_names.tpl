{{/* name is that of every object of the release: the session's certificate bears it. */}}
{{- define "mariadb.name" -}}
{{- $name := printf "%s-mariadb" .Release.Name -}}
{{- if gt (len $name) 52 -}}
{{- fail (printf "release name: got %d characters, want at most 44: Kubernetes cuts the names of a StatefulSet's pods" (len .Release.Name)) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* selector labels never change: a StatefulSet keeps its selector for life. */}}
{{- define "mariadb.selector" -}}
app.kubernetes.io/name: mariadb
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: database
{{- end -}}

{{- define "mariadb.labels" -}}
{{ include "mariadb.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end -}}

{{/* container is what both containers share. Call it with a list: the service of the session, then the root. */}}
{{- define "mariadb.container" -}}
{{- $service := first . -}}
{{- with last . -}}
{{- $session := required "scone.attestation.config_id: name the database session, without a service" .Values.scone.attestation.config_id -}}
image: {{ required "image: name the image with mariadbd as an enclave, best by digest" .Values.image | quote }}
imagePullPolicy: {{ .Values.imagePullPolicy }}
{{ include "enclave.environment" (dict "root" . "id" (printf "%s/%s" $session $service) "heap" .Values.scone.heap) }}
{{ include "enclave.confinement" (list . .Values.resources) }}
volumeMounts:
  - name: data
    mountPath: /var/lib/mysql
  - name: enclave
    mountPath: /run/confidb
  - name: tmp
    mountPath: /var/lib/mysql-tmp
  - name: socket
    mountPath: /run/mysqld
{{- end -}}
{{- end -}}
