# Shared by scripts/lab-up, scripts/lab-down and the scripts beside this file:
# names, progress, and processes that are known by pid and start time. Source it.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
lab=$root/.lab
here=$root/test/cluster
cache=${CONFIDB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/confidb}
id=confidb-$(printf %s "$root" | sha256sum | cut -c1-6) # one checkout, one lab: network namespaces and cgroups carry this name
nodes=(n1 n2 n3)
api=10.87.0.1:6443 # inside the lab's own network namespace
images=(pause confidb-lab mariadb maxscale haproxy tokenizer tokenizer-changed)

fail() {
	echo "error: $1" >&2
	[ $# -lt 2 ] || echo "hint: $2" >&2
	exit 1
}

# say tells what begins now; the time is since the script's start.
say() {
	printf '%4d s  %s\n' "$SECONDS" "$*" >&2
}

# lock lets one lab script at a time work on this checkout, until it ends.
lock() {
	mkdir -p "$cache"
	exec 9>"$cache/$id.lock"
	flock --timeout 300 9 || fail "another lab-up or lab-down of $root is still at work"
}

# start_time of PID, in clock ticks since boot: with the pid it names one process for ever.
start_time() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	stat=${stat##*) } # the program's name may hold spaces
	set -- $stat
	echo "${20}"
}

# start NAME PROGRAM ARGS… in the background, in a session of its own. The
# record is there before the program runs.
start() {
	local name=$1
	shift
	rm -f "$lab/pids/$name"
	(
		pid=$BASHPID # in $(…) it would be another process's
		printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$lab/pids/$name"
		exec setsid "$@"
	) >"$lab/log/$name.log" 2>&1 </dev/null 9>&- &
	until [ -s "$lab/pids/$name" ]; do
		sleep 0.01
	done
}

# pid_of NAME prints the pid while the process that was started lives.
pid_of() {
	local pid began
	{ read -r pid began <"$lab/pids/$1"; } 2>/dev/null || return 1
	[ -n "$began" ] && [ "$(start_time "$pid")" = "$began" ] || return 1
	echo "$pid"
}

# wait_until SECONDS WHAT PROCESS COMMAND… repeats COMMAND until it succeeds, the
# process that it depends on has ended, or the time is over.
wait_until() {
	local end=$((SECONDS + $1)) what=$2 process=$3
	shift 3
	until "$@" >/dev/null 2>&1; do
		pid_of "$process" >/dev/null || fail "waiting for $what: $process has ended" "$(tail -n 5 "$lab/log/$process.log")"
		[ "$SECONDS" -lt "$end" ] || fail "waiting for $what: gave up" "see $lab/log/$process.log"
		sleep 0.1
	done
}

# in_net NAMESPACE COMMAND… keeps the mounts, unlike "ip netns exec".
in_net() {
	local namespace=$1
	shift
	nsenter --net="/run/netns/$namespace" -- "$@"
}

# in_node NODE COMMAND… runs on a node, in all of its namespaces.
in_node() {
	local outer inner
	outer=$(pid_of "$1") || return 1
	inner=$(cat "/proc/$outer/task/$outer/children")
	shift
	nsenter --target "${inner%% *}" --mount --pid --net --uts --ipc -- "$@"
}

# cgroup_mounts prints every cgroup hierarchy: one on a unified host, several else.
cgroup_mounts() {
	awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/self/mounts
}

lab_namespaces() {
	ip netns list | awk -v id="$id" '$1 == id || index($1, id "-") == 1 { print $1 }'
}
