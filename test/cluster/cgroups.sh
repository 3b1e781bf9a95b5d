# A subtree of every cgroup hierarchy for the lab, and in it one for each node:
# /confidb-…/n1. Source it after lib.sh.
# shellcheck shell=bash

make_cgroups() {
	local hierarchy node
	while read -r hierarchy; do
		mkdir -p "$hierarchy/$id"
		prepare_cgroup "$hierarchy" "$id"
		for node in "${nodes[@]}"; do
			mkdir -p "$hierarchy/$id/$node"
			prepare_cgroup "$hierarchy/$id" "$node"
		done
	done < <(cgroup_mounts)
}

# prepare_cgroup PARENT CHILD makes the child able to hold the kubelet's groups.
prepare_cgroup() {
	local setting controller
	for setting in cpuset.cpus cpuset.mems; do # version 1: empty until somebody fills them
		if [ -e "$1/$2/$setting" ] && [ -z "$(cat "$1/$2/$setting")" ] && [ -s "$1/$setting" ] && [ ! -e "$1/cgroup.controllers" ]; then
			cat "$1/$setting" >"$1/$2/$setting"
		fi
	done
	[ -e "$1/cgroup.controllers" ] || return 0
	for controller in $(cat "$1/cgroup.controllers"); do # version 2: hand every controller down
		echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || true
	done
	for controller in $(cat "$1/$2/cgroup.controllers"); do
		echo "+$controller" >"$1/$2/cgroup.subtree_control" 2>/dev/null || true
	done
}

# remove_cgroups succeeds when nothing is left. A group stays for a moment after
# its last process.
remove_cgroups() {
	local hierarchy end=$((SECONDS + 10))
	while read -r hierarchy; do
		while [ -d "$hierarchy/$id" ]; do
			find "$hierarchy/$id" -depth -type d -exec rmdir {} + 2>/dev/null || true
			[ -d "$hierarchy/$id" ] || break
			[ "$SECONDS" -lt "$end" ] || return 1
			sleep 0.1
		done
	done < <(cgroup_mounts)
}
