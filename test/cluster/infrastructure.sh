# What a SCONE cluster has before MariaDB is installed, CAS and LAS, and what its
# user has: reference values, collateral, values for the chart. Source it after
# lib.sh; kubectl is a function of the caller's.
# shellcheck shell=bash

namespace=scone-system
# Only the embedded lab's nodes give every container /dev/fuse.
mounting='{seccompProfile: {type: Unconfined}}'
[ "${LAB:-embedded}" = embedded ] || mounting='{privileged: true, allowPrivilegeEscalation: true, seccompProfile: {type: Unconfined}}'
scone=${LAB_SCONE:-7} # the version whose platform IDs and log lines LAS has

# apply creates or updates what "kubectl create ARGS…" would create.
apply() {
	kubectl create "$@" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
}

# write_reference_values SECURITY-CONTEXT writes what the user has of the images, and
# values with what a container needs to mount volumes: those of one database, and of several.
write_reference_values() {
	{
		echo "# The lab's own reference values: they come from whoever built its images."
		echo "kind: confidb.policy/v1"
		awk '$1 == "cas" { print "cas: {mrenclave: [" $2 "]}" }' "$lab/images/measurements"
		echo "enclaves:"
		awk '$1 != "cas" { print "  " $1 ": {mrenclave: [" $2 "], heap: 1G, dlopen: 0}" }' "$lab/images/measurements"
		case $1 in *"privileged: true"*) echo "accept-deviations: [privileged-pod]" ;; esac
	} >"$lab/policy.yaml"
	cat >"$lab/values.yaml" <<-END
		image: lab.local/mariadb:10.11
		command: [confidb-lab, run] # starts a program as the lab's kind of enclave
		# which mounts protected volumes in a namespace of its own
		containerSecurityContext: $1
	END
	{
		cat "$lab/values.yaml"
		echo "maxscale: {image: 'lab.local/maxscale:24.02', command: [confidb-lab, run]}"
		echo "haproxy: {image: 'lab.local/haproxy:lab'}"
	} >"$lab/values-scalable.yaml"
}

ours=app.kubernetes.io/managed-by=confidb-lab # the label of what lab-down removes from a cluster of the user's

# make_namespace makes ours; one that is somebody else's stays as it is.
make_namespace() {
	if ! kubectl get namespace "$namespace" >/dev/null 2>&1; then
		kubectl create namespace "$namespace" >/dev/null
		kubectl label namespace "$namespace" "$ours" >/dev/null
	fi
	[ -n "$(kubectl get namespace -l "$ours" --field-selector "metadata.name=$namespace" -o name)" ] ||
		fail "the cluster has a namespace $namespace already" "use the SCONE that is there, or another cluster"
}

# make_custom_resource gives LAS something to fill in, unless the operator has.
make_custom_resource() {
	if ! kubectl get customresourcedefinition las.base.scone.cloud >/dev/null 2>&1; then
		kubectl create -f "$root/test/lab/operator.yaml" >/dev/null
		kubectl wait --for=condition=Established --timeout=30s crd/las.base.scone.cloud >/dev/null
	fi
	kubectl apply -f - >/dev/null <<<'{"apiVersion": "base.scone.cloud/v1beta1", "kind": "LAS", "metadata": {"name": "las"}}'
}

install_infrastructure() {
	local node
	[ "$scone" = 6 ] || [ "$scone" = 7 ] || fail "LAB_SCONE=$scone: want 6 or 7"
	write_reference_values "$mounting"
	if [ ! -e "$lab/authority/authority.json" ]; then
		say "the lab's certificate authority for SGX platforms (everything under it is simulated)"
		"$root/bin/confidb-lab" authority --keys "$lab/authority" --collateral "$lab/sgx"
	fi
	say "CAS and LAS"
	make_namespace
	apply secret generic lab-authority --namespace "$namespace" --from-file "$lab/authority"
	apply configmap lab-collateral --namespace "$namespace" --from-file "$lab/sgx"
	node=$(kubectl get nodes -l sgx.intel.com/capable=true -o 'jsonpath={.items[0].metadata.name}')
	[ -n "$node" ] || fail "no node has the label sgx.intel.com/capable=true" "kubectl label node --all sgx.intel.com/capable=true"
	make_custom_resource
	sed -e "s/@GENERATION@/$scone/" -e "s/@CAS_NODE@/$node/" "$root/test/lab/infrastructure.yaml" | kubectl apply -f - >/dev/null
	kubectl rollout status --namespace "$namespace" --timeout=120s daemonset/las >/dev/null || blame las
	kubectl rollout status --namespace "$namespace" --timeout=120s statefulset/cas >/dev/null || blame cas
}

# blame NAME ends with what the pods of one of both say.
blame() {
	fail "starting $1: $(kubectl get pods --namespace "$namespace" -l "app.kubernetes.io/name=$1" --no-headers; kubectl logs --namespace "$namespace" -l "app.kubernetes.io/name=$1" --tail 5)"
}

# remove_infrastructure takes away from a cluster what install_infrastructure made.
remove_infrastructure() {
	kubectl delete namespace,customresourcedefinition,clusterrole,clusterrolebinding -l "$ours" --ignore-not-found >/dev/null
}
