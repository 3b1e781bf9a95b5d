# etcd, API server, controller manager, scheduler and DNS, as processes in the
# lab's network namespace. Source it after lib.sh; $bin holds the programs.
# shellcheck shell=bash

# start_in_lab NAME ARGS… starts one of the programs.
start_in_lab() {
	local name=$1
	shift
	start "$name" nsenter --net="/run/netns/$id" -- "$bin/$name" "$@"
}

start_api_server() {
	local pki=$lab/pki
	start_in_lab etcd --data-dir "$lab/etcd" --unsafe-no-fsync --log-level warn \
		--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster default=http://127.0.0.1:2380
	start_in_lab kube-apiserver --etcd-servers http://127.0.0.1:2379 \
		--bind-address "${api%:*}" --advertise-address "${api%:*}" --secure-port "${api#*:}" \
		--tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" --client-ca-file "$pki/ca.crt" \
		--kubelet-client-certificate "$pki/kubelet-client.crt" --kubelet-client-key "$pki/kubelet-client.key" \
		--kubelet-preferred-address-types InternalIP \
		--service-account-issuer https://kubernetes.default.svc \
		--service-account-key-file "$pki/sa.pub" --service-account-signing-key-file "$pki/sa.key" \
		--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
		--service-cluster-ip-range 10.96.0.0/16 --profiling=false
}

start_controllers() {
	local manager=$lab/pki/controller-manager.kubeconfig scheduler=$lab/pki/scheduler.kubeconfig
	start_in_lab kube-controller-manager --kubeconfig "$manager" --authentication-kubeconfig "$manager" --authorization-kubeconfig "$manager" \
		--bind-address 127.0.0.1 --cert-dir "$lab/certificates" --flex-volume-plugin-dir "$lab/plugins" \
		--service-account-private-key-file "$lab/pki/sa.key" --root-ca-file "$lab/pki/ca.crt" \
		--use-service-account-credentials --leader-elect=false
	start_in_lab kube-scheduler --kubeconfig "$scheduler" --authentication-kubeconfig "$scheduler" --authorization-kubeconfig "$scheduler" \
		--bind-address 127.0.0.1 --cert-dir "$lab/certificates" --leader-elect=false
	cat >"$lab/Corefile" <<-END
		.:53 {
		  bind ${api%:*}
		  errors
		  ready 127.0.0.1:8181
		  kubernetes cluster.local in-addr.arpa {
		    kubeconfig $lab/pki/dns.kubeconfig confidb-lab
		    pods verified
		    ttl 1
		  }
		  cache 1
		}
	END
	start_in_lab coredns -conf "$lab/Corefile"
}
