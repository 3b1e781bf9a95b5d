#!/usr/bin/env bash
# Cuts the power of a node of the running lab, or switches it on again.
# usage: power.sh off|on NUMBER
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
for part in network nodes; do
	# shellcheck disable=SC1090
	. "$here/$part.sh"
done

kubectl() {
	"$bin/kubectl" --kubeconfig "$lab/pki/admin.kubeconfig" "$@"
}

bin=$(dirname "$(readlink "$lab/bin/kubectl")")
case ${1:-} in
off) cut_power "$2" ;;
on)
	ip -n "$id" link set "node$2" up
	start_node "$2"
	wait_until 60 "node ${nodes[$2 - 1]}" "${nodes[$2 - 1]}" kubectl wait --for=condition=Ready --timeout=5s "node/${nodes[$2 - 1]}"
	offer_enclaves "${nodes[$2 - 1]}" >/dev/null
	;;
*) fail "usage: power.sh off|on NUMBER" ;;
esac
