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
{{- $cas := required "scone.attestation.cas: name the CAS as the pod reaches it, such as cas.scone-system.svc" .Values.scone.attestation.cas -}}
image: {{ required "image: name the image with mariadbd as an enclave, best by digest" .Values.image | quote }}
imagePullPolicy: {{ .Values.imagePullPolicy }}
env:
  - name: SCONE_CONFIG_ID
    value: {{ printf "%s/%s" $session $service | quote }}
  - name: SCONE_CAS_ADDR
    value: {{ $cas | quote }}
  - name: SCONE_LAS_ADDR
    {{- if .Values.scone.attestation.las }}
    value: {{ .Values.scone.attestation.las | quote }}
    {{- else }}
    valueFrom:
      fieldRef:
        fieldPath: status.hostIP
    {{- end }}
  # Never auto: that falls back to simulation where there is no SGX.
  - name: SCONE_MODE
    value: hw
  - name: SCONE_HEAP
    value: {{ .Values.scone.heap | quote }}
  {{- range $name, $value := .Values.scone.env }}
  - name: {{ $name }}
    value: {{ kindIs "float64" $value | ternary (int64 $value) $value | toString | quote }}
  {{- end }}
resources:
  {{- with .Values.resources.requests }}
  requests:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  limits:
    {{- merge (dict .Values.sgx.resource 1) (.Values.resources.limits | default dict) | toYaml | nindent 4 }}
securityContext:
  {{- mergeOverwrite (dict "allowPrivilegeEscalation" false "capabilities" (dict "drop" (list "ALL")) "readOnlyRootFilesystem" true) .Values.containerSecurityContext | toYaml | nindent 2 }}
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
