{{- define "clipfarm.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for what is put behind it. */}}
{{- define "clipfarm.fullname" -}}
{{- $name := include "clipfarm.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "clipfarm.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "clipfarm.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "clipfarm.image" -}}
{{- include "clipfarm.reference" (list . .Values.image "clipfarm-operator") }}
{{- end }}

{{/* An image as a container names it: from its parts, or as it stands where it is one text. */}}
{{- define "clipfarm.reference" -}}
{{- $root := index . 0 }}
{{- $image := index . 1 }}
{{- if and $image (kindIs "string" $image) }}
{{- $image }}
{{- else }}
{{- $parts := $image | default (dict "repository" (index . 2)) }}
{{- $parts.repository }}{{ with $parts.digest }}@{{ . }}{{ else }}:{{ default $root.Chart.AppVersion $parts.tag }}{{ end }}
{{- end }}
{{- end }}

{{/* Secrets that open the registry, for the pods of the release: its own, and those of a chart around it. */}}
{{- define "clipfarm.pullSecrets" -}}
{{- $names := list }}
{{- range concat .Values.imagePullSecrets ((.Values.global).imagePullSecrets | default list) }}
{{- $names = append $names (kindIs "string" . | ternary . (get (kindIs "string" . | ternary dict .) "name")) }}
{{- end }}
{{- with uniq $names }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "clipfarm.instance" -}}
app.kubernetes.io/name: {{ include "clipfarm.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "clipfarm.labels" -}}
{{ include "clipfarm.instance" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Labels of the pods of a component, and more: the chart's own win, because it finds its pods by them. */}}
{{- define "clipfarm.podLabels" -}}
{{- $root := index . 0 }}
{{- $own := dict "app.kubernetes.io/component" (index . 1) | merge (include "clipfarm.instance" $root | fromYaml) }}
{{- toYaml (merge $own (index . 2)) }}
{{- end }}

{{/* An agent's labels as a selector, by which the operator finds the agents. */}}
{{- define "clipfarm.agentSelector" -}}
app.kubernetes.io/name={{ include "clipfarm.name" . }},app.kubernetes.io/instance={{ .Release.Name }},app.kubernetes.io/component=vram-agent
{{- end }}

{{/* What the pod security standard "restricted" asks of a pod; the user is the one that the images are made for. */}}
{{- define "clipfarm.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "clipfarm.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What the operator does in a namespace with runs. A test holds this list against what it really does. */}}
{{- define "clipfarm.runRules" -}}
# delete: spec.ttlAfterFinished
- {apiGroups: [clipfarm.dev], resources: [benchmarkruns], verbs: [list, watch, delete]}
- {apiGroups: [clipfarm.dev], resources: [benchmarkruns/status], verbs: [patch]}
# delete: `clipfarm retry` has a finished Job replaced
# get: whose one is that stands in the way
- {apiGroups: [batch], resources: [jobs], verbs: [get, list, watch, create, patch, delete]}
- {apiGroups: [apps], resources: [deployments], verbs: [get, list, watch, create, patch]}
# which pods a Deployment of encoders has made
- {apiGroups: [apps], resources: [replicasets], verbs: [list, watch]}
# list, watch: in all namespaces also pods of others, whose requests take room of nodes
# patch: take a gate off; get: look whether it is off, when the answer was lost
# create: dry runs alone, to find out why the Job controller makes no pod
# delete, and patch of its status: end a pod in the place of a node that does not answer
# deletecollection: those that have ended, once what they told is kept (render.keepPods)
- {apiGroups: [""], resources: [pods], verbs: [get, list, watch, patch, create, delete, deletecollection]}
- {apiGroups: [""], resources: [pods/status], verbs: [patch]}
# a pod whose node does not take it
- {apiGroups: [""], resources: [pods/eviction], verbs: [create]}
- {apiGroups: [""], resources: [persistentvolumeclaims], verbs: [get, create]}
# what the pods of a Job read alike; deletecollection, by labels: those of attempts before
- {apiGroups: [""], resources: [configmaps], verbs: [create, deletecollection]}
# list: what keeps a pod from starting, if its status does not say; patch: the same happened again
- {apiGroups: [""], resources: [events], verbs: [create, list, patch]}
{{- if eq .Values.encoderAccess "proxy" }}
- {apiGroups: [""], resources: [pods/proxy], verbs: [get]}
{{- end }}
{{- end }}

{{/* To hold the Lease of that name; what is created has no name yet, by which it could be allowed. */}}
{{- define "clipfarm.leaseRules" -}}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
- {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [{{ . }}], verbs: [get, patch]}
{{- end }}

{{/* To find what measures GPU memory. */}}
{{- define "clipfarm.findRules" -}}
- {apiGroups: [""], resources: [pods], verbs: [list, watch]}
{{- end }}

{{/* Whether there is no cluster to ask, as in `helm template`: Helm then knows API groups by itself, and no kinds. */}}
{{- define "clipfarm.isOffline" -}}
{{- if not (.Capabilities.APIVersions.Has "v1/Pod") }}true{{ end }}
{{- end }}

{{/*
Whether the release uses ValidatingAdmissionPolicies: where the API server has them. Without one to ask it has, because
every Kubernetes of kubeVersion does.
*/}}
{{- define "clipfarm.hasPolicies" -}}
{{- $known := .Capabilities.APIVersions }}
{{- $has := or (include "clipfarm.isOffline" .) ($known.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy") }}
{{- if and .Values.admissionPolicy.enabled $has }}true{{ end }}
{{- end }}

{{/* Ports at which the API server answers: its service's, and its own behind it, which network plugins see. */}}
{{- define "clipfarm.apiServerPorts" -}}
{{- $ports := .Values.networkPolicy.apiServerPorts }}
{{- if not $ports }}
{{- range (lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "kubernetes").ports }}
{{- $ports = append $ports (int .port) }}
{{- end }}
{{- $ports = $ports | empty | ternary (list 443 6443 8443 16443) (append $ports 443 | uniq) }}
{{- end }}
{{- toJson $ports }}
{{- end }}

{{/* That a request is the operator's, as a matchCondition. */}}
{{- define "clipfarm.byTheOperator" -}}
[{name: by-the-operator, expression: 'request.userInfo.username == "{{ . }}"'}]
{{- end }}

{{/* A duration of one unit, as 90s, 5m or 1h, in seconds. */}}
{{- define "clipfarm.seconds" -}}
{{- $unit := regexFind "[smh]$" . }}
{{- mul (trimSuffix $unit .) (get (dict "s" 1 "m" 60 "h" 3600) $unit) }}
{{- end }}
