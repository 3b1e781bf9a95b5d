#!/usr/bin/env bash
# Writes the lab's container images to .lab/images: NAME.tar, and NAME.digest,
# which changes exactly when the image does. The root file systems of MariaDB and of
# HAProxy come from the distribution's packages and are kept in the cache.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mariadb_packages=ncurses-base,mariadb-server,mariadb-server-core,mariadb-client,mariadb-client-core,bash,dash,coreutils,findutils,grep,sed,hostname,libc-bin,base-files
haproxy_packages=haproxy,dash,coreutils,libc-bin,base-files
unwanted=( # of no use in a container; half of the size
	/usr/share/doc/'*' /usr/share/man/'*' /usr/share/locale/'*' /usr/share/info/'*' /usr/share/lintian/'*'
	/usr/share/perl'*' '/usr/lib/*/perl*' '/usr/lib/*/libperl*' '/usr/lib/*/gconv/*'
	/usr/bin/aria_'*' /usr/bin/myisam'*' /usr/bin/mariadb-{conv,import,plugin,show,slap,waitpid} /usr/bin/resolve_stack_dump
)
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$release" ] || fail "/etc/os-release names no VERSION_CODENAME" "use Debian or Ubuntu, or LAB=current-context with images of your own"

# finish_rootfs runs on the unpacked root file system: no maintainer script has.
finish_rootfs() {
	cat <<'END'
set -e
root=$1
printf '%s\n' root:x:0:0:root:/root:/bin/sh mysql:x:101:101::/nonexistent:/bin/false haproxy:x:99:99::/nonexistent:/bin/false nobody:x:65534:65534::/nonexistent:/bin/false >"$root/etc/passwd"
printf '%s\n' root:x:0: mysql:x:101: haproxy:x:99: nogroup:x:65534: >"$root/etc/group"
printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$root/etc/nsswitch.conf"
install -d -o 101 -g 101 "$root/var/lib/mysql" "$root/run/mysqld" "$root/run/confidb"
install -d "$root/usr/local/bin"
ln -sf /usr/bin/mariadb "$root/usr/local/bin/mariadb"
ln -sf /usr/sbin/mariadbd "$root/usr/local/bin/mariadbd"
END
}

# rootfs NAME PACKAGES prints the file of a root file system, and makes it once.
rootfs() {
	local key file excludes=() path hook
	key=$( (echo "$2" "${unwanted[@]}" "$release" && finish_rootfs && declare -f rootfs && dpkg --print-architecture) | sha256sum | cut -c1-16)
	file=$cache/$1-rootfs-$key.tar
	if [ ! -e "$file" ]; then
		say "making the root file system of $1 from $release packages (about half a minute, once)"
		for path in "${unwanted[@]}"; do
			excludes+=(--dpkgopt="path-exclude=$path")
		done
		hook=$(mktemp)
		finish_rootfs >"$hook"
		mmdebstrap --quiet --variant=extract --skip=cleanup/run --aptopt='APT::Install-Recommends "false"' --include="$2" \
			"${excludes[@]}" --extract-hook="sh $hook \"\$1\"" "$release" "$file.part.tar" >&2 </dev/null
		rm "$hook"
		mv "$file.part.tar" "$file"
	fi
	echo "$file"
}

# image NAME ARGS… writes one image unless its inputs are those of last time.
image() {
	local name=$1 inputs
	shift
	inputs=$(printf '%s\n' "$binaries" "$@" | sha256sum)
	if [ -e "$lab/images/$name.tar" ] && [ "$inputs" = "$(cat "$lab/images/$name.inputs" 2>/dev/null)" ]; then
		return
	fi
	"$root/bin/confidb-lab" image --out "$lab/images/$name.tar" "$@" >"$lab/images/$name.digest"
	echo "$inputs" >"$lab/images/$name.inputs"
}

# reference writes what whoever builds the images gives to their users: one line
# "NAME MRENCLAVE" for each program, under the heap it gets, and the SQL of
# MariaDB's system tables.
reference() {
	local name file folder
	folder=$(mktemp -d)
	for file in usr/sbin/mariadbd usr/bin/mariadb usr/share/mysql/mysql_{system,performance}_tables.sql; do
		tar --extract --file "$base" --directory "$folder" "./$file"
	done
	cat "$folder"/usr/share/mysql/mysql_{system,performance}_tables.sql >"$lab/images/bootstrap.sql"
	for name in mariadbd=$folder/usr/sbin/mariadbd mariadb=$folder/usr/bin/mariadb probe=$root/bin/confidb-probe maxscale=$root/bin/confidb-lab-maxscale; do
		echo "${name%%=*} $(SCONE_HASH=1 SCONE_HEAP=$heap "$root/bin/confidb-lab" run "${name#*=}")"
	done >"$lab/images/measurements"
	echo "cas $(SCONE_HASH=1 "$root/bin/confidb-lab" cas)" >>"$lab/images/measurements"
	rm -r "$folder"
}

mkdir -p "$lab/images" "$cache"
heap=1G # as our chart sets it
binaries=$(cd "$root/bin" && sha256sum confidb-lab confidb-probe confidb-lab-maxscale)
base=$(rootfs mariadb "$mariadb_packages")
program=/usr/bin/confidb-lab=$root/bin/confidb-lab
image pause --name lab.local/pause:1 --file "$program" --entrypoint /usr/bin/confidb-lab --entrypoint pause
image confidb-lab --name lab.local/confidb-lab:1 --file "$program" --entrypoint /usr/bin/confidb-lab
image mariadb --name lab.local/mariadb:10.11 --layer "$base" --file "$program" --file "/usr/bin/confidb-probe=$root/bin/confidb-probe" \
	--entrypoint /usr/bin/confidb-lab --entrypoint run --user 101:101
# The stand-in for MaxScale runs as the program that sessions name; HAProxy is the real one.
image maxscale --name lab.local/maxscale:24.02 --file "$program" --file "/usr/bin/maxscale=$root/bin/confidb-lab-maxscale" \
	--entrypoint /usr/bin/confidb-lab --entrypoint run --user 101:101
image haproxy --name lab.local/haproxy:lab --layer "$(rootfs haproxy "$haproxy_packages")" --entrypoint /usr/sbin/haproxy --user 99:99
inputs="$(sha256sum <"$0") $base $binaries"
if [ "$inputs" != "$(cat "$lab/images/reference.inputs" 2>/dev/null)" ]; then
	reference
	echo "$inputs" >"$lab/images/reference.inputs"
fi
