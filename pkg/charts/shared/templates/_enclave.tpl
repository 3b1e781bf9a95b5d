{{/* environment is what an enclave's container is told. Call it with a dict: root, the config ID (id), the heap, and whether the container knows its pod's name (named). */}}
{{- define "enclave.environment" -}}
{{- with .root -}}
{{- $cas := required "scone.attestation.cas: name the CAS as the pod reaches it, such as cas.scone-system.svc" .Values.scone.attestation.cas -}}
env:
  {{- if $.named }}
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  {{- end }}
  - name: SCONE_CONFIG_ID
    value: {{ $.id | quote }}
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
    value: {{ $.heap | quote }}
  {{- range $name, $value := .Values.scone.env }}
  - name: {{ $name }}
    value: {{ kindIs "float64" $value | ternary (int64 $value) $value | toString | quote }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* confinement is what an enclave's container gets, and what it may do. Call it with a list: the root, then its resources. */}}
{{- define "enclave.confinement" -}}
{{- $resources := last . -}}
{{- with first . -}}
resources:
  {{- with $resources.requests }}
  requests:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  limits:
    {{- merge (dict .Values.sgx.resource 1) ($resources.limits | default dict) | toYaml | nindent 4 }}
securityContext:
  {{- mergeOverwrite (dict "allowPrivilegeEscalation" false "capabilities" (dict "drop" (list "ALL")) "readOnlyRootFilesystem" true) .Values.containerSecurityContext | toYaml | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* claim is the volume of each database. */}}
{{- define "enclave.claim" -}}
accessModes:
  {{- toYaml .Values.persistence.accessModes | nindent 2 }}
{{- with .Values.persistence.storageClass }}
storageClassName: {{ . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ .Values.persistence.size }}
{{- end -}}
