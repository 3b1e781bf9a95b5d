# The Debian packages that the lab and the tests need. Source it after lib.sh.
# shellcheck shell=bash disable=SC2034

lab_packages=(containerd runc containernetworking-plugins mmdebstrap mariadb-server haproxy iproute2 nftables)
# Those of the drivers in whose words clients are given their settings (test/clients).
client_packages=(mariadb-client python3-pymysql python3-mysqldb nodejs node-mysql php-cli php-mysql libmariadb-java default-jdk-headless)

# install_packages installs those that are missing, and starts none of their
# services. It shows what apt says only if that fails.
install_packages() {
	local package said missing=() policy=/usr/sbin/policy-rc.d own=
	command -v apt-get >/dev/null || fail "installing $*: this machine has no apt-get" "install them by other means, or use LAB=current-context"
	for package in "$@"; do
		[ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "installing ${missing[*]}"
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
		own=$policy
	fi
	said=$( (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}") 2>&1) || {
		[ -z "$own" ] || rm "$own"
		fail "installing ${missing[*]}: $(tail -n 3 <<<"$said")"
	}
	[ -z "$own" ] || rm "$own"
}
