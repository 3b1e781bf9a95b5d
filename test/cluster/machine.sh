#!/usr/bin/env bash
# Says on standard output why this machine cannot run the embedded lab, and fails.
# Where it can, it says nothing. It changes nothing that stays.
set -euo pipefail

cannot() {
	echo "$1"
	exit 1
}

[ "${LAB:-embedded}" = embedded ] || exit 0 # somebody else's cluster runs it
[ "$(uname -s)" = Linux ] || cannot "the lab needs Linux, and this is $(uname -s)"
[ "$(id -u)" = 0 ] || cannot "the lab needs root, for namespaces, mounts and cgroups"
for program in apt-get unshare; do
	command -v "$program" >/dev/null || cannot "the lab needs Debian or Ubuntu, and $program is not here"
done
unshare --mount --pid --uts --ipc --net --fork sh -c 'mount -t tmpfs tmpfs /mnt && mount --make-rshared /' 2>/dev/null ||
	cannot "the lab needs namespaces and mounts, and this machine allows none (a container without privileges?)"
grep -qw fuse /proc/filesystems || modprobe fuse 2>/dev/null || cannot "the lab needs FUSE for protected volumes, and this kernel has none"
setpriv --reuid 65534 --regid 65534 --clear-groups unshare --user --map-root-user --mount true 2>/dev/null ||
	cannot "the lab needs user namespaces for protected volumes, and this machine allows them to root only (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
while read -r hierarchy; do
	mkdir "$hierarchy/confidb-$$" 2>/dev/null || cannot "the lab needs cgroups, and none can be made in $hierarchy"
	rmdir "$hierarchy/confidb-$$"
done < <(awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/self/mounts)
