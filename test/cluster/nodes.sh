# The lab's nodes: each begins with its own first process, and ends with it. Source it after
# lib.sh and network.sh; $bin holds the cluster's programs, and kubectl is a function of the
# caller's.
# shellcheck shell=bash

# start_node NUMBER switches a node on.
start_node() {
	local node=${nodes[$1 - 1]}
	start "$node" nsenter --net="/run/netns/$id-$node" -- \
		unshare --mount --pid --uts --ipc --fork --kill-child --mount-proc -- \
		"$here/node.sh" "$node" "$(node_address "$1")" "$(node_pods "$1")" "$lab" "$bin" "/$id/$node" "${images[@]}"
}

# cut_power NUMBER takes a node's network away, and then ends all of its processes at once.
# With them go the ends of its pods' networks, of which the kernel would keep the routes for a
# while, and its cgroups: a kubelet that begins looks long for what is in those that it finds.
cut_power() {
	local pid first hierarchy link end=$((SECONDS + 10))
	ip -n "$id" link set "node$1" down
	pid=$(pid_of "${nodes[$1 - 1]}") || fail "${nodes[$1 - 1]} is off already"
	first=$(cat "/proc/$pid/task/$pid/children")
	kill -KILL "$pid" # the first process of the node is its child, and is killed with it
	first=/proc/${first%% *}/status
	while grep -q '^State:[[:space:]]*[^Z]' "$first" 2>/dev/null; do # it ends after all others of the node
		sleep 0.1
	done
	for link in $(ip -n "$id-${nodes[$1 - 1]}" -o link show type veth | awk -F '[ :@]+' '$2 ~ /^veth/ { print $2 }'); do
		ip -n "$id-${nodes[$1 - 1]}" link delete "$link" 2>/dev/null || true # it may just be gone
	done
	for hierarchy in $(cgroup_mounts); do
		until find "$hierarchy/$id/${nodes[$1 - 1]}" -mindepth 1 -depth -type d -exec rmdir {} +; do
			[ "$SECONDS" -lt "$end" ] || fail "cgroups of ${nodes[$1 - 1]} are still in use"
			sleep 0.1
		done
	done
}

# offer_enclaves says of a node what Intel's device plugin says of a real one.
offer_enclaves() {
	kubectl patch node "$1" --subresource status --type merge \
		--patch '{"status":{"capacity":{"sgx.intel.com/enclave":"20"},"allocatable":{"sgx.intel.com/enclave":"20"}}}'
}
