#!/usr/bin/env bash
# One node: the first process of its own mount, pid, uts and ipc namespaces, in
# the node's network namespace. All of the node ends with it.
# usage: node.sh NAME ADDRESS POD-NETWORK LAB-FOLDER PROGRAM-FOLDER CGROUP IMAGE…
set -euo pipefail
name=$1 address=$2 pods=$3 lab=$4 bin=$5 cgroup=$6
shift 6

# own_folders gives the node its own /run, /var/lib and /var/log. Paths are
# short, because a unix socket's has at most 107 bytes.
own_folders() {
	mkdir -p "$lab/nodes/$name"/{containerd,kubelet,cni,log,confidb-lab/volumes}
	mount -t tmpfs -o mode=0755 tmpfs /mnt
	mkdir /mnt/{lab,node,bin,scripts,proc,sysctl,cni,cni-leases,plugins}
	mount --bind "$lab" /mnt/lab
	mount --bind "$lab/nodes/$name" /mnt/node
	mount --bind "$bin" /mnt/bin
	mount --bind "$(dirname "$0")" /mnt/scripts
	mount --no-mtab --move /mnt /run
	mount -t tmpfs -o mode=0755 tmpfs /var/lib
	mkdir /var/lib/{kubelet,cni,confidb-lab}
	for folder in kubelet cni confidb-lab; do
		mount --bind "/run/node/$folder" "/var/lib/$folder"
	done
	mount --bind /run/node/log /var/log
	mkdir -p /var/log/pods /var/log/containers
	mount --make-rshared / # the kubelet's mounts reach the containers
}

# guard_sysctls lets the node change its network's settings and no others. The
# kubelet wants some of the host's to have certain values: it reads them here.
guard_sysctls() {
	local setting file
	mount -t proc proc /run/proc
	mount --bind /proc/sys /proc/sys
	mount -o remount,bind,ro /proc/sys
	mount --bind /run/proc/sys/net /proc/sys/net
	for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
		kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
		file=/run/sysctl/$(basename "${setting%=*}")
		echo "${setting#*=}" >"$file"
		mount --bind "$file" "/proc/sys/${setting%=*}"
	done
	echo 1 >/proc/sys/net/ipv4/ip_forward
}

# write_spec gives every container /dev/fuse: it stands in for the hardware that
# protects an enclave's files, as a real node's /dev/sgx_enclave does.
write_spec() {
	ctr oci spec | sed -e '/"rlimits": \[/,/\]/d' \
		-e 's|"linux": {|&"devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 0}],|' \
		-e 's|"access": "rwm"|&}, {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"|' >/run/spec.json
}

write_settings() {
	cat >/run/cni/10-lab.conflist <<-END
		{"cniVersion": "1.0.0", "name": "lab", "plugins": [
		  {"type": "ptp", "ipam": {"type": "host-local", "dataDir": "/run/cni-leases",
		    "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}}
		]}
	END
	cat >/run/containerd.toml <<-END
		version = 2
		root = "/run/node/containerd"
		state = "/run/containerd"
		[grpc]
		  address = "/run/containerd/containerd.sock"
		[plugins."io.containerd.internal.v1.opt"]
		  path = "/run/node/containerd/opt"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "lab.local/pause:1"
		  disable_apparmor = true
		  restrict_oom_score_adj = true
		  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		    runtime_type = "io.containerd.runc.v2"
		    base_runtime_spec = "/run/spec.json"
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "/usr/lib/cni"
		    conf_dir = "/run/cni"
	END
	cat >/run/kubelet.yaml <<-END
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $address
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /run/lab/pki/ca.crt}}
		authorization: {mode: Webhook}
		cgroupDriver: cgroupfs
		cgroupRoot: $cgroup
		failCgroupV1: false
		clusterDNS: [10.87.0.1]
		clusterDomain: cluster.local
		resolvConf: /dev/null
		containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
		volumePluginDir: /run/plugins
		evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
		imageGCHighThresholdPercent: 100
		localStorageCapacityIsolation: false
		failSwapOn: false
		maxPods: 60
		nodeStatusUpdateFrequency: 2s
		serializeImagePulls: false
	END
}

wait_for() {
	until "$@" >/dev/null 2>&1; do
		kill -0 "$containerd" || exit 1
		sleep 0.1
	done
}

hostname "$name"
own_folders
guard_sysctls
write_settings
write_spec
containerd --config /run/containerd.toml >/var/log/containerd.log 2>&1 &
containerd=$!
wait_for ctr --address /run/containerd/containerd.sock version
/run/scripts/import-images.sh "$@" >/var/log/import.log 2>&1 &
wait_for test -e /run/lab/api-ready
/run/bin/kube-proxy --kubeconfig /run/lab/pki/proxy.kubeconfig --hostname-override "$name" --bind-address "$address" \
	--proxy-mode nftables --cluster-cidr 10.88.0.0/16 --conntrack-max-per-core 0 --conntrack-min 0 \
	--conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0 >/var/log/kube-proxy.log 2>&1 &
/run/bin/kubelet --config /run/kubelet.yaml --kubeconfig "/run/lab/pki/node-$name.kubeconfig" --hostname-override "$name" \
	--node-ip "$address" --node-labels sgx.intel.com/capable=true --cert-dir /run/node/kubelet/pki >/var/log/kubelet.log 2>&1 &
wait $! # the node ends with its kubelet
