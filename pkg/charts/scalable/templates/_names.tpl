{{/* name is that of the objects of a tier, by which the certificates of its members name them: call it with a list: the tier, then the root. */}}
{{- define "scalable.name" -}}
{{- with last . -}}
{{- if gt (len .Release.Name) 43 -}}
{{- fail (printf "release name: got %d characters, want at most 43: Kubernetes cuts the names of a StatefulSet's pods" (len .Release.Name)) -}}
{{- end -}}
{{- printf "%s-%s" .Release.Name (first $) -}}
{{- end -}}
{{- end -}}

{{/* selector labels never change: a StatefulSet keeps its selector for life. */}}
{{- define "scalable.selector" -}}
app.kubernetes.io/name: mariadb
app.kubernetes.io/instance: {{ (last .).Release.Name }}
app.kubernetes.io/component: {{ first . }}
{{- end -}}

{{- define "scalable.labels" -}}
{{ include "scalable.selector" . }}
{{- with last . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end -}}
{{- end -}}

{{/* metadata is that of an object of a tier; its name is that of the tier. */}}
{{- define "scalable.metadata" -}}
name: {{ include "scalable.name" . }}
namespace: {{ (last .).Release.Namespace }}
labels:
  {{- include "scalable.labels" . | nindent 2 }}
{{- end -}}

{{/* podmetadata is that of the pods of a tier. Call it with a dict: root, tier, and annotations. */}}
{{- define "scalable.podmetadata" -}}
labels:
  {{- include "scalable.selector" (list .tier .root) | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- with mergeOverwrite (dict) .root.Values.podAnnotations .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* pod is what all pods have. Call it with a list: the user, then the root. */}}
{{- define "scalable.pod" -}}
{{- $user := first . | int64 -}}
{{- with last . -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $user }}
  runAsGroup: {{ $user }}
  fsGroup: {{ $user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* placement is where the pods of a tier run: apart. Call it with a dict: root, tier, antiAffinity, affinity, nodeSelector and tolerations. */}}
{{- define "scalable.placement" -}}
{{- $selector := dict "matchLabels" (include "scalable.selector" (list .tier .root) | fromYaml) -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $selector -}}
{{- $apart := dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $term)) -}}
{{- if eq .antiAffinity "required" -}}
{{- $apart = dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term) -}}
{{- end -}}
affinity:
  {{- mergeOverwrite (dict "podAntiAffinity" $apart) (.affinity | default dict) | toYaml | nindent 2 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      {{- toYaml $selector | nindent 6 }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* database is what both containers of a database share. Call it with a list: the service of the session, without the pod's name, then the root. */}}
{{- define "scalable.database" -}}
{{- $service := first . -}}
{{- with last . -}}
{{- $session := required "scone.attestation.config_id: name the session of the databases, without a service" .Values.scone.attestation.config_id -}}
image: {{ required "image: name the image with mariadbd as an enclave, best by digest" .Values.image | quote }}
imagePullPolicy: {{ .Values.imagePullPolicy }}
{{ include "enclave.environment" (dict "root" . "id" (printf "%s/%s-$(POD_NAME)" $session $service) "heap" .Values.scone.heap "named" true) }}
  {{- if eq .Values.architecture "replicated" }}
  # A wrong number makes the gate of a database wait, or see what is not there.
  - name: CONFIDB_DATABASES
    value: {{ .Values.replicas | quote }}
  {{- end }}
{{ include "enclave.confinement" (list . .Values.resources) }}
volumeMounts:
  - name: data
    mountPath: /var/lib/mysql
  - name: new
    mountPath: /var/lib/mysql-new
  - name: enclave
    mountPath: /run/confidb
  - name: tmp
    mountPath: /var/lib/mysql-tmp
  - name: socket
    mountPath: /run/mysqld
{{- end -}}
{{- end -}}

{{/* proxy is what the containers beside a MaxScale share. Call it with a dict: root, service, image, and resources. */}}
{{- define "scalable.proxy" -}}
{{- $ := . -}}
{{- with .root -}}
{{- $session := required "maxscale.scone.attestation.config_id: name the session of MaxScale, without a service" .Values.maxscale.scone.attestation.config_id -}}
image: {{ $.image | quote }}
imagePullPolicy: {{ .Values.imagePullPolicy }}
{{ include "enclave.environment" (dict "root" . "id" (printf "%s/%s" $session $.service) "heap" $.heap) }}
{{ include "enclave.confinement" (list . $.resources) }}
volumeMounts:
  - name: enclave-{{ $.service }}
    mountPath: /run/confidb
{{- end -}}
{{- end -}}
