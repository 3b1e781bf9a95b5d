# The lab's network, all of it inside network namespaces: one for the control
# plane with a bridge, one for each node. Nothing appears in the host's own
# namespace and nothing leads out. Source it after lib.sh.
# shellcheck shell=bash

node_address() { echo "10.87.0.$((10 + $1))"; } # by the node's number, from 1
node_pods() { echo "10.88.$1.0/24"; }

make_network() {
	local number other
	ip netns add "$id"
	ip -n "$id" link set lo up
	ip -n "$id" link add bridge type bridge
	ip -n "$id" address add "${api%:*}/24" dev bridge
	ip -n "$id" link set bridge up
	for number in $(seq ${#nodes[@]}); do
		make_node_network "$number"
		ip -n "$id" route add "$(node_pods "$number")" via "$(node_address "$number")"
		for other in $(seq ${#nodes[@]}); do # pods of other nodes: straight to their node
			[ "$other" = "$number" ] || ip -n "$id-n$number" route add "$(node_pods "$other")" via "$(node_address "$other")"
		done
	done
}

make_node_network() {
	local namespace=$id-n$1
	ip netns add "$namespace"
	ip -n "$namespace" link set lo up
	ip -n "$id" link add "node$1" type veth peer name eth0 netns "$namespace"
	ip -n "$id" link set "node$1" master bridge up
	ip -n "$namespace" address add "$(node_address "$1")/24" dev eth0
	ip -n "$namespace" link set eth0 up
	ip -n "$namespace" route add default via "${api%:*}"
}
